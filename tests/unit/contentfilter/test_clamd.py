"""clamd without a clamd: what goes out, what each answer means, and what a broken one may do."""

from __future__ import annotations

import hashlib
import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from contentfilter.clamd import MAX_ANSWER, Clamd, judge
from contentfilter.results import ScanFailed, ScanResult
from contentfilter.unstuffing import unstuffed
from mailbase.vocabulary import Finding


@dataclass
class Settings:
    address: str = "unix:/run/clamd"
    timeout: float = 30.0
    max_size: int = 1000


class Message:
    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks
        self.size = sum(map(len, chunks))
        self.digest = hashlib.sha256(b"".join(chunks)).digest()
        self.read = 0

    def chunks(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.read += 1
            yield chunk


class Scene:
    """One question to clamd, with the test as clamd."""

    def __init__(self, *chunks: bytes, **settings: object) -> None:
        self.reactor = MemoryReactorClock()
        self.message = Message(*chunks)
        clamd = Clamd(self.reactor, Settings(**settings))  # type: ignore[arg-type]
        self.result: list[ScanResult | ScanFailed] = []
        Deferred.fromCoroutine(clamd.scan(self.message)).addCallback(self.result.append)

    def connect(self) -> StringTransport:
        _path, factory, _timeout, _check = self.reactor.unixClients[0]
        self.protocol = factory.buildProtocol(None)
        self.transport = StringTransport()
        self.transport.abortConnection = self.transport.loseConnection  # type: ignore[method-assign]
        self.protocol.makeConnection(self.transport)
        return self.transport

    def pull(self) -> bytes:
        """All that clamd would read."""
        for _ in range(100):
            if self.transport.producer is None:
                break
            self.transport.producer.resumeProducing()
        return self.transport.value()

    def failure(self) -> tuple[str, str]:
        (failed,) = self.result
        assert isinstance(failed, ScanFailed)
        return failed.scanner, failed.reason


def test_sends_the_message_in_chunks_behind_their_length():
    scene = Scene(b"one\r\n..two", b"three")
    scene.connect()
    pieces = [b"one\r\n.two", b"three", b""]
    expected = b"zINSTREAM\0" + b"".join(struct.pack(">I", len(p)) + p for p in pieces)
    assert scene.pull() == expected
    scene.protocol.dataReceived(b"stream: ")
    assert scene.result == []
    scene.protocol.dataReceived(b"OK\0")
    assert scene.result == [ScanResult()]
    assert scene.transport.disconnecting
    assert not scene.reactor.getDelayedCalls()


def test_reads_no_further_than_clamd_takes():
    scene = Scene(*[b"x"] * 50)
    transport = scene.connect()
    assert transport.streaming is False
    transport.producer.resumeProducing()
    transport.producer.resumeProducing()
    assert scene.message.read <= 2


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (b"stream: OK", ScanResult()),
        (b"stream: Eicar-Test FOUND", ScanResult((Finding("virus", "", "Eicar-Test"),))),
        (b"stream: A FOUND FOUND", ScanResult((Finding("virus", "", "A FOUND"),))),
        (b"stream: a\r\n\0\xff FOUND", ScanResult((Finding("virus", "", "a????"),))),
    ],
)
def test_answers(answer, meaning):
    assert judge(answer, 0.0) == meaning


def test_its_size_limit_is_an_unscanned_message_not_a_clean_one():
    for answer in (b"INSTREAM size limit exceeded. ERROR", b"stream: INSTREAM size limit exceeded. ERROR"):
        result = judge(answer, 0.0)
        assert isinstance(result, ScanResult)
        assert [(u.part, u.reason) for u in result.unscanned] == [("", "too-large")]


@pytest.mark.parametrize(
    "answer", [b"", b"OK", b"stream: OK FOUND OK", b"UNKNOWN COMMAND", b"stream: lstat() failed: x. ERROR"]
)
def test_any_other_answer_is_no_pass(answer):
    result = judge(answer, 0.0)
    assert isinstance(result, ScanFailed)
    assert (result.scanner, result.reason) == ("clamd", "protocol")


def test_a_message_beyond_the_limit_is_said_to_be_unscanned():
    scene = Scene(b"x" * 1001)
    (result,) = scene.result
    assert isinstance(result, ScanResult)
    assert result.unscanned[0].reason == "too-large"
    assert not scene.reactor.unixClients
    assert not Scene(b"x" * 1000).result


def test_refused():
    scene = Scene(b"x")
    _path, factory, _timeout, _check = scene.reactor.unixClients[0]
    factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
    assert scene.failure() == ("clamd", "unavailable")


def test_never_connects():
    scene = Scene(b"x", timeout=5.0)
    scene.reactor.advance(4.9)
    assert scene.result == []
    scene.reactor.advance(0.2)
    assert scene.failure() == ("clamd", "timed-out")


def test_nobody_waits_any_more():
    scene = Scene()
    asking = Deferred.fromCoroutine(Clamd(scene.reactor, Settings()).scan(Message(b"x")))
    scene.reactor.unixClients.pop(0)
    scene.connect()
    asking.cancel()
    asking.addErrback(lambda failure: failure.trap(CancelledError) and None)
    assert scene.transport.disconnecting


def test_never_answers():
    scene = Scene(b"x", timeout=5.0)
    scene.connect()
    scene.pull()
    scene.reactor.advance(4.9)
    assert scene.result == []
    scene.reactor.advance(0.2)
    assert scene.failure() == ("clamd", "timed-out")
    assert scene.transport.disconnecting


def test_closes_without_an_answer():
    scene = Scene(b"x")
    scene.connect()
    scene.protocol.connectionLost(Failure(ConnectionDone()))
    assert scene.failure() == ("clamd", "unavailable")


def test_answers_in_the_middle_of_the_message():
    scene = Scene(b"x", b"y", b"z")
    scene.connect()
    scene.protocol.dataReceived(b"INSTREAM size limit exceeded. ERROR\0")
    assert isinstance(scene.result[0], ScanResult)
    scene.transport.producer.resumeProducing()
    assert b"z" not in scene.transport.value()


def test_an_endless_answer_ends_at_the_bound():
    scene = Scene(b"x")
    scene.connect()
    scene.protocol.dataReceived(b"s" * MAX_ANSWER)
    assert scene.result == []
    scene.protocol.dataReceived(b"s")
    assert scene.failure() == ("clamd", "protocol")


def test_a_message_that_was_changed_on_its_way_has_no_end():
    """A worker that a mail has taken over must not blind the second scanner."""
    scene = Scene(b"evil\r\n")
    scene.message._chunks = (b"good\r\n",)
    scene.connect()
    assert not scene.pull().endswith(struct.pack(">I", 0))
    assert scene.failure() == ("clamd", "crashed")


def test_a_spool_that_breaks_is_a_failure():
    class Broken(Message):
        def chunks(self) -> Iterator[bytes]:
            yield b"begin"
            raise OSError("gone")

    scene = Scene()
    clamd = Clamd(scene.reactor, Settings())
    Deferred.fromCoroutine(clamd.scan(Broken())).addCallback(scene.result.append)
    scene.result.clear()
    scene.reactor.unixClients.pop(0)
    scene.connect()
    scene.pull()
    assert scene.failure() == ("clamd", "crashed")


def unstuff(wire: bytes) -> bytes:
    """The plain way: line by line."""
    return b"\r\n".join(line.removeprefix(b".") for line in wire.split(b"\r\n"))


WIRES = [
    b"..\r\n...a\r\n..",
    b".a\r\n\r\n..\r\n.b.\r.\n.\r\n",
    b"a\r\r\n..\r\n\r\n..b\n..c\r..d",
    b"\r\n..x",
    b"..",
    b"",
]


@given(st.lists(st.text(alphabet="\r\n.a", max_size=6).map(str.encode), max_size=8))
@settings(max_examples=300, deadline=None)
def test_dots_are_taken_out_of_any_pieces_of_anything(pieces):
    assert b"".join(unstuffed(pieces)) == unstuff(b"".join(pieces))


@given(st.binary(max_size=500))
@settings(max_examples=200, deadline=None)
def test_whatever_clamd_says_is_a_result_or_a_failure(answer):
    result = judge(answer, 0.0)
    assert isinstance(result, ScanFailed | ScanResult)
    if result == ScanResult():
        assert answer.strip() == b"stream: OK"


@pytest.mark.parametrize("wire", WIRES)
def test_dots_are_taken_out_wherever_the_pieces_end(wire):
    """Every split into three, and into single octets, is as the whole."""
    for first, second in itertools.combinations_with_replacement(range(len(wire) + 1), 2):
        pieces = [wire[:first], wire[first:second], wire[second:]]
        result = list(unstuffed(pieces))
        assert b"".join(result) == unstuff(wire), pieces
        assert all(result)
    assert b"".join(unstuffed(wire[i : i + 1] for i in range(len(wire)))) == unstuff(wire)
