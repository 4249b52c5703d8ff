"""Whose good retries are counted, from which one on, and what becomes of the count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mailbase.store import StoreError
from policyd.evidence.facts import Grey
from policyd.greylist.histories import FIRSTS, Histories
from policyd.greylist.identity import Caller
from policyd.greylist.terms import Terms

START = 1_800_000_000
NETWORK, ORGANISATION, BY_SPF = "192.0.2.0/24", "ptr:farm.example", "spf:sender.example"
NAMELESS = Caller(b"\xc0\0\2\1", (NETWORK,))
FARM = [
    Caller(b"\xc0\0\2\1", (f"198.18.{number}.0/24", ORGANISATION), "mx.farm.example") for number in range(9)
]


@pytest.fixture
def retry(bench: Any) -> Any:
    """One more good retry of a caller, of a triplet of its own."""
    recipients = iter(range(10_000))

    def retry(caller: Caller) -> Grey:
        recipient = f"p{next(recipients)}@inst.example"
        for now in (START, START + 300):
            fact = bench.ledger.attempt(caller, "a@sender.example", recipient, float(now))
            assert isinstance(fact.grey, Grey)
        return fact.grey

    return retry


def counted(bench: Any) -> dict[str, int]:
    return {key.decode(): row[0] for key, row in bench.ledger.clients.scan(float(START))}


def test_who_comes_back_once_costs_no_row(bench: Any, retry: Any) -> None:
    for caller in (NAMELESS, FARM[0]):
        assert retry(caller) is Grey.PASSED
    assert counted(bench) == {}


def test_with_the_second_one_the_first_counts_too(bench: Any, retry: Any) -> None:
    retry(NAMELESS)
    retry(NAMELESS)
    assert counted(bench) == {NETWORK: 2}
    retry(FARM[0])
    retry(FARM[1])
    assert counted(bench) == {NETWORK: 2, ORGANISATION: 2}
    retry(FARM[2])
    assert counted(bench) == {NETWORK: 2, ORGANISATION: 3}


def test_an_organisation_has_earned_it_after_five_wherever_it_calls_from(bench: Any, retry: Any) -> None:
    for caller in FARM[:5]:
        assert retry(caller) is Grey.PASSED
    assert retry(FARM[6]) is Grey.CLIENT_EARNED


def test_in_a_network_of_many_one_organisation_does_not_earn_for_the_others(bench: Any, retry: Any) -> None:
    for _ in range(5):
        assert retry(Caller(b"\xc0\0\2\1", (NETWORK, ORGANISATION), "mx.farm.example")) is Grey.PASSED
    neighbour = Caller(b"\xc0\0\2\2", (NETWORK, "ptr:other.example"), "mx.other.example")
    assert retry(neighbour) is Grey.PASSED
    assert retry(NAMELESS) is Grey.PASSED
    assert counted(bench) == {ORGANISATION: 5}
    retry(NAMELESS)
    assert counted(bench) == {ORGANISATION: 5, NETWORK: 2}


def test_a_name_that_proves_nothing_is_not_the_first_of_its_organisation(bench: Any, retry: Any) -> None:
    dynamic = Caller(b"\xc0\0\2\1", (NETWORK, ORGANISATION), "mx.farm.example", lambda name, address: False)
    assert retry(dynamic) is Grey.PASSED
    retry(FARM[0])
    assert counted(bench) == {}
    retry(FARM[1])
    assert counted(bench) == {ORGANISATION: 2}


def test_a_first_one_counts_in_one_history_only(bench: Any, retry: Any) -> None:
    retry(NAMELESS)
    retry(NAMELESS)
    # As when it has expired.
    bench.ledger.clients.delete(NETWORK.encode())
    retry(NAMELESS)
    assert counted(bench) == {}


def test_identities_of_one_caller_that_share_a_place_begin_a_history(bench: Any) -> None:
    histories = Histories(bench.ledger.clients, firsts=1)
    caller = Caller(b"\xc0\0\2\1", (NETWORK, BY_SPF))
    for _ in range(2):
        histories.count(caller, float(START), Terms())
    assert counted(bench) == {NETWORK: 1, BY_SPF: 2}


@pytest.mark.parametrize("proven", [True, False])
def test_a_name_that_proves_nothing_leaves_the_network_to_count_for(
    bench: Any, retry: Any, proven: bool
) -> None:
    identities = (NETWORK, ORGANISATION, BY_SPF)
    caller = Caller(b"\xc0\0\2\1", identities, "mx.farm.example", lambda name, address: proven)
    for _ in range(3):
        retry(caller)
    assert counted(bench) == ({ORGANISATION: 3, BY_SPF: 3} if proven else {NETWORK: 3, BY_SPF: 3})


def test_what_came_first_by_one_identity_has_the_others_counted_from_then_on(bench: Any, retry: Any) -> None:
    for number in range(3):
        retry(Caller(b"\xc0\0\2\1", (f"198.18.{number}.0/24", BY_SPF)))
    assert counted(bench) == {BY_SPF: 3, "198.18.1.0/24": 1, "198.18.2.0/24": 1}


def test_a_history_goes_on_after_a_restart_and_what_had_not_begun_begins_anew(bench: Any, retry: Any) -> None:
    retry(NAMELESS)
    retry(NAMELESS)
    retry(FARM[0])
    bench.restart()
    retry(NAMELESS)
    retry(FARM[1])
    assert counted(bench) == {NETWORK: 3}


def test_who_is_spared_after_one_has_it_counted_at_once(bench: Any, retry: Any) -> None:
    bench.ledger.terms = replace(bench.ledger.terms, auto_allow_after=1)
    assert retry(NAMELESS) is Grey.PASSED
    assert retry(NAMELESS) is Grey.CLIENT_EARNED


def test_what_is_forgotten_by_command_is_forgotten_in_memory_too(bench: Any, retry: Any) -> None:
    retry(NAMELESS)
    bench.ledger.forget("clients", NETWORK.encode(), float(START))
    retry(NAMELESS)
    assert counted(bench) == {}
    retry(NAMELESS)
    bench.ledger.forget("clients", NETWORK.encode(), float(START))
    retry(NAMELESS)
    assert counted(bench) == {}


def test_two_at_one_place_of_memory_are_told_apart(bench: Any) -> None:
    histories = Histories(bench.ledger.clients, firsts=1)
    other = Caller(b"\xc6\x33\x64\1", ("198.51.100.0/24",))
    for caller in (NAMELESS, other, NAMELESS, other, other):
        histories.count(caller, float(START), Terms())
    assert counted(bench) == {"198.51.100.0/24": 2}


def test_memory_holds_no_more_than_it_says(bench: Any) -> None:
    assert Histories(bench.ledger.clients)._firsts.nbytes == 8 * FIRSTS  # type: ignore[union-attr]


@pytest.mark.parametrize("where", ["get", "put"])
def test_where_the_store_fails_nothing_is_counted_and_nobody_waits(
    bench: Any, retry: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    broken = Histories(FailingTable(bench.ledger.clients, where))  # type: ignore[arg-type]
    monkeypatch.setattr(bench.ledger, "_histories", broken)
    assert retry(NAMELESS) is Grey.PASSED
    assert retry(NAMELESS) is Grey.PASSED
    assert counted(bench) == {}


class FailingTable:
    """A table of which one method fails."""

    def __init__(self, table: Any, where: str) -> None:
        self._table = table
        self._where = where

    def get(self, key: bytes, now: float) -> Any:
        return self._do("get", key, now)

    def put(self, key: bytes, row: Any) -> None:
        self._do("put", key, row)

    def _do(self, name: str, *arguments: Any) -> Any:
        if name == self._where:
            raise StoreError("broken")
        return getattr(self._table, name)(*arguments)
