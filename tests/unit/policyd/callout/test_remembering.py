"""What is remembered of callouts, and forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailbase.store import StoreError
from policyd.callout.conversation import Outcome
from policyd.callout.result import Result
from tests.unit.workers import ManualWorker

from ..callouts import ADA, ALL, CATCH_ALL, DOWN, KNOWN, TEMPORARY, UNKNOWN, World, replies, terms


def test_results_live_as_long_as_they_should(world: World) -> None:
    world.answers["192.0.2.40"] = replies("450 later")
    for address, result, life in ((ADA, KNOWN, 900), ("eve@inst.example", UNKNOWN, 600)):
        assert world.ask(address) is result
        calls = len(world.calls)
        world.clock.advance(life - 1)
        assert world.ask(address) is result
        assert len(world.calls) == calls
        world.clock.advance(1)
        assert world.ask(address) is result
        assert len(world.calls) == calls + 1
    world.ask("ada@lone.example")
    calls = len(world.calls)
    world.clock.advance(29)
    assert world.ask("ADA@lone.example") is TEMPORARY
    assert len(world.calls) == calls
    world.clock.advance(1)
    world.ask("ada@lone.example")
    assert len(world.calls) == calls + 1


def test_a_closed_account_is_unknown_within_15_minutes_even_if_its_server_is_down(world: World) -> None:
    assert world.ask("ada@lone.example") is KNOWN
    world.answers["192.0.2.40"] = DOWN
    world.clock.advance(899)
    assert world.ask("ada@lone.example") is KNOWN
    world.clock.advance(1)
    assert world.ask("ada@lone.example") is TEMPORARY


@pytest.mark.parametrize("back", [3600, 7200])
def test_no_result_lives_longer_since_the_clock_was_set_back(world: World, back: float) -> None:
    world.answers["192.0.2.40"] = ALL
    for address, result in ((ADA, KNOWN), ("eve@inst.example", UNKNOWN), ("x@lone.example", CATCH_ALL)):
        assert world.ask(address) is result
        calls = len(world.calls)
        world.clock.advance(-back)
        assert world.ask(address) is result
        assert len(world.calls) == calls + 1
        assert world.ask(address) is result
        assert len(world.calls) == calls + 1
    world.ask("y@lone.example")
    assert world.calls[-1].script.recipients == (b"<x@lone.example>",)


def test_a_life_that_was_made_shorter_holds_for_what_is_known_already(world: World) -> None:
    assert world.ask(ADA) is KNOWN
    world.clock.advance(700)
    world.configure(terms(positive="3m"))
    world.ask(ADA)
    assert len(world.calls) == 1
    world.configure(terms(positive="1m"))
    world.ask(ADA)
    assert len(world.calls) == 2


def test_lives_of_zero_remember_nothing(make: Callable[..., World]) -> None:
    world = make(terms(positive="0s", negative="0s", catch_all="false"))
    for _ in range(2):
        assert world.ask(ADA) is KNOWN
    assert len(world.calls) == 2


def test_results_outlive_the_daemon(world: World, bench: Any, make: Callable[..., World]) -> None:
    assert world.ask(ADA) is KNOWN
    world.store.close()
    again = World(bench.clock, bench.log, world.folder, ManualWorker())
    assert again.ask(ADA) is KNOWN
    assert again.calls == []


def test_a_word_of_a_later_version_in_the_store_is_nothing_known(world: World) -> None:
    table = world.store.table("callouts")
    world.ask(ADA)
    for key in list(table.pending):
        row = table.pending[key]
        assert row is not None
        table.put(key, ("unheard-of", *row[2:]))
    assert world.ask(ADA) is KNOWN
    assert len(world.calls) == 2


def test_no_address_stands_in_the_store(world: World) -> None:
    world.ask(ADA)
    world.store.close()
    assert b"ada" not in (world.folder / "callouts.sqlite").read_bytes()


def test_a_store_that_is_broken_costs_callouts_and_nothing_else(world: World) -> None:
    def broken(*arguments: object) -> None:
        raise StoreError("no disk")

    table = world.results._memory
    world.results._memory = type("Broken", (), {"get": broken, "put": broken, "delete": broken})()
    world.callouts._limits = type("Broken", (), {"take": broken})()  # type: ignore[assignment]
    for _ in range(2):
        assert world.ask(ADA) is KNOWN
    assert len(world.calls) == 2
    world.results._memory = table


class Remote:
    """A memory on another machine: every answer later, some never."""

    def __init__(self, table: Any) -> None:
        self.table = table
        self.broken = False
        self.waiting: list[tuple[Deferred[Any], Callable[[], Any]]] = []

    def _later(self, function: Callable[[], Any]) -> Deferred[Any]:
        deferred: Deferred[Any] = Deferred()
        self.waiting.append((deferred, function))
        return deferred

    def get(self, key: bytes, now: float) -> Deferred[Any]:
        return self._later(lambda: self.table.get(key, now))

    def put(self, key: bytes, row: Any) -> Deferred[Any]:
        return self._later(lambda: self.table.put(key, row))

    def delete(self, key: bytes) -> Deferred[Any]:
        return self._later(lambda: self.table.delete(key))

    def run(self) -> None:
        while self.waiting:
            deferred, function = self.waiting.pop(0)
            if self.broken:
                deferred.errback(StoreError("away"))
            else:
                deferred.callback(function())


def test_a_memory_on_another_machine(world: World) -> None:
    remote = Remote(world.results._memory)
    world.results._memory = remote
    for broken, calls in ((False, 1), (False, 1), (True, 2)):
        remote.broken = broken
        got = world.start(ADA)
        assert got == []
        remote.run()
        assert got == [KNOWN]
        assert len(world.calls) == calls


def test_nodes_that_share_a_memory_share_what_is_known_and_what_is_forgotten(
    make: Callable[..., World],
) -> None:
    one, other = make(), make()
    remote = Remote(one.results._memory)
    one.results._memory = other.results._memory = remote
    other.results._generations = iter(range(1000, 2000)).__next__  # random in the field

    def ask(world: World) -> Result:
        got = world.start(ADA)
        remote.run()
        (result,) = got
        return result

    def forget(world: World, local: str | None) -> None:
        Deferred.fromCoroutine(world.callouts.forget("inst.example", local))
        remote.run()

    assert (ask(one), ask(other)) == (KNOWN, KNOWN)
    assert len(one.calls) + len(other.calls) == 1
    for local, by, asked in (("ada", other, one), (None, one, other)):
        one.users = other.users = set()
        forget(by, local)
        assert ask(asked) is UNKNOWN
        one.users = other.users = {ADA}
        forget(asked, local)
        assert (ask(by), ask(asked)) == (KNOWN, KNOWN)


def test_no_letter_of_unicode_passes_for_one_of_ascii(world: World) -> None:
    # The Kelvin sign's lower case is the letter k: whoever asked for it would have Mike refused.
    world.users.add("mike@inst.example")
    world.answers["192.0.2.25"] = Outcome(failure="SMTPUTF8 is not offered", lacks_smtputf8=True)
    assert world.ask("mi\u212ae@inst.example") is Result.UNFIT
    del world.answers["192.0.2.25"]
    assert world.ask("MIKE@inst.example") is KNOWN


# ---- forgetting --------------------------------------------------------------------------------------


def test_an_address_is_forgotten_at_once(world: World) -> None:
    for address in (ADA, "bob@inst.example"):
        world.ask(address)
    world.users.clear()
    assert world.forget("inst.example", "ada")
    assert not world.forget("inst.example", "ada")
    assert world.ask(ADA) is UNKNOWN
    calls = len(world.calls)
    assert world.ask("bob@inst.example") is UNKNOWN
    assert len(world.calls) == calls


def test_a_domain_is_forgotten_at_once_and_no_other(world: World) -> None:
    for address in (ADA, "bob@inst.example", "ada@other.example"):
        world.ask(address)
    world.users.clear()
    world.forget("inst.example")
    calls = len(world.calls)
    assert world.ask("ada@other.example") is KNOWN
    assert len(world.calls) == calls
    assert world.ask(ADA) is UNKNOWN
    # And what is learnt afterwards is remembered.
    assert world.ask(ADA) is UNKNOWN
    assert len(world.calls) == calls + 1


@pytest.mark.parametrize("local", ["ada", None])
def test_what_is_under_way_comes_too_late(world: World, local: str | None) -> None:
    world.delay = 2.0
    before = world.start(ADA)
    world.clock.advance(1.0)
    world.forget("inst.example", local)
    world.users.clear()
    after = world.start(ADA)
    world.clock.advance(1.0)
    assert before == [KNOWN]
    assert after == []
    world.clock.advance(1.0)
    assert after == [UNKNOWN]
    assert world.start(ADA) == [UNKNOWN]
    assert len(world.calls) == 2


@pytest.mark.parametrize("local", ["ada", None])
def test_what_is_under_way_is_not_remembered_either(world: World, local: str | None) -> None:
    world.delay = 1.0
    before = world.start(ADA)
    world.forget("inst.example", local)
    world.clock.advance(1.0)
    assert before == [KNOWN]
    world.users.clear()
    world.delay = 0.0
    assert world.ask(ADA) is UNKNOWN


def test_that_a_server_takes_everything_is_forgotten_with_an_address(world: World) -> None:
    world.answers["192.0.2.40"] = ALL
    assert world.ask("a@lone.example") is CATCH_ALL
    del world.answers["192.0.2.40"]
    world.forget("lone.example", "closed")
    assert world.ask("closed@lone.example") is UNKNOWN
