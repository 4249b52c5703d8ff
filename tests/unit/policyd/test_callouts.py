"""Who is asked, how often, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred

from mailbase.store import StoreError
from policyd.callout import callouts as module
from policyd.callout.conversation import Outcome
from policyd.callout.result import Result
from policyd.metrics import Metrics

from .callouts import ALL, CLIENT, DOWN, EOF, World, replies
from .conftest import ManualWorker

KNOWN, UNKNOWN, CATCH_ALL, TEMPORARY = Result.KNOWN, Result.UNKNOWN, Result.CATCH_ALL, Result.TEMPORARY
ADA = "ada@inst.example"


@pytest.fixture
def make(bench: Any, tmp_path: Path) -> Callable[..., World]:
    def make(configuration: str = "") -> World:
        folder = tmp_path / f"world{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return World(bench.clock, bench.log, folder, ManualWorker(), configuration)

    return make


@pytest.fixture
def world(make: Callable[..., World]) -> World:
    return make()


def terms(**values: object) -> str:
    return "policyd: {callout: {" + ", ".join(f"{name}: {value}" for name, value in values.items()) + "}}"


# ---- what servers say --------------------------------------------------------------------------------


def test_a_known_and_an_unknown_recipient(world: World) -> None:
    assert world.ask(ADA) is KNOWN
    assert world.ask("eve@inst.example") is UNKNOWN
    assert [(call.host, call.port, call.name) for call in world.calls] == [
        ("192.0.2.25", 25, "mail.inst.example")
    ] * 2
    assert world.calls[1].script.recipients == (b"<eve@inst.example>",)
    assert world.calls[1].script.hello == "mx.gate.example"


def test_a_systems_host_name_is_asked_for_at_its_server(world: World) -> None:
    assert world.ask("root@printer.inst.example") is UNKNOWN
    assert world.calls[0].name == "mail.inst.example"


def test_a_server_registered_without_addresses_is_looked_up(world: World) -> None:
    assert world.ask("ada@named.example") is KNOWN
    assert world.calls[0].host == "192.0.2.77"
    assert {consumer for _, _, consumer in world.resolver.asked} == {"callout"}


def test_a_server_that_is_not_in_dns_cannot_say(world: World) -> None:
    assert world.ask("x@gone.example", server="gone.example") is TEMPORARY
    assert world.calls == []


@pytest.mark.parametrize("reply", ["450 4.2.0 greylisted", "550 5.7.1 you are on a list", "503 what?"])
def test_other_refusals_are_no_verdict(world: World, reply: str) -> None:
    world.answers["192.0.2.25"] = replies(reply)
    assert world.ask(ADA) is TEMPORARY
    # It is there, so neither its other address nor its backup is asked.
    assert len(world.calls) == 1


def test_no_mail_for_non_ascii_reaches_a_server_without_smtputf8(world: World) -> None:
    world.answers["192.0.2.25"] = Outcome(failure="SMTPUTF8 is not offered", lacks_smtputf8=True)
    assert world.ask("jörg@inst.example") is Result.UNFIT
    assert world.calls[0].script.smtputf8
    assert world.ask("jörg@inst.example") is Result.UNFIT
    assert len(world.calls) == 1
    world.clock.advance(601)
    world.answers["192.0.2.25"] = ALL
    assert world.ask("jörg@inst.example") is CATCH_ALL, "as long as an unknown one, and no longer"


@pytest.mark.parametrize("local", ["x" * 600, "ü" * 300, "a\nb"])
def test_what_has_no_path_reaches_no_server(world: World, local: str) -> None:
    assert world.ask(f"{local}@inst.example") is Result.UNFIT
    assert world.calls == []


# ---- who is called -----------------------------------------------------------------------------------


def test_the_other_address_and_then_the_backup_are_called(world: World) -> None:
    world.answers["192.0.2.25"] = DOWN
    assert world.ask(ADA) is KNOWN
    world.answers["2001:db8::25"] = DOWN
    world.forget("inst.example")
    assert world.ask(ADA) is KNOWN
    assert [call.host for call in world.calls] == [
        "192.0.2.25",
        "2001:db8::25",
        "192.0.2.25",
        "2001:db8::25",
        "192.0.2.26",
    ]
    assert world.metrics.failures == 3


def test_nobody_is_there(world: World) -> None:
    for host in ("192.0.2.25", "2001:db8::25", "192.0.2.26"):
        world.answers[host] = DOWN
    assert world.ask(ADA) is TEMPORARY
    assert len(world.calls) == 3


def test_the_backup_has_its_share_of_the_time(world: World) -> None:
    world.delay = 1000.0
    got = world.start(ADA, seconds=100.0)
    for _ in range(40):
        world.clock.advance(1.0)
    begin = world.calls[0].until - 22.0
    assert [round(call.until - begin, 1) for call in world.calls] == [22.0, 26.0, 30.0]
    assert got == [TEMPORARY]


def test_it_never_calls_itself_or_loopback(world: World) -> None:
    assert world.ask("ada@own.example") is Result.UNASKABLE
    assert world.ask("ada@loop.example") is Result.UNASKABLE
    assert world.calls == []
    assert world.metrics.forbidden == 2


def test_it_never_calls_where_dns_leads_to_ourselves(world: World) -> None:
    world.resolver.set("named.example", "A", ["127.0.0.1", "198.51.100.3"])
    world.resolver.set("named.example", "AAAA", ["::1", "fe80::1"])
    assert world.ask("ada@named.example") is Result.UNASKABLE
    world.resolver.set("named.example", "A", ["127.0.0.1", "192.0.2.78"])
    assert world.ask("ada@named.example") is KNOWN
    assert [call.host for call in world.calls] == ["192.0.2.78"]


def test_a_relay_of_ours_is_never_called(world: World, bench: Any) -> None:
    settings = world.load("").model_copy()
    world.settings = world.load(terms(temporary="0s"))
    world.callouts.configure(
        world.settings.model_copy(
            update={"identity": settings.identity.model_copy(update={"relays": ("lone.example",)})}
        ).with_registry(world.settings.registry)
    )
    assert world.ask("ada@lone.example") is Result.UNASKABLE
    assert world.calls == []


def test_a_test_target_may_be_loopback_and_is_warned_of(make: Callable[..., World], bench: Any) -> None:
    world = make(terms(test_targets="{loop.example: '127.0.0.9:2525'}"))
    assert world.ask("ada@loop.example") is UNKNOWN
    assert world.calls[0][:2] == ("127.0.0.9", 2525)
    assert "event=callout-test-target server=loop.example place=127.0.0.9:2525" in bench.stream.getvalue()


def test_a_server_whose_tls_fails_is_called_without(world: World) -> None:
    world.answers["192.0.2.40"] = lambda call: EOF if call.script.tls else replies("250 ok", "550 no")
    assert world.ask("ada@lone.example") is KNOWN
    assert [call.script.tls for call in world.calls] == [True, False]
    assert world.ask("eve@lone.example") is KNOWN
    assert [call.script.tls for call in world.calls] == [True, False, False]
    world.clock.advance(module.PLAIN)
    assert world.ask("bob@lone.example") is KNOWN
    assert world.calls[-2].script.tls


def test_that_tls_fails_is_remembered_also_where_no_time_is_left_to_go_without(world: World) -> None:
    world.answers["192.0.2.40"] = lambda call: EOF if call.script.tls else replies("250 ok", "550 no")
    world.delay = 30.0
    got = world.start("ada@lone.example", seconds=300.0)
    world.clock.advance(30.0)
    assert got == [TEMPORARY]
    world.delay = 0.0
    assert world.ask("eve@lone.example") is KNOWN
    assert [call.script.tls for call in world.calls] == [True, False]


# ---- what is remembered ------------------------------------------------------------------------------


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


# ---- servers that refuse everything ------------------------------------------------------------------


def test_a_server_that_refuses_who_exists_refuses_nobody(world: World, bench: Any) -> None:
    world.answers["192.0.2.41"] = replies("550 no such user", "550 no such user")
    assert world.ask("someone@sure.example") is TEMPORARY
    assert world.calls[0].script.control == b"<ada@sure.example>"
    world.clock.advance(31)
    assert world.ask("someone@sure.example") is TEMPORARY
    assert bench.stream.getvalue().count("event=callout-existing-refused") == 1
    assert world.metrics.existing_refused == 2
    world.clock.advance(31)
    world.answers["192.0.2.41"] = replies("550 no such user", "250 ok")
    assert world.ask("someone@sure.example") is UNKNOWN
    assert bench.stream.getvalue().count("event=callout-existing-accepted") == 1


def test_the_existing_address_is_tested_by_another_one(world: World) -> None:
    world.users.add("eve@sure.example")
    assert world.ask("ada@sure.example") is UNKNOWN
    assert world.calls[0].script.control == b"<eve@sure.example>"


@pytest.mark.parametrize("second", ["450 later", "252 perhaps"])
def test_a_control_that_tells_nothing_changes_nothing(world: World, second: str) -> None:
    world.answers["192.0.2.41"] = replies("550 no such user", second)
    assert world.ask("someone@sure.example") is UNKNOWN


def test_a_server_that_hangs_up_behind_its_refusal_is_believed(world: World) -> None:
    world.answers["192.0.2.41"] = replies("550 no such user")
    assert world.ask("someone@sure.example") is UNKNOWN


def test_without_an_existing_address_the_server_is_believed(world: World) -> None:
    assert world.ask("someone@lone.example") is UNKNOWN
    assert world.calls[0].script.control == b""


# ---- servers that take everything --------------------------------------------------------------------


def test_a_server_that_takes_everything_is_not_asked_for_each_address(world: World) -> None:
    world.answers["192.0.2.40"] = ALL
    assert world.ask("a@lone.example") is CATCH_ALL
    assert world.calls[0].script.probe == b"<made-up@lone.example>"
    for number in range(5):
        assert world.ask(f"{number}@lone.example") is CATCH_ALL
    assert len(world.calls) == 1
    world.clock.advance(900)
    del world.answers["192.0.2.40"]
    assert world.ask("0@lone.example") is UNKNOWN


def test_a_server_that_refuses_what_is_made_up_is_tested_once_for_a_domain(world: World) -> None:
    world.users.add("bob@inst.example")
    for address in (ADA, "bob@inst.example", "ada@other.example"):
        assert world.ask(address) is KNOWN
    assert [bool(call.script.probe) for call in world.calls] == [True, False, True]
    world.clock.advance(600)
    world.users.add("eve@inst.example")
    world.ask("eve@inst.example")
    assert world.calls[-1].script.probe


def test_a_test_that_tells_nothing_is_made_again(world: World) -> None:
    world.answers["192.0.2.40"] = replies("250 ok", "452 too many")
    assert world.ask("a@lone.example") is KNOWN
    assert world.ask("b@lone.example") is KNOWN
    assert all(call.script.probe for call in world.calls)


def test_what_a_backup_takes_says_nothing_of_the_server(world: World) -> None:
    world.answers["192.0.2.25"] = world.answers["2001:db8::25"] = DOWN
    world.answers["192.0.2.26"] = replies("250 ok")
    assert world.ask("x@inst.example") is KNOWN
    assert world.calls[-1].script.probe == b""


def test_nothing_is_made_up_where_that_is_off(make: Callable[..., World]) -> None:
    world = make(terms(catch_all="false"))
    world.ask(ADA)
    assert world.calls[0].script.probe == b""


def test_an_unknown_address_stays_unknown_beside_a_server_that_takes_everything(world: World) -> None:
    assert world.ask("eve@lone.example") is UNKNOWN
    world.answers["192.0.2.40"] = ALL
    assert world.ask("bob@lone.example") is CATCH_ALL
    assert world.ask("eve@lone.example") is UNKNOWN


# ---- not too much at once ----------------------------------------------------------------------------


def test_one_callout_for_all_who_ask(world: World) -> None:
    world.delay = 1.0
    waiting = [world.start(address) for address in (ADA, "ADA@inst.example", ADA)]
    assert len(world.calls) == 1
    world.clock.advance(1.0)
    assert waiting == [[KNOWN]] * 3
    assert world.metrics.joined == 2


def test_connections_to_a_server_are_limited_and_the_queue_behind_them(make: Callable[..., World]) -> None:
    world = make(terms(concurrency=2, backlog=3))
    world.delay = 1.0
    waiting = [world.start(f"{number}@lone.example") for number in range(6)]
    assert waiting[5] == [Result.BUSY]
    assert len(world.calls) == 2
    assert world.metrics.now().waiting == 3
    assert world.metrics.now().in_flight == 5
    world.start(ADA)
    assert len(world.calls) == 3, "another server has its own"
    for _ in range(3):
        world.clock.advance(1.0)
    assert waiting[:5] == [[UNKNOWN]] * 5
    assert world.metrics.now().in_flight == world.metrics.now().waiting == 0
    # What could not be asked is not remembered.
    world.delay = 0.0
    assert world.ask("5@lone.example") is UNKNOWN


def test_whoever_waits_too_long_in_the_queue_is_busy(make: Callable[..., World]) -> None:
    world = make(terms(concurrency=1, deadline="2s"))
    world.delay = 100.0
    waiting = [world.start(f"{number}@lone.example") for number in range(3)]
    world.clock.advance(2.0)
    assert waiting[0] == [TEMPORARY]
    assert waiting[1:] == [[Result.BUSY]] * 2
    assert world.metrics.now().in_flight == 0


def test_a_long_queue_behind_a_server_that_fails_at_once_is_no_trouble(
    make: Callable[..., World], bench: Any
) -> None:
    world = make(terms(concurrency=1, backlog=3000, failures=1, server_budget=100_000))
    world.delay = 1.0
    world.answers["192.0.2.40"] = DOWN
    waiting = [world.start(f"{number}@lone.example") for number in range(2000)]
    world.clock.advance(1.0)
    assert waiting == [[TEMPORARY]] * 2000
    assert len(world.calls) == 1
    assert world.metrics.now().in_flight == world.metrics.now().waiting == 0
    assert "RecursionError" not in bench.stream.getvalue()
    world.clock.advance(30)
    del world.answers["192.0.2.40"]
    waiting = [world.start(f"{number}@lone.example", client=None) for number in range(10)]
    world.clock.advance(10.0)
    for _ in range(10):
        world.clock.advance(1.0)
    assert [UNKNOWN] in waiting


def test_callouts_in_all_are_limited(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FLIGHTS", 2)
    world.delay = 1.0
    waiting = [world.start(f"{number}@inst.example") for number in range(3)]
    assert waiting == [[], [], [Result.BUSY]]


def test_the_mails_deadline_decides_and_the_callout_goes_on(world: World) -> None:
    world.delay = 10.0
    got = world.start(ADA, seconds=8.0)
    world.clock.advance(7.9)
    assert got == []
    world.clock.advance(0.1)
    assert got == [TEMPORARY]
    assert world.metrics.late == 1
    world.clock.advance(2.0)
    assert world.ask(ADA) is KNOWN
    assert len(world.calls) == 1


def test_a_callout_ends_at_its_own_deadline(world: World) -> None:
    world.delay = 1000.0
    got = world.start("ada@lone.example", seconds=300.0)
    world.clock.advance(29.9)
    assert got == []
    world.clock.advance(0.1)
    assert got == [TEMPORARY]


def test_a_server_that_fails_is_left_alone_and_tried_again(world: World, bench: Any) -> None:
    world.answers["192.0.2.40"] = DOWN
    for number in range(7):
        assert world.ask(f"{number}@lone.example") is TEMPORARY
    assert len(world.calls) == 5
    assert world.metrics.now().servers_down == 1
    log = bench.stream.getvalue()
    assert "event=callout-server-down server=lone.example" in log
    assert "192.0.2.40: cannot connect: refused (at connect)" in log
    world.clock.advance(30)
    del world.answers["192.0.2.40"]
    assert world.ask("ada@lone.example") is KNOWN
    assert world.ask("7@lone.example") is UNKNOWN
    assert "event=callout-server-up server=lone.example" in bench.stream.getvalue()
    assert world.metrics.now().servers_down == 0


def test_only_one_tries_a_server_that_was_down(world: World) -> None:
    world.answers["192.0.2.40"] = DOWN
    for number in range(5):
        world.ask(f"{number}@lone.example")
    world.clock.advance(30)
    world.delay = 1.0
    first = world.start("a@lone.example")
    assert world.start("b@lone.example") == [TEMPORARY]
    world.clock.advance(1.0)
    assert first == [TEMPORARY]
    world.delay = 0.0
    assert world.start("c@lone.example") == [TEMPORARY]
    assert len(world.calls) == 6


def test_a_server_that_is_left_alone_does_not_hold_up_its_backup(world: World) -> None:
    world.answers["192.0.2.25"] = world.answers["2001:db8::25"] = DOWN
    for number in range(6):
        assert world.ask(f"{number}@inst.example") is UNKNOWN
    assert [call.host for call in world.calls[-2:]] == ["192.0.2.26"] * 2


def test_a_server_that_says_no_to_us_is_not_down(world: World) -> None:
    world.answers["192.0.2.40"] = replies("550 5.7.1 no")
    for number in range(7):
        world.ask(f"{number}@lone.example")
    assert len(world.calls) == 7


# ---- budgets -----------------------------------------------------------------------------------------


def test_a_client_may_ask_for_so_many_unknown_recipients(make: Callable[..., World]) -> None:
    world = make(terms(client_budget=3))
    results = [world.ask(f"{number}@inst.example") for number in range(5)]
    assert results == [UNKNOWN] * 3 + [Result.OVER_BUDGET] * 2
    assert len(world.calls) == 3
    # Its neighbours are in the same network, others are not; and what is known needs no asking.
    assert world.ask("5@inst.example", client=bytes((198, 18, 0, 99))) is Result.OVER_BUDGET
    assert world.ask("6@inst.example", client=bytes((198, 18, 1, 7))) is UNKNOWN
    assert world.ask("7@inst.example", client=None) is UNKNOWN
    assert world.ask("0@inst.example") is UNKNOWN
    world.clock.advance(20)
    assert world.ask("8@inst.example") is UNKNOWN
    assert world.ask("9@inst.example") is Result.OVER_BUDGET


def test_a_network_of_ipv6_is_one_client(make: Callable[..., World]) -> None:
    world = make(terms(client_budget=1))
    client = bytes.fromhex("20010db8000100020000000000000001")
    assert world.ask("a@inst.example", client=client) is UNKNOWN
    assert world.ask("b@inst.example", client=client[:8] + bytes(8)) is Result.OVER_BUDGET
    assert world.ask("b@inst.example", client=client[:7] + bytes(9)) is UNKNOWN


def test_recipients_that_exist_and_servers_that_fail_cost_a_client_nothing(
    make: Callable[..., World],
) -> None:
    world = make(terms(client_budget=1, temporary="0s"))
    world.users |= {f"{number}@inst.example" for number in range(5)}
    world.answers["192.0.2.40"] = replies("450 later")
    for number in range(5):
        assert world.ask(f"{number}@inst.example") is KNOWN
        assert world.ask(f"{number}@lone.example") is TEMPORARY
    assert world.ask("x@inst.example") is UNKNOWN
    assert world.ask("y@inst.example") is Result.OVER_BUDGET


def test_who_is_over_his_budget_uses_up_no_servers(make: Callable[..., World]) -> None:
    world = make(terms(client_budget=1, server_budget=5))
    assert world.ask("one@inst.example") is UNKNOWN
    for number in range(10):
        assert world.ask(f"n{number}@inst.example") is Result.OVER_BUDGET
    # Nobody was called for these, so others are still asked for.
    assert world.ask(ADA, client=bytes((198, 19, 0, 1))) is KNOWN


def test_many_mails_at_one_time_to_recipients_that_exist_are_within_the_budget(
    make: Callable[..., World],
) -> None:
    world = make(terms(client_budget=2, concurrency=50))
    world.users |= {f"{number}@inst.example" for number in range(20)}
    world.delay = 1.0
    waiting = [world.start(f"{number}@inst.example") for number in range(20)]
    world.clock.advance(1.0)
    assert waiting == [[KNOWN]] * 20


def test_a_server_is_asked_so_often(make: Callable[..., World]) -> None:
    world = make(terms(server_budget=2))
    results = [world.ask(f"{number}@inst.example", client=None) for number in range(3)]
    assert results == [UNKNOWN, UNKNOWN, Result.OVER_BUDGET]
    assert world.ask("ada@lone.example") is KNOWN


def test_a_query_charges_nobody_and_counts_no_hits(make: Callable[..., World]) -> None:
    world = make(terms(client_budget=1))
    for number in range(3):
        assert world.ask(f"{number}@inst.example", trace=False) is UNKNOWN
    world.ask("0@inst.example", trace=False)
    assert world.metrics.hits == 0
    assert world.ask("x@inst.example") is UNKNOWN


# ---- the rest ----------------------------------------------------------------------------------------


def test_a_fault_of_ours_is_no_verdict(world: World, bench: Any) -> None:
    def fails(call: Any) -> Outcome:
        raise RuntimeError("private cause")

    world.answers["192.0.2.40"] = fails
    assert world.ask("ada@lone.example") is TEMPORARY
    assert "event=callout-failed" in bench.stream.getvalue()
    assert world.metrics.now().in_flight == 0
    del world.answers["192.0.2.40"]
    assert world.ask("ada@lone.example") is KNOWN, "nothing is stuck"


def test_settings_change_at_a_reload(world: World) -> None:
    world.ask(ADA)
    world.configure(terms(client_budget=1, test_targets="{mail.inst.example: '[::1]:26'}"))
    assert world.ask("a@inst.example") is UNKNOWN
    assert world.calls[-1][:2] == ("::1", 26)
    assert world.ask("b@inst.example") is Result.OVER_BUDGET


def test_a_server_that_is_no_longer_registered_is_let_go(world: World) -> None:
    world.ask(ADA)
    world.ask("ada@lone.example")
    assert set(world.callouts._lanes) == {"mail.inst.example", "lone.example"}
    (world.folder / "registry.yaml").write_text("servers: {lone.example: {domains: {lone.example: }}}")
    world.configure("")
    assert set(world.callouts._lanes) == {"lone.example"}


def test_everything_is_counted(world: World) -> None:
    metrics = Metrics()
    metrics.callouts = world.metrics
    registry = CollectorRegistry()
    registry.register(metrics)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"policyd_callout{name}", labels)

    assert value("s_total", result="known") == value("_hits_total") == value("_servers_down") == 0
    world.delay = 0.3
    first, second = world.start(ADA), world.start(ADA)
    assert value("_in_flight") == 1
    world.clock.advance(0.3)
    assert (first, second) == ([KNOWN], [KNOWN])
    world.ask(ADA)
    assert value("s_total", result="known") == 1
    assert value("_hits_total") == 1
    assert value("_joined_total") == 1
    assert value("_seconds_bucket", le="0.25") == 0
    assert value("_seconds_bucket", le="0.5") == 1
    assert value("_seconds_count") == 1
    assert value("_seconds_sum") == pytest.approx(0.3)
    # What is not asked takes no time.
    world.ask("x@own.example")
    assert value("s_total", result="unaskable") == 1
    assert value("_seconds_count") == 1
    assert CLIENT
