"""The Twisted edge, on a transport without a socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport

from policyd.engine.decision import Decision
from policyd.observability.metrics import Metrics
from policyd.observability.recorder import Recorder
from policyd.server.server import PolicyConnection, PolicyServer

QUESTION = (
    b"request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=192.0.2.1\nsender=%s\n"
    b"recipient=%s\ninstance=%s\n\n"
)


class Transport(StringTransport):
    """Counts pauses; knows how to lose a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.pauses = 0

    def loseConnection(self) -> None:
        self.closed = True

    def pauseProducing(self) -> None:
        self.pauses += 1
        super().pauseProducing()


class SocketTransport(Transport):
    """Has a socket that takes as much as told."""

    def __init__(self, room: list[int | OSError]) -> None:
        super().__init__()
        self.room = room
        self.sent = b""

    def getHandle(self) -> SocketTransport:
        return self

    def send(self, data: bytes) -> int:
        room = self.room.pop(0)
        if isinstance(room, OSError):
            raise room
        self.sent += data[:room]
        return min(room, len(data))


class Edge:
    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.metrics = Metrics()
        self.time = 0.0
        self.server = PolicyServer(bench.engine, Recorder(bench.log, self.metrics), lambda: self.time)

    def connect(self, transport: Any = None) -> tuple[PolicyConnection, Any]:
        connection = self.server.buildProtocol(None)
        transport = transport or Transport()
        connection.makeConnection(transport)
        return connection, transport


@pytest.fixture
def edge(bench: Any) -> Edge:
    return Edge(bench)


def question(
    recipient: bytes = b"a@quiet.example", instance: bytes = b"", sender: bytes = b"s@x.example"
) -> bytes:
    return QUESTION % (sender, recipient, instance)


def test_a_question_gets_its_answer_and_the_connection_stays(edge: Edge) -> None:
    connection, transport = edge.connect()
    for _ in range(1000):
        connection.dataReceived(question())
    assert transport.value() == b"action=DUNNO\n\n" * 1000
    assert not transport.closed
    edge.bench.clock.advance(100_000)
    assert not transport.closed


def test_pipelined_questions_are_answered_in_order(edge: Edge) -> None:
    connection, transport = edge.connect()
    connection.dataReceived(question() + question(b"a@elsewhere.example") + question())
    lines = transport.value().split(b"\n\n")
    assert lines[0] == lines[2] == b"action=DUNNO"
    assert lines[1].startswith(b"action=554 ")


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_questions_in_small_pieces(edge: Edge, size: int) -> None:
    connection, transport = edge.connect()
    data = question() * 3
    for start in range(0, len(data), size):
        connection.dataReceived(data[start : start + size])
    assert transport.value() == b"action=DUNNO\n\n" * 3


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"sender=x\n\n", "no-request"),
        (b"request=x\n\n", "unknown-request"),
        (b"GET / HTTP/1.1\r\n\n\n", "malformed"),
        (question(b"a\0b"), "nul"),
        (b"x" * 70_000, "too-large"),
    ],
)
def test_what_is_no_request_is_logged_counted_and_never_answered(
    edge: Edge, data: bytes, reason: str
) -> None:
    connection, transport = edge.connect()
    connection.dataReceived(question())
    before = transport.value()
    connection.dataReceived(data)
    connection.dataReceived(question())
    assert transport.value() == before
    assert transport.closed
    assert edge.metrics.protocol_errors[reason] == 1
    assert f"event=protocol-error reason={reason}" in edge.bench.stream.getvalue()


def test_what_came_before_the_error_is_answered(edge: Edge) -> None:
    connection, transport = edge.connect()
    connection.dataReceived(question() + b"junk\n\n" + question())
    assert transport.value() == b"action=DUNNO\n\n"
    assert transport.closed


@pytest.mark.parametrize(
    "hostile",
    [
        b"x\r\raction=OK",
        b"\xff\xfe@x",
        b"a action=OK",
        "é\u2028action=OK".encode(),
        b"\x1b[2J",
        b"%s%n",
        b'"',
    ],
)
def test_no_hostile_value_reaches_a_reply_or_breaks_a_log_line(edge: Edge, hostile: bytes) -> None:
    connection, transport = edge.connect()
    for recipient in (hostile, hostile + b"@inst.example", b"a@quiet.example"):
        connection.dataReceived(question(recipient, sender=hostile))
    replies = transport.value()
    assert replies.count(b"\n\n") == 3
    assert b"OK" not in replies
    assert all(0x20 <= octet <= 0x7E or octet == 0x0A for octet in replies)
    log = edge.bench.stream.getvalue()
    assert log.count("\n") == log.count("event=decision") == 3
    assert log.isascii()


def test_a_fault_of_ours_closes_the_connection_without_an_answer(edge: Edge) -> None:
    def fail(question: str) -> Any:
        raise RuntimeError("bug")

    edge.bench.engine.transactions.answer = fail
    connection, transport = edge.connect()
    connection.dataReceived(question(instance=b"1"))
    assert transport.value() == b""
    assert transport.closed
    assert edge.metrics.engine_failures == 1
    assert "event=engine-failed" in edge.bench.stream.getvalue()


def test_a_fault_before_anything_is_decided_closes_the_connections(edge: Edge) -> None:
    def fail(requests: Any) -> Any:
        raise RuntimeError("bug")

    edge.bench.engine.decide_all = fail
    connection, transport = edge.connect()
    connection.dataReceived(question())
    assert (transport.value(), transport.closed) == (b"", True)
    assert edge.metrics.engine_failures == 1


def test_very_many_pipelined_questions_are_answered(edge: Edge) -> None:
    connection, transport = edge.connect()
    connection.dataReceived(question() * 3000)
    assert transport.value() == b"action=DUNNO\n\n" * 3000


# Answers that come later


class Later:
    """An engine whose answers come when told."""

    def __init__(self, edge: Edge) -> None:
        self.waiting: list[Deferred[Decision]] = []
        self.decide_now: Callable[..., Any] = edge.bench.engine.decide
        edge.bench.engine.decide_all = lambda requests: [*map(self.decide, requests)]

    def decide(self, request: Any) -> Any:
        deferred: Deferred[Decision] = Deferred()
        self.waiting.append(deferred)
        decision = self.decide_now(request)

        async def wait() -> Decision:
            await deferred
            return decision  # type: ignore[no-any-return]

        return wait()


def test_later_answers_keep_the_order_and_reading_stops_meanwhile(edge: Edge) -> None:
    later = Later(edge)
    connection, transport = edge.connect()
    connection.dataReceived(question() + question(b"a@elsewhere.example"))
    connection.dataReceived(question())
    assert transport.value() == b""
    assert len(later.waiting) == 1, "one at a time"
    assert transport.producerState == "paused"
    later.waiting[0].callback(None)  # type: ignore[arg-type]
    assert transport.value() == b"action=DUNNO\n\n"
    later.waiting[1].callback(None)  # type: ignore[arg-type]
    later.waiting[2].callback(None)  # type: ignore[arg-type]
    assert [line[:10] for line in transport.value().split(b"\n\n")] == [
        b"action=DUN",
        b"action=554",
        b"action=DUN",
        b"",
    ]
    assert transport.producerState == "producing"


def test_an_answer_for_a_connection_that_is_gone_goes_nowhere(edge: Edge) -> None:
    later = Later(edge)
    connection, transport = edge.connect()
    connection.dataReceived(question() + question())
    connection.connectionLost()
    later.waiting[0].callback(None)  # type: ignore[arg-type]
    assert transport.value() == b""
    assert len(later.waiting) == 1
    assert edge.metrics.connections == 0


def test_a_late_fault_closes_the_connection(edge: Edge) -> None:
    later = Later(edge)
    connection, transport = edge.connect()
    connection.dataReceived(question())
    later.waiting[0].errback(RuntimeError("late"))
    assert transport.closed
    assert edge.metrics.engine_failures == 1


# Ending


def drained(edge: Edge) -> list[bool]:
    done: list[bool] = []
    Deferred.fromCoroutine(edge.server.drain()).addCallback(lambda _: done.append(True))
    return done


def test_draining_closes_idle_connections_at_once(edge: Edge) -> None:
    connections = [edge.connect() for _ in range(3)]
    done = drained(edge)
    assert all(transport.closed for _, transport in connections)
    assert not done
    for connection, _ in connections:
        connection.connectionLost()
    assert done


def test_draining_lets_what_is_in_flight_end(edge: Edge) -> None:
    later = Later(edge)
    connection, transport = edge.connect()
    connection.dataReceived(question())
    done = drained(edge)
    assert not transport.closed
    later.waiting[0].callback(None)  # type: ignore[arg-type]
    assert transport.value() == b"action=DUNNO\n\n"
    assert transport.closed
    connection.connectionLost()
    assert done


def test_draining_nothing_is_done_at_once(edge: Edge) -> None:
    assert drained(edge)


# Sockets


def test_a_reply_is_sent_at_once_where_there_is_a_socket(edge: Edge) -> None:
    connection, transport = edge.connect(SocketTransport([1000, 1000]))
    connection.dataReceived(question())
    connection.dataReceived(question())
    assert transport.sent == b"action=DUNNO\n\n" * 2
    assert transport.value() == b""


@pytest.mark.parametrize("room", [0, 3, BlockingIOError(), ConnectionResetError()])
def test_what_does_not_fit_and_all_after_it_goes_through_twisteds_buffer(edge: Edge, room: Any) -> None:
    connection, transport = edge.connect(SocketTransport([1000, room, 1000]))
    for _ in range(3):
        connection.dataReceived(question())
    assert transport.sent + transport.value() == b"action=DUNNO\n\n" * 3
    assert transport.room == [1000], "never again past the buffer"


def test_whoever_reads_no_replies_is_not_read(edge: Edge) -> None:
    connection, transport = edge.connect()
    connection.pauseProducing()
    assert transport.producerState == "paused"
    connection.resumeProducing()
    assert transport.producerState == "producing"


def test_whoever_reads_no_replies_is_not_read_when_a_later_answer_has_come(edge: Edge) -> None:
    later = Later(edge)
    connection, transport = edge.connect()
    connection.dataReceived(question())
    connection.pauseProducing()
    later.waiting[0].callback(None)  # type: ignore[arg-type]
    assert transport.producerState == "paused"
    connection.resumeProducing()
    assert transport.producerState == "producing"
    connection.dataReceived(question())
    connection.pauseProducing()
    connection.resumeProducing()
    assert transport.producerState == "paused", "an answer is awaited"
    later.waiting[1].callback(None)  # type: ignore[arg-type]
    assert transport.producerState == "producing"


def test_connections_and_requests_are_counted(edge: Edge) -> None:
    one, _ = edge.connect()
    edge.connect()
    one.dataReceived(question())
    one.connectionLost()
    assert edge.metrics.connections == 1
    assert edge.metrics.connections_total == 2
    assert edge.metrics.requests["RCPT"] == 1  # type: ignore[index]
