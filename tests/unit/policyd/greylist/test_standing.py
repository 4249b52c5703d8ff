"""What is known in memory of how triplets stand, and that it never says anything else than the store."""

from __future__ import annotations

import random
from typing import Any

import pytest

from policyd.greylist.identity import Caller
from policyd.greylist.standing import Standing
from policyd.greylist.terms import REFRESH, Entry, Outcome, Terms, is_current, judge

START = 1_800_000_000


NEVER = 1 << 40
WAITS = Entry(START, 0, START)
PASSED = Entry(START, START + 400, START + 400)


def test_how_it_stands_is_known_by_key_and_identities() -> None:
    standing = Standing()
    assert standing.of(b"k", " a ") == 0
    standing.note(b"k", " a ", WAITS, NEVER)
    assert standing.of(b"k", " a ") == START
    assert standing.of(b"k", " b ") == 0
    assert standing.of(b"l", " a ") == 0
    standing.note(b"k", " a ", PASSED, NEVER)
    assert standing.of(b"k", " a ") == -START - 400
    assert standing.of(b"k", " b ") == 0
    standing.note(b"k", " b ", WAITS, NEVER)
    assert (standing.of(b"k", " a "), standing.of(b"k", " b ")) == (0, START)
    standing.drop(b"k")
    assert standing.of(b"k", " b ") == 0


def test_one_place_is_one_triplet_whoever_came_last() -> None:
    standing = Standing(places=1)
    standing.note(b"k", " a ", WAITS, NEVER)
    standing.note(b"l", " b ", Entry(START + 1, 0, START + 1), NEVER)
    assert (standing.of(b"k", " a "), standing.of(b"l", " b ")) == (0, START + 1)
    standing.drop(b"k")
    assert standing.of(b"l", " b ") == START + 1, "nothing of k is there any more"


def test_who_just_passed_takes_no_place_from_who_waits_unless_it_had_to_be_read() -> None:
    standing = Standing(places=1)
    standing.note(b"k", " a ", PASSED, NEVER)
    assert standing.of(b"k", " a ") < 0, "a free place"
    standing.note(b"l", " b ", WAITS, NEVER)
    standing.note(b"k", " a ", PASSED, NEVER)
    assert (standing.of(b"k", " a "), standing.of(b"l", " b ")) == (0, START)
    standing.note(b"k", " a ", PASSED, NEVER, asked=True)
    assert (standing.of(b"k", " a "), standing.of(b"l", " b ")) == (-START - 400, 0)


@pytest.mark.parametrize("time", [-1, 0, 1 << 32, 1 << 70])
def test_a_time_that_no_clock_has_is_left_to_the_store(time: int) -> None:
    standing = Standing(places=1)
    for entry in (Entry(time, 0, time), Entry(START, START, time)):
        standing.note(b"k", " a ", WAITS, NEVER)
        standing.note(b"k", " a ", entry, NEVER)
        assert standing.of(b"k", " a ") == 0


@pytest.mark.parametrize("entry", [WAITS, PASSED])
def test_times_come_back_as_they_were(entry: Entry) -> None:
    standing = Standing(places=2)
    for first in (1, START, (1 << 32) - 1 - 400):
        moved = Entry(*(time and time - START + first for time in entry))
        standing.note(b"k", " a ", moved, NEVER)
        assert standing.of(b"k", " a ") == (-moved.last if moved.passed else moved.first)


def test_a_row_that_is_gone_before_it_stops_being_current_is_left_to_the_store() -> None:
    standing = Standing()
    standing.note(b"k", " a ", PASSED, PASSED.last + REFRESH - 1)
    assert standing.of(b"k", " a ") == 0
    standing.note(b"k", " a ", PASSED, PASSED.last + REFRESH)
    assert standing.of(b"k", " a ") == -PASSED.last


class Unreadable:
    """Stands in for what reads the disk."""

    def row(self, table: Any, key: bytes) -> Any:
        raise AssertionError(f"{table.name} was read")


def test_a_retry_is_judged_without_the_disk(bench: Any) -> None:
    first = bench.decide()
    assert first.reason == "greylist-new"
    bench.clock.advance(300)
    bench.worker.run()
    bench.ledger.triplets._reader = Unreadable()
    assert bench.decide().reason == "greylist-passed"
    assert bench.decide(sender="a@sender.example").reason == "greylist-new"


def test_what_is_known_is_judged_without_the_disk_once_it_was_read(bench: Any) -> None:
    bench.decide()
    bench.clock.advance(300)
    bench.worker.run()
    bench.decide()
    bench.clock.advance(1)
    bench.worker.run()
    bench.ledger._standing = standing = Standing(places=1)
    standing.note(b"another", " a ", WAITS, NEVER)
    assert bench.decide().reason == "greylist-known"
    bench.ledger.triplets._keys = [None] * len(bench.ledger.triplets._keys)
    bench.ledger.triplets._reader = Unreadable()
    assert bench.decide().reason == "greylist-known"


def test_what_is_forgotten_by_command_is_new(bench: Any) -> None:
    bench.decide()
    ((key, _),) = bench.ledger.triplets.scan(bench.clock.seconds())
    bench.clock.advance(300)
    bench.ledger.forget("triplets", key, bench.clock.seconds())
    assert bench.decide().reason == "greylist-new"
    bench.clock.advance(300)
    assert bench.decide().reason == "greylist-passed"
    bench.ledger.forget("triplets", key, bench.clock.seconds())
    assert bench.decide().reason == "greylist-new"


def test_whom_another_network_of_the_same_sender_made_pass_waits_no_longer(bench: Any) -> None:
    pool = {"client_address": "198.18.1.9", "client_name": "out1.farm.example"}
    bench.decide(**pool)
    bench.clock.advance(300)
    elsewhere = {"client_address": "198.18.7.9", "client_name": "out2.farm.example"}
    assert bench.decide(**elsewhere).reason == "greylist-passed"
    assert bench.decide(**pool).reason == "greylist-known"


class Blind(Standing):
    """Knows nobody."""

    def of(self, key: bytes, whose: str) -> int:
        return 0


CALLERS = [
    Caller(b"\xc6\x12\x01\x09", ("198.18.1.0/24", "ptr:farm.example"), "out1.farm.example"),
    Caller(b"\xc6\x12\x07\x09", ("198.18.7.0/24", "ptr:farm.example"), "out2.farm.example"),
    Caller(b"\xc6\x12\x07\x0a", ("198.18.7.0/24",)),
    Caller(b"\xc6\x12\x08\x09", ("198.18.8.0/24", "ptr:lair.example"), "x.lair.example", lambda *_: False),
]
DAY = 86400.0
STEPS = [0.0, 1.0, 59.0, 150.0, 300.0, 301.0, float(REFRESH), 2 * DAY, 2 * DAY + 1, 36 * DAY, -50.0]


@pytest.mark.parametrize("seed", range(8))
def test_it_changes_no_answer_and_no_row(make_bench: Any, seed: int) -> None:
    benches = knowing, blind = make_bench(), make_bench()
    knowing.ledger._standing = Standing(1 << seed % 4)
    blind.ledger._standing = Blind()
    assert knowing.ledger._standing is not blind.ledger._standing
    chance = random.Random(seed)
    now = float(START)
    for _ in range(300):
        now += chance.choice(STEPS[: chance.choice((4, 7, 11))])
        caller, sender = chance.choice(CALLERS), chance.choice("ab") + "@sender.example"
        trace = chance.random() < 0.9
        facts = [
            bench.ledger.attempt(caller, sender, "person@inst.example", now, trace=trace) for bench in benches
        ]
        assert len({(fact.grey, fact.wait) for fact in facts}) == 1
        if chance.random() < 0.05:
            for bench in benches:
                for key, _ in list(bench.ledger.triplets.scan(now)):
                    bench.ledger.forget("triplets", key, now)
        for kind in ("triplets", "others", "clients"):
            rows = [sorted(getattr(bench.ledger, kind).scan(now)) for bench in benches]
            assert rows[0] == rows[1]


def test_what_is_current_is_what_needs_no_writing() -> None:
    terms, short = Terms(), Terms(lifetime=600)
    for lag in (-1, 0, 600, 601, REFRESH - 1, REFRESH, 40 * 86400):
        for passed in (0, START):
            for these in (terms, short):
                entry, answer = judge(Entry(START, passed, START), START + lag, these)
                known = entry is None and answer.outcome is Outcome.KNOWN
                assert is_current(passed, START, START + lag, these) is known
