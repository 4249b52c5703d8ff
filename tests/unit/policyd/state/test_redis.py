"""State on Redis, wired, without a server."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from mailbase.config import loads
from mailbase.logs import Log
from mailbase.store import StoreError
from mailbase.store.redis.sentinel import Sentinels
from mailbase.ticket import Ticket
from mailbase.vocabulary import Flow
from mailbase.wallclock import WallClock
from policyd.evidence.facts import Grey
from policyd.greylist.identity import Caller
from policyd.shared.ledger import RedisLedger
from policyd.shared.shelf import RosterShelf
from policyd.state.opening import open_state
from policyd.state.state import State
from policyd.state.tables import TABLES

CALLER = Caller(b"\xc0\0\2\1", ("192.0.2.0/24", "spf:a.example"))


class Reactor(Clock):
    """What the daemon's reactor has beside time."""

    def __init__(self) -> None:
        super().__init__()
        self.begin: list[Callable[[], None]] = []
        self.end: list[Callable[[], None]] = []

    def callWhenRunning(self, function: Callable[[], None]) -> None:
        self.begin.append(function)

    def addSystemEventTrigger(self, phase: str, event: str, function: Callable[[], None]) -> None:
        assert (phase, event) == ("before", "shutdown")
        self.end.append(function)


@pytest.fixture
def reactor() -> Reactor:
    return Reactor()


@pytest.fixture
def log() -> Log:
    return Log("policyd", stream=io.StringIO())


@pytest.fixture
def state(reactor: Reactor, log: Log) -> State:
    return open_state(loads("store: {url: 'redis://192.0.2.1/0'}"), reactor, log)


def with_replies(state: State, reply: Callable[..., Any]) -> RedisLedger:
    """The ledger, its server's replies replaced."""
    ledger = state.ledger
    assert isinstance(ledger, RedisLedger)
    ledger._client.ask = reply  # type: ignore[method-assign]
    return ledger


def test_every_table_is_there_but_those_that_every_node_holds(state: State) -> None:
    held = {"exceptions", "greylist_allowed", "lessons"}
    for spec in TABLES:
        if spec.name in held:
            with pytest.raises(KeyError):
                state.memory(spec.name)
        else:
            assert state.memory(spec.name)


def test_without_connection_nothing_is_known_at_once(state: State) -> None:
    state.close()
    fact: Any = state.ledger.attempt(CALLER, "a@a.example", "b@b.example", 0.0)
    assert fact.grey is Grey.UNAVAILABLE
    with pytest.raises(StoreError):
        state.memory("reputation").get(b"k", 0.0)
    ticket = Ticket("x" * 13, Flow.INBOUND, "192.0.2.1", "a@a.example", "", ())
    state.tickets.keep(ticket, 0.0)
    assert state.tickets.lost == 1


@pytest.mark.parametrize(
    ("reply", "grey", "wait"),
    [(8 * 300, Grey.NEW, 300), (1 + 8 * 7, Grey.EARLY, 7), (2, Grey.PASSED, 0), (3, Grey.KNOWN, 0)],
)
def test_the_scripts_number_is_a_fact(state: State, reply: int, grey: Grey, wait: int) -> None:
    got: list[Any] = []
    ledger = with_replies(state, lambda *asked: succeed(reply))
    answer: Any = ledger.attempt(CALLER, "a@a.example", "b@b.example", 0.0)
    answer.addCallback(got.append)
    assert (got[0].grey, got[0].wait) == (grey, wait)


def test_a_reply_that_does_not_come_is_no_verdict_and_a_fault_is_no_secret(state: State) -> None:
    for error, expected in ((StoreError("no reply in time"), Grey.UNAVAILABLE), (ValueError("bug"), None)):
        got: list[Any] = []
        ledger = with_replies(state, lambda *asked, error=error: fail(error))
        answer: Any = ledger.attempt(CALLER, "a@a.example", "b@b.example", 0.0)
        answer.addCallbacks(
            lambda fact, got=got: got.append(fact.grey), lambda failure, got=got: got.append(None)
        )
        assert got == [expected]


def test_connecting_begins_with_the_reactor_and_ends_before_it(reactor: Reactor, state: State) -> None:
    state.start()
    assert len(reactor.begin) == len(reactor.end) == 1
    assert reactor.getDelayedCalls() == []
    assert state.close()


def test_the_password_is_read_from_its_file(reactor: Reactor, log: Log, tmp_path: Path) -> None:
    from mailbase.config.redis import parse_redis
    from policyd.state.redis import connect

    (tmp_path / "password").write_text("s3cret\r\n")
    settings = loads("store: {url: 'redis://node@192.0.2.1', password_file: password}", folder=tmp_path)
    client, _ = connect(
        settings.store, parse_redis(settings.store.url), reactor, Log("x", stream=io.StringIO())
    )
    assert client._credentials() == ("node", "s3cret")
    (tmp_path / "password").unlink()
    with pytest.raises(StoreError, match="password: No such file"):
        client._credentials()


@pytest.mark.parametrize("url", ["redis://192.0.2.1", "redis+sentinel://192.0.2.1/main/0"])
def test_a_clock_that_is_set_back_makes_no_silent_server_seem_in_time(
    reactor: Reactor, log: Log, url: str
) -> None:
    from mailbase.config.redis import parse_redis
    from policyd.state.redis import connect

    wall = WallClock(reactor, lambda: 1_800_000_000.0 + reactor.rightNow, lambda: reactor.rightNow)
    settings = loads(f"store: {{url: '{url}'}}")
    client, _ = connect(settings.store, parse_redis(settings.store.url), wall, log)
    assert client._clock is reactor
    if isinstance(client._where, Sentinels):
        assert client._where._clock is reactor


def test_metrics_are_there_from_the_beginning(state: State) -> None:
    names = {metric.name for metric in state.collect("policyd")}
    assert {"policyd_redis_up", "policyd_redis_commands", "policyd_redis_seconds"} <= names


def test_a_query_leaves_no_trace(state: State) -> None:
    asked: list[Any] = []

    def reply(script: Any, keys: int, words: Any) -> Deferred[int]:
        asked.append(words[keys + 1])
        return succeed(0)

    ledger = with_replies(state, reply)
    for trace in (True, False):
        ledger.attempt(CALLER, "a@a.example", "b@b.example", 0.0, trace=trace)
    assert asked == [b"$1\r\n1\r\n", b"$1\r\n0\r\n"]


def test_one_bad_row_does_not_hide_the_others(state: State) -> None:
    ledger = with_replies(state, lambda *asked: succeed(0))
    ledger._index({b"nonsense": (0, "", 1 << 40), b"192.0.2.0/24": (0, "", 1 << 40)})
    spared: Any = ledger.attempt(CALLER, "a@a.example", "b@b.example", 0.0)
    assert spared.grey is Grey.CLIENT_ALLOWED


def test_rules_of_a_later_version_are_passed_over(reactor: Reactor) -> None:
    class Rows:
        rows: ClassVar[dict[bytes, Any]] = {
            b"client:192.0.2.1": ("deny", 0, "a", "b", 1 << 40),
            b"planet:mars": ("deny", 0, "a", "b", 1 << 40),
            b"client:192.0.2.2": ("bless", 0, "a", "b", 1 << 40),
            b"client:192.0.2.3": ("deny", 0, "a", "b", 1),
        }

        async def refresh(self) -> None:
            """Nothing is new."""

    got: list[Any] = []
    Deferred.fromCoroutine(RosterShelf(Rows()).load(100.0)).addCallback(got.extend)  # type: ignore[arg-type]
    assert [rule.what for rule in got] == ["192.0.2.1"]
