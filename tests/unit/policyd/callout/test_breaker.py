"""When a server that fails is asked no more, and when again."""

from __future__ import annotations

from policyd.callout.breaker import Breaker, BreakerTerms

TERMS = BreakerTerms(failures=3, within=60.0, pause=30.0)


def fail(breaker: Breaker, *times: float) -> list[bool]:
    return [breaker.begin(now) and breaker.failed(now, TERMS) for now in times]


def test_it_opens_after_so_many_failures() -> None:
    breaker = Breaker()
    assert fail(breaker, 0, 1, 2) == [False, False, True]
    assert breaker.is_open
    assert not breaker.begin(31.9)


def test_failures_that_are_far_apart_do_not_add_up() -> None:
    breaker = Breaker()
    assert fail(breaker, 0, 31, 61, 93, 123) == [False] * 5
    assert not breaker.is_open


def test_a_success_between_them_begins_anew() -> None:
    breaker = Breaker()
    fail(breaker, 0, 1)
    assert breaker.begin(2)
    assert not breaker.succeeded()
    assert fail(breaker, 3, 4) == [False, False]


def test_after_the_pause_one_call_tries() -> None:
    breaker = Breaker()
    fail(breaker, 0, 1, 2)
    assert breaker.begin(32)
    assert not breaker.begin(32)
    assert breaker.succeeded()
    assert breaker.begin(33)
    assert breaker.begin(33)


def test_a_clock_that_was_set_back_makes_no_pause_longer() -> None:
    breaker = Breaker()
    fail(breaker, 3600, 3601, 3602)
    assert not breaker.begin(3603)
    assert breaker.begin(3)
    assert not breaker.begin(3)
    assert not breaker.failed(4, TERMS)
    assert not breaker.begin(33)
    assert breaker.begin(34)


def test_a_try_that_fails_means_another_pause() -> None:
    breaker = Breaker()
    fail(breaker, 0, 1, 2)
    assert breaker.begin(32)
    # It says nothing new that it is down.
    assert not breaker.failed(40, TERMS)
    assert breaker.refuses(69.9)
    assert breaker.begin(70)


def test_a_late_failure_of_an_earlier_call_does_not_move_the_pause() -> None:
    breaker = Breaker()
    for now in range(5):
        assert breaker.begin(now)
    assert [breaker.failed(now, TERMS) for now in (5, 6, 7, 20, 36)] == [False, False, True, False, False]
    assert breaker.begin(37)


def test_a_late_success_of_an_earlier_call_closes_it() -> None:
    breaker = Breaker()
    for now in range(4):
        assert breaker.begin(now)
    for now in (5, 6, 7):
        breaker.failed(now, TERMS)
    assert breaker.succeeded()
    assert breaker.begin(8)
