"""Many sockets behind one descriptor; socket pairs stand for smtpds, and nothing runs by itself."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python import log

from mailbase.vocabulary import Action, Flow
from policyd.engine.decision import Decision
from policyd.observability.recorder import Recorder
from policyd.server.readers import BATCH, TOGETHER, Readers
from policyd.server.server import PolicyConnection, PolicyServer

QUESTION = (
    b"request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=192.0.2.1\n"
    b"sender=s@x.example\nrecipient=a@quiet.example\n\n"
)


class Reactor(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.reading: list[Any] = []

    def addReader(self, reader: Any) -> None:
        self.reading.append(reader)

    def removeReader(self, reader: Any) -> None:
        self.reading.remove(reader)


class Pair:
    """Two ends; what is read of the one is noted."""

    def __init__(self, readers: Readers) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.got = b""
        self.ends = 0
        self.failures = 0
        self.readers = readers
        self.watch()

    def watch(self) -> None:
        self.readers.add(self.ours.fileno(), self.ours.recv, self.received, self.ended, self.failed)

    def received(self, data: bytes) -> None:
        self.got += data

    def ended(self) -> None:
        self.ends += 1

    def failed(self) -> None:
        self.failures += 1

    def close(self) -> None:
        self.readers.remove(self.ours.fileno())
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def reactor() -> Reactor:
    return Reactor()


@pytest.fixture
def readers(reactor: Reactor) -> Iterator[Readers]:
    readers = Readers(reactor)
    assert reactor.reading == [readers]
    yield readers
    if reactor.reading:
        readers.close()
    assert not reactor.reading


@pytest.fixture
def pairs(readers: Readers) -> Iterator[list[Pair]]:
    pairs = [Pair(readers) for _ in range(3)]
    yield pairs
    for pair in pairs:
        pair.close()


@pytest.fixture
def faults() -> Iterator[Callable[[], list[str]]]:
    """The faults of ours that were logged."""
    seen: list[str] = []

    def observe(event: Any) -> None:
        if event.get("isError"):
            seen.append(str(event["failure"].value))

    log.addObserver(observe)
    yield lambda: seen
    log.removeObserver(observe)


def is_ready(readers: Readers) -> bool:
    """Whether the reactor would call us."""
    return bool(select.select([readers], [], [], 0)[0])


def test_the_reactor_sees_when_any_of_them_can_be_read(readers: Readers, pairs: list[Pair]) -> None:
    assert not is_ready(readers)
    pairs[1].theirs.send(b"x")
    assert is_ready(readers)
    readers.doRead()
    assert [pair.got for pair in pairs] == [b"", b"x", b""]
    assert not is_ready(readers)


def test_one_that_is_left_alone_is_not_read_and_can_be_read_again(
    readers: Readers, pairs: list[Pair]
) -> None:
    readers.remove(pairs[0].ours.fileno())
    readers.remove(pairs[0].ours.fileno())
    pairs[0].theirs.send(b"x")
    assert not is_ready(readers)
    pairs[0].watch()
    pairs[0].watch()
    readers.doRead()
    assert pairs[0].got == b"x"


def leave_alone(readers: Readers, pairs: list[Pair]) -> None:
    """Whoever is read first has us leave all of them alone."""
    for pair in pairs:
        received = pair.received

        def leave(data: bytes, received: Callable[[bytes], None] = received) -> None:
            received(data)
            for other in pairs:
                readers.remove(other.ours.fileno())

        pair.received = leave  # type: ignore[method-assign]
        readers.remove(pair.ours.fileno())
        pair.watch()


def test_what_was_read_before_one_was_left_alone_is_not_lost(readers: Readers, pairs: list[Pair]) -> None:
    leave_alone(readers, pairs)
    for pair in pairs:
        pair.theirs.send(b"x")
    readers.doRead()
    assert [pair.got for pair in pairs] == [b"x"] * 3
    pairs[0].theirs.send(b"y")
    assert not is_ready(readers)


def test_the_end_of_one_that_was_left_alone_is_not_told(readers: Readers, pairs: list[Pair]) -> None:
    leave_alone(readers, pairs)
    pairs[0].theirs.send(b"x")
    for pair in pairs[1:]:
        pair.theirs.close()
    readers.doRead()
    assert [pair.ends for pair in pairs] == [0] * 3


def test_what_can_wait_is_done_when_the_replies_are_out(reactor: Reactor) -> None:
    row: list[str] = []
    readers = Readers(reactor, sent=lambda: row.append("sent"))
    pair = Pair(readers)
    readers.reply(lambda reply: row.append(reply.decode()), b"reply", lambda: None)
    reactor.advance(0)
    pair.close()
    readers.close()
    assert row[:2] == ["reply", "sent"]


def test_an_end_is_told_once(readers: Readers, pairs: list[Pair]) -> None:
    pairs[0].theirs.send(b"last")
    pairs[0].theirs.shutdown(socket.SHUT_WR)
    readers.doRead()
    assert (pairs[0].got, pairs[0].ends) == (b"last", 0)
    readers.doRead()
    assert pairs[0].ends == 1
    readers.doRead()
    assert pairs[0].ends == 1
    assert not is_ready(readers)


def test_an_error_is_an_end_and_a_false_alarm_is_none(readers: Readers, pairs: list[Pair]) -> None:
    answers: list[Exception] = [BlockingIOError(), InterruptedError(), ConnectionResetError()]

    def receive(size: int) -> bytes:
        raise answers.pop(0)

    one = pairs[0]
    readers.remove(one.ours.fileno())
    readers.add(one.ours.fileno(), receive, one.received, one.ended, one.failed)
    one.theirs.send(b"x")
    for ends in (0, 0, 1):
        readers.doRead()
        assert one.ends == ends


def test_a_fault_ends_one_connection_and_not_all(
    readers: Readers, pairs: list[Pair], faults: Callable[[], list[str]]
) -> None:
    one, *others = pairs

    def fails(data: bytes) -> None:
        raise RuntimeError("private cause")

    readers.remove(one.ours.fileno())
    readers.add(one.ours.fileno(), one.ours.recv, fails, one.ended, one.failed)
    for pair in pairs:
        pair.theirs.send(b"x")
    readers.doRead()
    assert [pair.got for pair in others] == [b"x"] * 2
    assert (one.failures, one.ends) == (1, 0)
    assert faults() == ["private cause"]
    one.theirs.send(b"x")
    assert not is_ready(readers), "it is left alone"


def test_one_that_is_closed_already_can_be_left_alone(readers: Readers, pairs: list[Pair]) -> None:
    one = pairs.pop()
    descriptor = one.ours.fileno()
    one.ours.close()
    readers.remove(descriptor)
    one.theirs.close()


def test_a_batch_is_bounded(readers: Readers) -> None:
    pairs = [Pair(readers) for _ in range(BATCH + 5)]
    for pair in pairs:
        pair.theirs.send(b"x")
    readers.doRead()
    assert sum(len(pair.got) for pair in pairs) == BATCH
    readers.doRead()
    assert sum(len(pair.got) for pair in pairs) == BATCH + 5
    for pair in pairs:
        pair.close()


def test_replies_go_out_in_a_row_of_bounded_length(readers: Readers) -> None:
    pairs = [Pair(readers) for _ in range(TOGETHER + 3)]
    row: list[str] = []

    def received(data: bytes) -> None:
        row.append("read")
        readers.reply(lambda reply: row.append(reply.decode()), b"reply", lambda: None)

    for pair in pairs:
        pair.received = received  # type: ignore[method-assign]
        readers.remove(pair.ours.fileno())
        pair.watch()
        pair.theirs.send(b"x")
    readers.doRead()
    assert row == ["read"] * TOGETHER + ["reply"] * TOGETHER + ["read"] * 3 + ["reply"] * 3
    for pair in pairs:
        pair.close()


def test_replies_that_had_to_be_waited_for_go_out_with_the_next_turn(
    readers: Readers, reactor: Reactor
) -> None:
    sent: list[bytes] = []
    for reply in (b"1", b"2"):
        readers.reply(sent.append, reply, lambda: None)
    assert sent == []
    assert len(reactor.getDelayedCalls()) == 1
    reactor.advance(0)
    assert sent == [b"1", b"2"]
    readers.reply(sent.append, b"3", lambda: None)
    readers.close()
    assert sent == [b"1", b"2", b"3"]
    assert not reactor.getDelayedCalls()


def test_a_reply_that_cannot_be_sent_keeps_no_other_back(
    readers: Readers, pairs: list[Pair], faults: Callable[[], list[str]]
) -> None:
    sent: list[bytes] = []
    failed: list[str] = []

    def fails(data: bytes) -> None:
        raise RuntimeError("private cause")

    def received(data: bytes) -> None:
        readers.reply(fails, b"1", lambda: failed.append("1"))
        readers.reply(sent.append, b"2", lambda: failed.append("2"))
        raise RuntimeError("another")

    pairs[0].received = received  # type: ignore[method-assign]
    readers.remove(pairs[0].ours.fileno())
    pairs[0].watch()
    pairs[0].theirs.send(b"x")
    readers.doRead()
    assert (sent, failed, pairs[0].failures) == ([b"2"], ["1"], 1)
    assert faults() == ["another", "private cause"]
    readers.flush()
    assert sent == [b"2"], "sent once"


class SocketTransport(StringTransport):
    """A transport with a socket; says when it was told to read for itself."""

    def __init__(self, own: socket.socket) -> None:
        super().__init__()
        self.own = own
        self.calls: list[str] = []

    def getHandle(self) -> socket.socket:
        return self.own

    def stopReading(self) -> None:
        self.calls.append("stopReading")

    def startReading(self) -> None:
        self.calls.append("startReading")

    def loseConnection(self) -> None:
        self.calls.append("loseConnection")

    def abortConnection(self) -> None:
        self.calls.append("abortConnection")


@pytest.fixture
def smtpd(bench: Any, readers: Readers) -> Iterator[tuple[PolicyConnection, SocketTransport, socket.socket]]:
    server = PolicyServer(bench.engine, Recorder(bench.log, bench.metrics), readers=readers)
    readers.heard, readers.sent = server.decide, server.record
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    transport = SocketTransport(ours)
    connection = server.buildProtocol(None)
    connection.makeConnection(transport)
    yield connection, transport, theirs
    if connection in server.connections:
        connection.connectionLost()
    ours.close()
    theirs.close()


def test_a_connection_is_read_by_us_and_not_by_its_transport(readers: Readers, smtpd: Any) -> None:
    _, transport, theirs = smtpd
    assert transport.calls == ["stopReading"]
    theirs.send(QUESTION[:20])
    readers.doRead()
    theirs.send(QUESTION[20:])
    readers.doRead()
    assert theirs.recv(100) == b"action=DUNNO\n\n"


def test_who_asks_at_the_same_time_is_answered_together(readers: Readers, bench: Any) -> None:
    server = PolicyServer(bench.engine, Recorder(bench.log, bench.metrics), readers=readers)
    readers.heard, readers.sent = server.decide, server.record
    asked: list[int] = []
    decide_all = bench.engine.decide_all

    def decide(requests: Any) -> Any:
        asked.append(len(requests))
        return decide_all(requests)

    bench.engine.decide_all = decide
    pairs = [socket.socketpair() for _ in range(TOGETHER + 3)]
    for ours, theirs in pairs:
        ours.setblocking(False)
        server.buildProtocol(None).makeConnection(SocketTransport(ours))
        theirs.send(QUESTION)
    readers.doRead()
    assert asked == [TOGETHER, 3]
    for _, theirs in pairs:
        assert theirs.recv(100) == b"action=DUNNO\n\n"
    assert bench.stream.getvalue().count("event=decision") == TOGETHER + 3
    for connection in list(server.connections):
        connection.connectionLost()
    for pair in pairs:
        for end in pair:
            end.close()


def test_what_was_asked_before_a_fault_of_the_peer_is_answered(readers: Readers, smtpd: Any) -> None:
    _, transport, theirs = smtpd
    got: list[bytes] = []
    transport.loseConnection = lambda: got.append(theirs.recv(100))
    theirs.send(QUESTION + QUESTION + b"no policy request\n\n")
    readers.doRead()
    assert got == [b"action=DUNNO\n\n" * 2], "before the connection is closed"


def test_the_transport_finds_out_how_the_connection_ended(readers: Readers, smtpd: Any) -> None:
    _, transport, theirs = smtpd
    theirs.close()
    readers.doRead()
    assert transport.calls == ["stopReading", "startReading"]


def test_a_connection_that_closes_or_waits_is_not_read(readers: Readers, smtpd: Any) -> None:
    connection, transport, theirs = smtpd
    connection.pauseProducing()
    theirs.send(QUESTION)
    assert not is_ready(readers)
    connection.resumeProducing()
    readers.doRead()
    assert theirs.recv(100) == b"action=DUNNO\n\n"
    connection.finish()
    assert transport.calls[-1] == "loseConnection"
    theirs.send(QUESTION)
    assert not is_ready(readers)


def test_a_lost_connection_leaves_no_trace(readers: Readers, smtpd: Any) -> None:
    connection, _, theirs = smtpd
    theirs.send(QUESTION)
    connection.connectionLost()
    assert not is_ready(readers)
    # Not even when its transport wakes up once more.
    connection.resumeProducing()
    assert not is_ready(readers)


def test_an_answer_that_cannot_be_recorded_is_given_all_the_same(
    readers: Readers, smtpd: Any, faults: Callable[[], list[str]]
) -> None:
    connection, transport, theirs = smtpd
    recorded: list[Any] = []

    def fails_once(*arguments: Any) -> None:
        recorded.append(arguments)
        if len(recorded) == 1:
            raise OSError("no room for the log")

    connection._server.recorder.decision = fails_once
    theirs.send(QUESTION * 2)
    readers.doRead()
    assert theirs.recv(100) == b"action=DUNNO\n\n" * 2
    assert faults() == ["no room for the log"]
    assert len(recorded) == 2, "the next one is"
    assert "abortConnection" not in transport.calls


def test_a_fault_of_ours_after_a_wait_closes_the_connection(
    smtpd: Any, readers: Readers, faults: Callable[[], list[str]]
) -> None:
    connection, transport, theirs = smtpd
    waiting: Deferred[Any] = Deferred()

    def fails(*arguments: Any) -> None:
        raise OSError("private cause")

    readers.reply = fails  # type: ignore[method-assign]
    connection._server.engine.decide_all = lambda requests: [waiting]
    theirs.send(QUESTION)
    readers.doRead()
    waiting.callback(Decision("id", Flow.INBOUND, Action.ACCEPT, "DUNNO", "no-opinion"))
    assert transport.calls[-1] == "abortConnection"
    assert faults() == ["private cause"]


ACCEPTED = Decision("id", Flow.INBOUND, Action.ACCEPT, "DUNNO", "no-opinion")


def test_who_asks_on_while_an_answer_is_awaited_is_read_once(readers: Readers, smtpd: Any) -> None:
    connection, _, theirs = smtpd
    waiting: list[Deferred[Any]] = []
    connection._server.engine.decide_all = lambda requests: [waiting.append(Deferred()) or waiting[-1]]
    theirs.send(QUESTION)
    readers.doRead()
    theirs.send(QUESTION)
    readers.doRead()
    theirs.send(QUESTION)
    assert not is_ready(readers)
    for number in range(3):
        assert len(waiting) == number + 1
        waiting[number].callback(ACCEPTED)
        readers.flush()
        assert theirs.recv(100) == b"action=DUNNO\n\n"
        if is_ready(readers):
            readers.doRead()
    assert not is_ready(readers)


def test_who_leaves_while_an_answer_is_awaited_is_noticed_afterwards(
    readers: Readers, smtpd: Any, bench: Any
) -> None:
    connection, transport, theirs = smtpd
    waiting: Deferred[Any] = Deferred()
    connection._server.engine.decide_all = lambda requests: [waiting]
    decisions: list[Any] = []
    connection._server.recorder.decision = lambda *arguments: decisions.append(arguments)
    theirs.send(QUESTION)
    readers.doRead()
    theirs.close()
    readers.doRead()
    assert not is_ready(readers), "no idle loop"
    assert transport.calls == ["stopReading"]
    waiting.callback(ACCEPTED)
    readers.doRead()
    assert len(decisions) == 1
    assert transport.calls == ["stopReading", "startReading"]


def test_a_connection_whose_socket_is_closed_already_is_counted_off(smtpd: Any) -> None:
    connection, transport, _ = smtpd
    transport.own.close()
    connection.connectionLost()
    assert not connection._server.connections
