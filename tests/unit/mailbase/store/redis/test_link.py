"""Replies as they come in pieces: those that are read by our own short way, and all others."""

from __future__ import annotations

import random
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from mailbase.store.redis.link import Link, Refused
from mailbase.store.redis.metrics import RedisMetrics
from mailbase.store.redis.script import Script
from mailbase.store.redis.wire import bulk, encoded

WIRE = (
    b":1\r\n:-2\r\n:9223372036854775807\r\n"  # numbers
    b"$10\r\n:5\r\n:6\r\n\r\n\r\n"  # octets that look like them
    b":3\r\n*3\r\n:7\r\n$-1\r\n:8\r\n*2\r\n:9\r\n*1\r\n:10\r\n"  # and lists of them
    b"$0\r\n\r\n+OK\r\n:4\r\n-ERR no :5\r\n:6\r\n*0\r\n:11\r\n"
)
REPLIES = [1, -2, 9223372036854775807, b":5\r\n:6\r\n\r\n", 3, [7, None, 8], [9, [10]]]
REPLIES += [b"", "OK", 4, "ERR no :5", 6, [], 11]


class Listener:
    def __init__(self, commands: int) -> None:
        self.link = Link(Clock(), 0.25, RedisMetrics())
        self.link.makeConnection(StringTransport())
        self.got: list[Any] = []
        for _ in range(commands):
            self.link.execute_command(b"GET", b"x").addCallbacks(
                self.got.append, lambda failure: self.got.append(str(failure.value))
            )


def split(sizes: list[int]) -> list[Any]:
    """What is understood of pieces of these sizes, and of the rest."""
    listener = Listener(len(REPLIES))
    at = 0
    for size in (*sizes, len(WIRE)):
        if piece := WIRE[at : at + size]:
            listener.link.dataReceived(piece)
        at += size
    return listener.got


def test_replies_are_the_same_wherever_they_are_split() -> None:
    assert split([]) == REPLIES
    for size in range(1, len(WIRE)):
        assert split([size]) == REPLIES
        assert split([size] * (len(WIRE) // size)) == REPLIES
    pick = random.Random(5)
    for _ in range(2000):
        assert split([pick.randint(1, 12) for _ in range(30)]) == REPLIES


def test_many_numbers_at_once() -> None:
    listener = Listener(1000)
    listener.link.dataReceived(b"".join(b":%d\r\n" % number for number in range(1000)))
    assert listener.got == list(range(1000))


def test_a_connection_that_ends_among_numbers_hears_nothing_more() -> None:
    listener = Listener(1)
    asked = listener.link.execute_command(b"GET", b"y")
    asked.addCallback(lambda _: listener.link.drop("enough"))
    last = listener.link.execute_command(b"GET", b"z")
    failed: list[Any] = []
    last.addErrback(failed.append)
    listener.link.dataReceived(b":1\r\n:2\r\n:3\r\n")
    assert listener.got == [1]
    assert "enough" in str(failed[0].value)


@pytest.mark.parametrize("number", [b"", b"x", b"1x", b" 1", b"1" * 20_000, b"--1"])
def test_what_is_no_number_is_none(number: bytes) -> None:
    listener = Listener(1)
    listener.link.dataReceived(b":%b\r\n" % number)
    assert not any(isinstance(one, Refused) for one in listener.got)
    assert listener.got in ([], [1], [f"Cannot convert data '{number.decode()}' to integer"])


def test_scripts_are_called_as_any_command() -> None:
    script = Script(b"return 1")
    words = [bulk(word) for word in (b"key", "argum\u00e9nt", 7)]
    for name, what, start in (
        (b"EVALSHA", script.digest, script.known),
        (b"EVAL", script.source, script.unknown),
    ):
        expected = encoded((name, what, 1, b"key", "argum\u00e9nt", 7))
        assert start(3, 1) + b"".join(words) == expected
