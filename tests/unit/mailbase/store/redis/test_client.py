"""The client of a Redis server: order, deadlines, connections that break, scripts, metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred

from mailbase.store import StoreError
from mailbase.store.redis import client as module
from mailbase.store.redis.link import Refused
from mailbase.store.redis.metrics import RESULTS
from mailbase.store.redis.script import Script

Outcome = Callable[[Deferred[Any]], list[Any]]


def refusal(ask: Callable[[], Deferred[Any]]) -> str:
    """That ``ask`` fails at once, and why."""
    with pytest.raises(StoreError) as caught:
        ask()
    return str(caught.value)


def test_replies_come_in_the_order_of_the_commands(setup: Any, outcome_of: Outcome) -> None:
    client = setup.started()
    setup.server.table |= {b"GET": lambda key: key.upper(), b"EXISTS": 1, b"MGET": [b"x", None, 3, [b"y"]]}
    asked = [
        client.call("GET", "a"),
        client.call("EXISTS", b"b"),
        client.call("MGET"),
        client.call("GET", "c"),
    ]
    results = [outcome_of(one) for one in asked]
    setup.pass_time()
    assert results == [[b"A"], [1], [[b"x", None, 3, [b"y"]]], [b"C"]]


def test_an_error_concerns_its_own_command_only(setup: Any, outcome_of: Outcome) -> None:
    client = setup.started()
    setup.server.table |= {b"BAD": Exception("WRONGTYPE no list"), b"GET": b"v"}
    bad, good = outcome_of(client.call("BAD")), outcome_of(client.call("GET"))
    setup.pass_time()
    assert isinstance(bad[0], Refused)
    assert bad[0].code == "WRONGTYPE"
    assert good == [b"v"]
    assert client.up


def test_a_silent_server_fails_what_waits_in_time_and_the_rest_at_once(
    setup: Any, outcome_of: Outcome
) -> None:
    client = setup.started()
    setup.server.silent = True
    waiting = [outcome_of(client.call("GET", i)) for i in range(3)]
    setup.pass_time(0.2)
    late = outcome_of(client.call("GET", 4))
    assert waiting == [[], [], []]
    setup.pass_time(0.06)
    assert [str(one[0]) for one in (*waiting, late)] == ["redis: no reply in time"] * 4
    assert refusal(lambda: client.call("GET", 5)) == "redis: no connection"
    assert client.metrics.commands["timeout"] == 4
    assert client.metrics.commands["refused"] == 1


def test_what_recovers_is_used_again_and_each_way_is_logged_once(setup: Any, outcome_of: Outcome) -> None:
    client = setup.started()
    setup.server.silent = True
    outcome_of(client.call("GET"))
    setup.pass_time(20)
    assert not client.up
    assert len(setup.logged("redis-down")) == 1
    assert "no reply in time" in setup.logged("redis-down")[0]
    setup.server.silent = False
    setup.pass_time(2)
    assert client.up
    assert len(setup.logged("redis-up")) == 2
    got = outcome_of(client.call("PING"))
    setup.pass_time()
    assert got == ["PONG"]


def test_a_stall_of_our_own_is_not_taken_for_the_servers(setup: Any, outcome_of: Outcome) -> None:
    client = setup.started()
    # The reply lies in the socket when this process wakes up, and is read after the timers' turn.
    setup.server.delay = 0.3
    got = outcome_of(client.call("PING"))
    setup.clock.advance(0.3)
    assert got == ["PONG"]
    assert client.up


def test_one_command_after_another_each_has_its_own_time(setup: Any, outcome_of: Outcome) -> None:
    client = setup.started()
    setup.server.delay = 0.2
    got = []
    for _ in range(10):
        got.append(outcome_of(client.call("PING")))
        setup.pass_time(0.1)
    setup.pass_time(0.2)
    assert got == [["PONG"]] * 10


def test_a_server_that_is_off_is_tried_at_once_and_then_every_second(setup: Any, outcome_of: Outcome) -> None:
    client = setup.started()
    setup.pass_time(11)
    setup.server.refuses = True
    before = len(setup.server.attempts)
    lost = outcome_of(client.call("GET"))
    setup.server.break_connection()
    assert isinstance(lost[0], StoreError)
    setup.pass_time()
    times = [when for when, _, _ in setup.server.attempts[before:]]
    assert times == [setup.clock.seconds()]
    setup.pass_time(60)
    assert 60 <= len(setup.server.attempts) - before <= 70
    setup.server.refuses = False
    setup.pass_time(1)
    assert client.up


def test_a_server_that_breaks_every_connection_is_not_asked_more_often(setup: Any) -> None:
    setup.started()
    setup.server.table[b"ROLE"] = Exception("LOADING Redis is loading the dataset in memory")
    setup.server.break_connection()
    before = len(setup.server.attempts)
    setup.pass_time(60)
    assert len(setup.server.attempts) - before <= 70
    assert len(setup.logged("redis-down")) == 2
    assert "LOADING" in setup.logged("redis-down")[1]
    assert len(setup.logged("redis-up")) == 1


@pytest.mark.parametrize("code", ["READONLY", "MASTERDOWN", "LOADING", "NOREPLICAS"])
def test_a_server_that_says_it_cannot_serve_is_left(setup: Any, outcome_of: Outcome, code: str) -> None:
    client = setup.started()
    setup.server.table[b"SET"] = Exception(f"{code} some words")
    refused, behind = outcome_of(client.call("SET", "a", "b")), outcome_of(client.call("GET", "a"))
    setup.clock.advance(0)
    assert isinstance(refused[0], StoreError)
    assert isinstance(behind[0], StoreError)
    setup.pass_time()
    assert len(setup.server.wires) == 2
    assert client.up


def test_a_replica_is_not_used(setup: Any) -> None:
    setup.server.table[b"ROLE"] = [b"slave", b"192.0.2.1", 6379, b"connected", 1]
    client = setup.started()
    assert not client.up
    assert "is a slave, not a master" in setup.logged("redis-down")[0]


@pytest.mark.parametrize("role", [b"", 7, [], [None], "PONG"])
def test_what_is_no_redis_is_not_used_and_not_kept(setup: Any, role: Any) -> None:
    setup.server.table[b"ROLE"] = role
    client = setup.started()
    setup.pass_time(3)
    assert not client.up
    assert len(setup.server.wires) > 2
    assert not any(wire.open for wire in setup.server.wires)


def test_a_server_that_keeps_its_role_to_itself_is_used(setup: Any) -> None:
    setup.server.table[b"ROLE"] = Exception("NOPERM this user has no permissions to run the 'role' command")
    assert setup.started().up


@pytest.mark.parametrize(
    ("table", "credentials", "advice"),
    [
        (
            {b"AUTH": Exception("WRONGPASS invalid username-password pair or user is disabled.")},
            ("", "s3cret"),
            "the server refuses the password of store.url or store.password_file (WRONGPASS",
        ),
        (
            {b"ROLE": Exception("NOAUTH Authentication required.")},
            ("", ""),
            "the server wants a password: set store.password_file (NOAUTH",
        ),
        (
            {b"SELECT": Exception("ERR DB index is out of range")},
            ("", ""),
            "the server refuses the database's number in store.url (ERR DB index",
        ),
        (
            {b"SCRIPT": Exception("NOPERM this user has no permissions to run the 'script|load' command")},
            ("", ""),
            "SCRIPT: NOPERM",
        ),
    ],
)
def test_who_is_not_let_in_is_told_why_and_goes_on_trying(
    setup: Any, table: dict[bytes, Any], credentials: tuple[str, str], advice: str
) -> None:
    right = dict(setup.server.table)
    setup.server.table |= table
    client = setup.started(credentials=credentials, database=99, scripts=(Script(b"return 1"),))
    assert not client.up
    assert advice in setup.logged("redis-down")[0]
    assert "s3cret" not in setup.stream.getvalue()
    setup.server.table = right
    setup.pass_time(2)
    assert client.up


def test_a_connection_is_introduced_before_it_is_used(setup: Any) -> None:
    setup.started(credentials=("node", "pw"), database=3, scripts=(Script(b"return 1"),))
    assert setup.server.commands == [
        [b"AUTH", b"node", b"pw"],
        [b"SELECT", b"3"],
        [b"ROLE"],
        [b"SCRIPT", b"LOAD", b"return 1"],
    ]


def test_a_script_is_run_by_its_digest_and_sent_again_where_it_was_forgotten(
    setup: Any, outcome_of: Outcome
) -> None:
    script = Script(b"return 1")
    client = setup.started(scripts=(script,))
    setup.server.table |= {b"EVALSHA": 7, b"EVAL": 8}
    got = outcome_of(client.run(script, [b"k"], [1, "two"]))
    setup.pass_time()
    assert got == [7]
    assert setup.server.sent(b"EVALSHA")[-1][1:] == [script.digest, b"1", b"k", b"1", b"two"]
    setup.server.table[b"EVALSHA"] = Exception("NOSCRIPT No matching script. Please use EVAL.")
    got = outcome_of(client.run(script, [b"k"], [1, "two"]))
    setup.pass_time()
    assert got == [8]
    assert setup.server.sent(b"EVAL")[-1][1:] == [b"return 1", b"1", b"k", b"1", b"two"]


def test_a_script_that_fails_is_logged_now_and_then(setup: Any, outcome_of: Outcome) -> None:
    script = Script(b"return 1")
    client = setup.started(scripts=(script,))
    setup.server.table[b"EVALSHA"] = Exception("OOM command not allowed when used memory > 'maxmemory'.")
    for _ in range(100):
        got = outcome_of(client.run(script, [], []))
        setup.pass_time(0.05)
        assert isinstance(got[0], Refused)
    assert len(setup.logged("redis-refuses")) == 1
    assert client.up


@pytest.mark.parametrize(
    "error", ["CROSSSLOT Keys in request don't hash to the same slot", "MOVED 3999 192.0.2.1:6379"]
)
def test_a_cluster_is_called_by_its_name(setup: Any, outcome_of: Outcome, error: str) -> None:
    script = Script(b"return 1")
    client = setup.started(scripts=(script,))
    setup.server.table[b"EVALSHA"] = Exception(error)
    got = outcome_of(client.run(script, [], []))
    setup.pass_time(0.05)
    assert isinstance(got[0], Refused)
    assert "Redis Cluster cannot serve policyd" in setup.logged("redis-refuses")[0]


def test_requests_from_before_the_first_moment_wait_as_well(setup: Any, outcome_of: Outcome) -> None:
    client = setup.client()
    setup.server.table[b"GET"] = b"v"
    got = outcome_of(client.call("GET", "a"))
    setup.pass_time()
    assert not got
    client.start()
    setup.pass_time()
    assert got == [b"v"]


def test_requests_from_before_an_end_without_a_start_fail(setup: Any, outcome_of: Outcome) -> None:
    client = setup.client()
    got = outcome_of(client.call("GET", "a"))
    client.stop()
    assert isinstance(got[0], StoreError)


def test_requests_of_the_first_moment_wait_for_the_connection(setup: Any, outcome_of: Outcome) -> None:
    client = setup.client()
    setup.server.table[b"GET"] = b"v"
    client.start()
    got = outcome_of(client.call("GET", "a"))
    assert not got
    setup.pass_time()
    assert got == [b"v"]


@pytest.mark.parametrize("fault", ["hangs", "silent"])
def test_but_not_longer_than_one_attempt_takes(setup: Any, outcome_of: Outcome, fault: str) -> None:
    setattr(setup.server, fault, True)
    client = setup.client()
    client.start()
    got = outcome_of(client.call("GET", "a"))
    setup.pass_time(0.4)
    assert not got
    setup.pass_time(module.FIRST_MOMENT - 0.4 + 0.01)
    assert isinstance(got[0], StoreError)
    refusal(lambda: client.call("GET", "a"))
    setattr(setup.server, fault, False)
    setup.pass_time(3)
    assert client.up


def test_no_more_commands_wait_than_may(
    setup: Any, outcome_of: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_IN_FLIGHT", 5)
    client = setup.client()
    client.start()
    early = [outcome_of(client.call("PING")) for _ in range(6)]
    assert isinstance(early[5][0], StoreError)
    setup.pass_time()
    assert early[:5] == [["PONG"]] * 5
    held = [outcome_of(client.call("PING")) for _ in range(5)]
    assert refusal(lambda: client.call("PING")) == "redis: too many commands wait for replies"
    assert client.metrics.commands["overload"] == 1
    setup.pass_time()
    assert held == [["PONG"]] * 5


def test_who_asks_again_because_of_a_loss_asks_nobody(setup: Any) -> None:
    client = setup.started()
    again: list[Any] = []

    def ask_again(failure: Any) -> None:
        try:
            again.append(client.call("GET", "a"))
        except StoreError as error:
            again.append(error)

    client.call("GET", "a").addErrback(ask_again)
    setup.server.break_connection()
    assert isinstance(again[0], StoreError)


def test_after_the_end_there_is_nothing_left_to_do(setup: Any, outcome_of: Outcome) -> None:
    for fault in ("", "refuses", "hangs", "silent"):
        client = setup.client()
        if fault:
            setattr(setup.server, fault, True)
        client.start()
        setup.pass_time(0.3)
        client.stop()
        setup.pass_time()
        if fault:
            setattr(setup.server, fault, False)
        assert setup.clock.getDelayedCalls() == [], fault
        assert not client.up
    assert len(setup.logged("redis-down")) == 1  # refused


def test_each_connection_is_told_of(setup: Any) -> None:
    client = setup.client()
    told: list[bool] = []
    client.on_connect.append(lambda: told.append(client.up))
    client.start()
    setup.pass_time()
    setup.server.break_connection()
    setup.pass_time(1)
    assert told == [True, True]


def test_who_fails_when_told_does_not_end_the_connecting(setup: Any) -> None:
    client = setup.client()
    client.on_connect.append(lambda: 1 // 0)
    client.start()
    setup.pass_time()
    setup.server.break_connection()
    setup.pass_time(1)
    assert client.up
    assert len(setup.logged("redis-failed")) == 2


def test_every_metric_moves(setup: Any, outcome_of: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    client = setup.client()

    class Shown(Collector):
        def collect(self) -> Any:
            return client.metrics.collect("policyd")

    registry = CollectorRegistry()
    registry.register(Shown())

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"policyd_redis_{name}", labels)

    assert [value("commands_total", result=result) for result in RESULTS] == [0.0] * 6
    assert value("up") == 0
    client.start()
    setup.pass_time()
    assert (value("up"), value("connections_total"), value("failures_total")) == (1, 1, 0)
    before = value("seconds_count")
    outcome_of(client.call("PING"))
    assert value("in_flight") == 1
    setup.pass_time()
    assert value("in_flight") == 0
    assert value("seconds_count") == (before or 0) + 1
    setup.server.delay = 0.2
    outcome_of(client.call("PING"))
    setup.pass_time(0.21)
    assert (value("seconds_bucket", le="0.1"), value("seconds_bucket", le="0.25")) == (2, 3)
    assert 0.15 < (value("seconds_sum") or 0) < 0.25
    setup.server.delay = 0.0
    setup.server.table[b"BAD"] = Exception("ERR no")
    outcome_of(client.call("BAD"))
    setup.pass_time()
    monkeypatch.setattr(module, "MAX_IN_FLIGHT", 0)
    refusal(lambda: client.call("PING"))
    monkeypatch.setattr(module, "MAX_IN_FLIGHT", 10)
    setup.server.silent = True
    outcome_of(client.call("PING"))
    setup.pass_time(0.26)
    refusal(lambda: client.call("PING"))
    setup.server.silent = False
    setup.pass_time(2)
    outcome_of(client.call("PING"))
    setup.server.break_connection()
    assert {result: value("commands_total", result=result) for result in RESULTS if result != "ok"} == {
        "error": 1,
        "timeout": 1 + len(setup.server.attempts[1:-1]),
        "lost": 1,
        "refused": 1,
        "overload": 1,
    }
    assert (value("commands_total", result="ok") or 0) >= 4
    assert (value("failures_total") or 0) >= 2
