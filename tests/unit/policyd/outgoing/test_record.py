"""The record of one user: what it counts, learns and forgets; versions of it become one in any order."""

from __future__ import annotations

import copy
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyd.outgoing import record as module
from policyd.outgoing.measures import MESSAGES, NEW, RECIPIENTS, REFUSED, STRANGERS
from policyd.outgoing.record import (
    GENERATION,
    GENERATION_AGE,
    HOUR,
    KEPT,
    KNOWN_AFTER,
    MAX_ENTRIES,
    MAX_OCTETS,
    MOST,
    Record,
    fingerprint,
    unpack,
)

START = 1_800_000_000 // HOUR * HOUR + 0.0
DAY = 24 * HOUR


def same(one: Record, other: Record) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in Record.__slots__ if name != "_view")


def test_an_hour_slides() -> None:
    record = Record(START)
    for minute in range(50, 70):
        record.mail(1, START + minute * 60, 2, [])
    now = START + 70 * 60
    figures = record.hour(now)
    assert figures[MESSAGES] == pytest.approx(10 + 10 * 50 / 60)
    assert figures[RECIPIENTS] == 2 * figures[MESSAGES]
    assert record.day(now)[MESSAGES] == 20
    assert record.hour(START + 3 * HOUR)[MESSAGES] == 0
    assert record.day(START + 23 * HOUR)[MESSAGES] == 20
    assert record.day(START + 25 * HOUR)[MESSAGES] == 0


def test_yesterday_is_usual_and_today_is_not() -> None:
    record = Record(START)
    for hour, mails in ((0, 4), (5, 9), (24, 30)):
        for _ in range(mails):
            record.mail(1, START + hour * HOUR, 1, [])
    record.learn(START + 24 * HOUR + 60)
    assert record.usual(START + DAY) == ((0.0,) * 7, (0.0,) * 7)
    now = START + 31 * HOUR
    record.learn(now)
    hour, day = record.usual(now)
    assert hour[MESSAGES] == pytest.approx(9, rel=0.05)
    assert day[MESSAGES] == pytest.approx(13, rel=0.05)
    # Half of it after four weeks.
    assert record.usual(START + 5 * HOUR + 28 * DAY)[0][MESSAGES] == pytest.approx(4.5)


def test_an_odd_hour_is_not_learned_from_nor_are_its_recipients() -> None:
    record = Record(START - KNOWN_AFTER)
    record.mail(1, START, 1, [1])
    record.mark(1, START)
    record.mail(1, START, 50, list(range(100, 150)))
    record.learn(START + 30 * HOUR)
    assert record.usual(START + 30 * HOUR)[0][MESSAGES] == 0
    assert record.recipients == 1


def test_who_is_new_is_known_after_some_days() -> None:
    record = Record(START)
    record.mail(1, START, 2, [1, 2])
    assert record.day(START)[NEW] == 0
    later = START + KNOWN_AFTER
    for known in ([1, 2], [1, 3], [1, 2, 4], [5]):
        record.mail(1, later, len(known), known)
    assert record.day(later)[NEW] == 3
    # Half of the recipients, or all of them.
    assert record.day(later)[STRANGERS] == 2


def test_a_recipient_is_forgotten_after_a_time() -> None:
    record = Record(START)
    record.mail(1, START, 1, [1])
    record.mail(1, START + GENERATION_AGE + 1, 1, [2])
    assert record.recipients == 2
    record.mail(1, START + 2 * (GENERATION_AGE + 1) + 1, 1, [3])
    assert record.recipients == 2


def test_who_writes_to_more_than_are_remembered_writes_to_nobody_new() -> None:
    record, now = Record(START), START + KNOWN_AFTER
    record.mail(1, now, 1, list(range(GENERATION + 10)))
    assert record.recipients == GENERATION + 10
    entry = record.day(now)
    record.mail(1, now, 1, [10**6])
    assert record.day(now)[NEW] == entry[NEW]
    assert record.recipients <= 2 * GENERATION
    after = now + GENERATION_AGE
    record.mail(1, after, 1, [10**6 + 1])
    assert record.day(after)[NEW] == 1


def test_lifted_is_judged_anew_and_accepted_is_usual() -> None:
    record = Record(START)
    for _ in range(100):
        record.mail(1, START, 1, [])
    record.told = record.suspended = START
    record.lift(START)
    assert record.hour(START)[MESSAGES] == record.day(START)[MESSAGES] == 0
    assert (record.told, record.suspended) == (0, 0)
    assert record.usual(START)[0][MESSAGES] == 0
    record.mail(1, START, 1, [])
    record.lift(START, usual=True)
    assert record.usual(START)[0][MESSAGES] == pytest.approx(1)


def test_a_clock_that_was_set_back_harms_nothing() -> None:
    record = Record(START)
    record.mail(1, START + 10 * DAY, 1, [1])
    record.mail(1, START, 1, [1])
    assert record.hour(START)[MESSAGES] == 1
    record.learn(START)
    assert len(record.entries) == 1


def test_it_is_bounded() -> None:
    record = Record(START)
    for hour in range(40):
        for node in range(30):
            record.mail(node, START + hour * HOUR, 1, [])
    assert len(record.entries) <= MAX_ENTRIES
    record.add(1, START + 40 * HOUR, REFUSED, 1e30)
    record.add(1, START + 40 * HOUR, REFUSED, 1e30)
    assert record.hour(START + 40 * HOUR)[REFUSED] == MOST
    record.mail(1, START + 40 * HOUR, 1, list(range(3 * GENERATION)))
    packed = record.pack()
    assert len(packed) <= MAX_OCTETS
    assert same(unpack(packed), unpack(unpack(packed).pack()))
    record.learn(START + (41 + KEPT) * HOUR)
    assert not record.entries


def test_what_is_no_record_is_told_from_one() -> None:
    record = Record(START)
    record.mail(1, START, 1, [1, 2, 3])
    packed = record.pack()
    for end in range(len(packed)):
        with pytest.raises(ValueError, match="not a record"):
            unpack(packed[:end])
    for wrong in (packed + b"\0", b"\2" + packed[1:], b"\0" * (MAX_OCTETS + 1), b""):
        with pytest.raises(ValueError, match="not a record"):
            unpack(wrong)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_noise_is_no_record(noise: bytes) -> None:
    head = Record(START).pack()[:1]
    with pytest.raises(ValueError, match="not a record"):
        unpack(head + noise[:200])


def grown(seed: int, node: int, record: Record) -> Record:
    """What another node makes of it."""
    rng, mine = random.Random(seed), copy.deepcopy(record)
    for _ in range(rng.randrange(1, 12)):
        now = START + rng.randrange(0, 30 * HOUR)
        mine.mail(node, now, rng.randrange(1, 4), [rng.randrange(20)])
        if rng.random() < 0.2:
            mine.mark(node, now)
    if rng.random() < 0.3:
        mine.lift(START + 30 * HOUR)
    mine.told = START + rng.randrange(100)
    return mine


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30), st.permutations([0, 1, 2, 2, 0]))
def test_versions_merge_in_any_order_and_as_often_as_one_likes(seed: int, order: list[int]) -> None:
    begun = grown(seed, 9, Record(START))
    nodes = [grown(seed + node + 1, node, begun) for node in range(3)]
    results = []
    for sequence in ([0, 1, 2], order):
        merged = copy.deepcopy(begun)
        for node in sequence:
            merged.merge(unpack(nodes[node].pack()))
        results.append(merged)
    one, other = results
    assert one.entries == other.entries
    assert (one.lifts, one.told, one.hour_peaks) == (other.lifts, other.told, other.hour_peaks)
    assert one._young | one._old == other._young | other._old


def test_a_version_that_was_overwritten_comes_back_with_the_next() -> None:
    here, there = Record(START), Record(START)
    for number in range(5):
        here.mail(1, START, 1, [number])
        there.mail(2, START, 1, [number])
    store = here.pack()
    store = there.pack()  # at the same moment
    here.mail(1, START, 1, [7])
    here.merge(unpack(store))
    assert here.hour(START)[MESSAGES] == 11


def test_a_fingerprint_says_little_and_with_a_key_nothing() -> None:
    assert fingerprint("Ann@X.example", b"") == fingerprint("ann@x.example", b"") < 1 << 32
    assert fingerprint("ann@x.example", b"key") != fingerprint("ann@x.example", b"")
    assert fingerprint("\ud800@x", b"") >= 0


def test_the_kept_hours_suffice_to_learn_a_day() -> None:
    assert KEPT >= module.SETTLED + 24
