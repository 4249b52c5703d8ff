"""When good retries are counted: some at a time, and always before anybody could miss them."""

from __future__ import annotations

from typing import Any

import pytest

from policyd.evidence.facts import Grey
from policyd.greylist.identity import Caller
from policyd.greylist.ledger import TOGETHER

START = 1_800_000_000


def retry_well(bench: Any, count: int, start: int = 0) -> None:
    """Good retries of so many triplets, of one caller each."""
    for number in range(start, start + count):
        caller = Caller(b"\xc0\0\2\1", (f"192.0.{number}.0/24",))
        for now in (START, START + 300):
            bench.ledger.attempt(caller, "a@sender.example", f"p{number}@inst.example", float(now))


def counted(bench: Any) -> int:
    return len(list(bench.ledger.clients.scan(float(START))))


def test_good_retries_are_counted_some_at_a_time(bench: Any) -> None:
    retry_well(bench, TOGETHER - 1)
    assert counted(bench) == 0
    retry_well(bench, 1, TOGETHER)
    assert counted(bench) == TOGETHER


def test_good_retries_are_counted_before_what_passed_is_written(bench: Any) -> None:
    retry_well(bench, 3)
    bench.clock.advance(1)
    bench.worker.run()
    assert not bench.store.pending
    assert counted(bench) == 3


def test_good_retries_are_counted_before_the_store_is_closed(bench: Any) -> None:
    retry_well(bench, 3)
    bench.store.close()
    bench.open()
    assert counted(bench) == 3


def test_who_asks_after_good_retries_has_them_counted(bench: Any) -> None:
    here = Caller(b"\xc0\0\2\1", ("198.18.1.0/24", "ptr:farm.example"))
    for number in range(5):
        for now in (START, START + 300):
            bench.ledger.attempt(here, "a@sender.example", f"p{number}@inst.example", float(now))
    assert counted(bench) == 2, "the last one is open"
    fact = bench.ledger.attempt(here, "a@sender.example", "other@inst.example", float(START + 301))
    assert fact.grey is Grey.CLIENT_EARNED
    by_name = Caller(b"\xc0\0\2\1", ("192.0.2.0/24", "ptr:farm.example"))
    retry_well(bench, 1)
    fact = bench.ledger.attempt(by_name, "a@sender.example", "other@inst.example", float(START + 301))
    assert fact.grey is Grey.CLIENT_EARNED


def test_good_retries_of_one_organisation_add_up_also_within_a_row(bench: Any) -> None:
    callers = [Caller(b"\xc0\0\2\1", (f"192.0.{number}.0/24", "ptr:farm.example")) for number in range(3)]
    for now in (START, START + 300):
        for number, caller in enumerate(callers):
            bench.ledger.attempt(caller, "a@sender.example", f"p{number}@inst.example", float(now))
    assert counted(bench) == 0
    bench.ledger.count_good_retries()
    rows = dict(bench.ledger.clients.scan(float(START)))
    assert {key: row[0] for key, row in rows.items()} == {
        b"192.0.0.0/24": 1,
        b"192.0.1.0/24": 1,
        b"192.0.2.0/24": 1,
        b"ptr:farm.example": 3,
    }


@pytest.mark.parametrize("proven", [True, False])
def test_good_retries_are_counted_by_names_that_prove_something(bench: Any, proven: bool) -> None:
    identities = ("192.0.2.0/24", "ptr:farm.example", "spf:sender.example")
    caller = Caller(b"\xc0\0\2\1", identities, "mail.farm.example", lambda name, address: proven)
    for now in (START, START + 300):
        bench.ledger.attempt(caller, "a@sender.example", "p@inst.example", float(now))
    bench.ledger.count_good_retries()
    known = {key.decode() for key, _ in bench.ledger.clients.scan(float(START))}
    assert known == set(identities if proven else (identities[0], identities[2]))


def test_good_retries_that_find_no_room_are_counted_as_refused(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    retry_well(bench, 3)
    monkeypatch.setattr("mailbase.store.table.MAX_PENDING", 0)
    refused = bench.store.refused
    bench.ledger.count_good_retries()
    assert counted(bench) == 0
    assert bench.store.refused - refused == 3


def test_a_fault_in_counting_keeps_nothing_from_the_disk(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> Any:
        raise RuntimeError("bug")

    retry_well(bench, 3)
    monkeypatch.setattr("policyd.greylist.ledger._first_retry", fail)
    bench.clock.advance(1)
    bench.worker.run()
    assert not bench.store.pending
    assert "event=store-before-commit-failed" in bench.stream.getvalue()
    retry_well(bench, 1, 3)
    bench.clock.advance(1)
    bench.worker.run()
    assert not bench.store.pending, "later neither"
