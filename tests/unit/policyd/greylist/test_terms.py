"""How long who waits, is known, and is allowed."""

from __future__ import annotations

import pytest

from policyd.greylist.terms import (
    REFRESH,
    Answer,
    Client,
    Entry,
    Outcome,
    Terms,
    expiry,
    good_retry,
    is_allowed,
    judge,
    seen_again,
)

TERMS = Terms(delay=300, retry_window=7200, lifetime=86400, auto_allow_after=3, auto_allow_lifetime=5000)
T = 1_000_000


def test_a_stranger_waits_the_whole_delay() -> None:
    assert judge(None, T + 0.9, TERMS) == (Entry(T, 0, T), Answer(Outcome.NEW, 300))


@pytest.mark.parametrize(("after", "wait"), [(0, 300), (1, 299), (299, 1)])
def test_an_early_retry_waits_the_rest_and_changes_nothing(after: int, wait: int) -> None:
    assert judge(Entry(T, 0, T), T + after, TERMS) == (None, Answer(Outcome.EARLY, wait))


@pytest.mark.parametrize("after", [300, 301, 7200])
def test_a_retry_within_the_window_passes(after: int) -> None:
    assert judge(Entry(T, 0, T), T + after, TERMS) == (Entry(T, T + after, T + after), Answer(Outcome.PASSED))


def test_who_waits_as_long_as_told_passes_whatever_the_fractions() -> None:
    for tenth in range(10):
        now = T + tenth / 10
        entry, answer = judge(None, now, TERMS)
        assert entry is not None
        assert judge(entry, now + answer.wait, TERMS)[1].outcome is Outcome.PASSED


def test_a_retry_after_the_window_begins_anew() -> None:
    assert judge(Entry(T, 0, T), T + 7201, TERMS) == (Entry(T + 7201, 0, T + 7201), Answer(Outcome.NEW, 300))


def test_who_passed_is_known_until_the_end_of_its_lifetime_since_last_seen() -> None:
    entry = Entry(T, T + 300, T + 300)
    assert judge(entry, T + 400, TERMS) == (None, Answer(Outcome.KNOWN))
    assert judge(entry, T + 300 + 86400, TERMS)[1].outcome is Outcome.KNOWN
    assert judge(entry, T + 300 + 86401, TERMS)[1].outcome is Outcome.NEW


def test_being_seen_is_noted_now_and_then_and_prolongs_the_lifetime() -> None:
    entry = Entry(T, T, T)
    assert judge(entry, T + REFRESH - 1, TERMS)[0] is None
    assert judge(entry, T + REFRESH, TERMS)[0] == Entry(T, T, T + REFRESH)


def test_a_clock_set_back_freezes_nobody_out() -> None:
    waiting, answer = judge(Entry(T + 10**6, 0, T + 10**6), T, TERMS)
    assert (waiting, answer) == (Entry(T, 0, T), Answer(Outcome.EARLY, 300))
    known = judge(Entry(T + 10**6, T + 10**6, T + 10**6), T, TERMS)
    assert known == (Entry(T + 10**6, T + 10**6, T), Answer(Outcome.KNOWN))


def test_without_delay_nobody_waits() -> None:
    assert judge(None, T, Terms(delay=0))[1] == Answer(Outcome.PASSED)


def test_an_entry_is_forgotten_no_earlier_than_it_counts() -> None:
    waiting, passed = Entry(T, 0, T), Entry(T, T + 300, T + 400)
    assert judge(waiting, expiry(waiting, TERMS) - 1, TERMS)[1].outcome is Outcome.PASSED
    assert judge(waiting, expiry(waiting, TERMS), TERMS)[1].outcome is Outcome.NEW
    assert judge(passed, expiry(passed, TERMS) - 1, TERMS)[1].outcome is Outcome.KNOWN
    assert judge(passed, expiry(passed, TERMS), TERMS)[1].outcome is Outcome.NEW


def test_a_network_is_allowed_after_its_good_retries_for_a_time() -> None:
    client = None
    for count in range(1, 4):
        assert not is_allowed(client, T, TERMS)
        client = good_retry(client, T)
        assert client == Client(count, T)
    assert is_allowed(client, T, TERMS)
    assert is_allowed(client, T + 5000, TERMS)
    assert not is_allowed(client, T + 5001, TERMS)


def test_zero_allows_no_network() -> None:
    assert not is_allowed(Client(10**6, T), T, Terms(auto_allow_after=0))


def test_an_allowed_network_that_comes_again_is_noted_now_and_then() -> None:
    assert seen_again(Client(3, T), T + 10) is None
    assert seen_again(Client(3, T), T + REFRESH) == Client(3, T + REFRESH)
    assert seen_again(Client(3, T), T - 10) == Client(3, T - 10)
