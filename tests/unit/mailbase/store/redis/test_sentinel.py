"""Sentinels: whom the client believes, and how it follows a new master."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailbase.store import StoreError
from mailbase.store.redis import sentinel as module
from mailbase.store.redis.client import Place, RedisClient
from mailbase.store.redis.link import Link
from mailbase.store.redis.sentinel import SWITCH, Sentinels

Outcome = Callable[[Deferred[Any]], list[Any]]
FIRST, SECOND = Place("192.0.2.11", 6379), Place("192.0.2.12", 6379)


class Net:
    """Three Sentinels and two servers."""

    def __init__(self, setup: Any) -> None:
        self.setup = setup
        make = type(setup.server)
        self.hosts = {host: make(setup.clock) for host in ("s1", "s2", "s3", FIRST.host, SECOND.host)}
        self.say(FIRST)
        self.sentinels = Sentinels(
            setup.clock, self.connect, [("s1", 1), ("s2", 2), ("s3", 3)], "main", lambda: self.password
        )
        self.password = ""

    def connect(self, host: str, port: int, make: Callable[[], Link]) -> Deferred[Link]:
        connected: Deferred[Link] = self.hosts[host].connect(host, port, make)
        return connected

    def say(self, place: Place | None) -> None:
        """Let the Sentinels say who is the master."""
        reply = None if place is None else [place.host.encode(), str(place.port).encode()]
        for name in ("s1", "s2", "s3"):
            self.hosts[name].table |= {
                b"SENTINEL": lambda verb, master: reply if master == b"main" else None,
                b"SUBSCRIBE": [b"subscribe", SWITCH, 1],
                b"PING": [b"pong", b""],
            }

    def publish(self, text: bytes) -> None:
        for name in ("s1", "s2", "s3"):
            for wire in [wire for wire in self.hosts[name].wires if wire.open]:
                if self.hosts[name].sent(b"SUBSCRIBE"):
                    wire.say([b"message", SWITCH, text])

    def ask(self) -> list[Any]:
        results: list[Any] = []
        asked = Deferred.fromCoroutine(self.sentinels.master())
        asked.addCallbacks(results.append, lambda failure: results.append(failure.value))
        self.setup.pass_time(2)
        return results

    def client(self) -> RedisClient:
        client = RedisClient(self.setup.clock, self.connect, self.sentinels, self.setup.log, timeout=0.25)
        self.sentinels.moved = client.moved
        client.start()
        self.sentinels.watch()
        self.setup.pass_time()
        return client


@pytest.fixture
def net(setup: Any) -> Net:
    return Net(setup)


def test_the_first_sentinel_that_knows_is_believed(net: Net) -> None:
    assert net.ask() == [FIRST]
    assert [len(net.hosts[name].attempts) for name in ("s1", "s2", "s3")] == [1, 0, 0]
    assert not net.hosts["s1"].wires[0].open


@pytest.mark.parametrize("fault", ["silent", "hangs", "refuses"])
def test_one_that_does_not_answer_is_asked_last_from_then_on(net: Net, fault: str) -> None:
    setattr(net.hosts["s1"], fault, True)
    began = net.setup.clock.seconds()
    assert net.ask() == [FIRST]
    assert net.hosts["s2"].attempts[0][0] - began <= module.ANSWER + 0.02
    assert net.ask() == [FIRST]
    assert len(net.hosts["s1"].attempts) == 1


def test_when_nobody_knows_it_is_said_what_each_said(net: Net) -> None:
    net.hosts["s1"].refuses = True
    net.hosts["s2"].silent = True
    net.hosts["s3"].table[b"SENTINEL"] = None
    (error,) = net.ask()
    assert isinstance(error, StoreError)
    assert "s1:1: Connection was refused" in str(error)
    assert "s2:2: no reply in time" in str(error)
    assert "s3:3: knows no master named main" in str(error)


def test_sentinels_have_their_own_password(net: Net) -> None:
    net.password = "s3cret"
    assert net.ask() == [FIRST]
    assert net.hosts["s1"].sent(b"AUTH") == [[b"AUTH", b"s3cret"]]
    for name in ("s1", "s2", "s3"):
        net.hosts[name].table[b"AUTH"] = Exception("WRONGPASS no")
    (error,) = net.ask()
    assert "refuses store.sentinel_password_file (WRONGPASS no)" in str(error)


def test_a_new_master_is_followed_at_once(net: Net) -> None:
    client = net.client()
    assert client.up
    assert len(net.hosts[FIRST.host].wires) == 1
    net.say(SECOND)
    net.publish(b"other 192.0.2.11 6379 192.0.2.99 6379")
    net.setup.pass_time()
    assert net.hosts[FIRST.host].wires[0].open
    net.publish(b"main 192.0.2.11 6379 192.0.2.12 6379")
    net.setup.pass_time()
    assert not net.hosts[FIRST.host].wires[0].open
    assert client.up
    assert net.hosts[SECOND.host].wires[0].open
    assert "the master moved to 192.0.2.12:6379" in net.setup.logged("redis-down")[0]


def test_what_is_no_such_message_is_passed_over(net: Net) -> None:
    client = net.client()
    for text in (b"", b"main", b"main 1 2 3 x", b"\xff\xfe", b"main 192.0.2.11 6379 192.0.2.11 6379"):
        net.publish(text)
    net.setup.pass_time()
    assert client.up
    assert len(net.hosts[FIRST.host].wires) == 1


def test_while_there_is_no_connection_a_new_master_is_tried_without_delay(net: Net) -> None:
    client = net.client()
    for host in (FIRST.host, SECOND.host):
        net.hosts[host].refuses = True
    net.hosts[FIRST.host].break_connection()
    net.setup.pass_time(5)
    assert not client.up
    net.say(SECOND)
    net.hosts[SECOND.host].refuses = False
    net.publish(b"main 192.0.2.11 6379 192.0.2.12 6379")
    net.setup.pass_time()
    assert client.up


def test_what_was_said_while_nobody_listened_is_asked_for(net: Net) -> None:
    client = net.client()
    net.hosts["s1"].silent = True
    net.say(SECOND)
    net.setup.pass_time(module.PING_EVERY + module.ANSWER + module.WATCH_AGAIN + 1)
    assert client.up
    assert net.hosts[SECOND.host].wires


@pytest.mark.parametrize("verb", [b"SUBSCRIBE", b"SENTINEL"])
def test_a_sentinel_that_is_of_no_use_is_not_kept(net: Net, verb: bytes) -> None:
    client = net.client()
    for name in ("s1", "s2", "s3"):
        net.hosts[name].table[verb] = Exception("ERR no")
        for wire in [wire for wire in net.hosts[name].wires if wire.open]:
            wire.abortConnection()
    net.setup.pass_time(10)
    assert not any(wire.open for name in ("s1", "s2", "s3") for wire in net.hosts[name].wires)
    assert client.up


def test_a_demoted_master_is_left_and_asked_for_again(net: Net, outcome_of: Outcome) -> None:
    client = net.client()
    net.say(SECOND)
    net.hosts[FIRST.host].table[b"SET"] = Exception("READONLY You can't write against a read only replica.")
    refused = outcome_of(client.call("SET", "a", "b"))
    net.setup.pass_time()
    assert isinstance(refused[0], StoreError)
    assert client.up
    assert net.hosts[SECOND.host].wires[0].open


def test_a_sentinel_that_is_behind_does_not_bring_a_demoted_master_back(net: Net) -> None:
    net.hosts[FIRST.host].table[b"ROLE"] = [b"slave", b"192.0.2.12", 6379, b"connected", 1]
    client = net.client()
    assert not client.up
    net.say(SECOND)
    net.setup.pass_time(1.5)
    assert client.up


def test_the_end(net: Net) -> None:
    client = net.client()
    net.setup.pass_time(1)
    client.stop()
    net.setup.pass_time(module.PING_EVERY + 1)
    assert net.setup.clock.getDelayedCalls() == []
