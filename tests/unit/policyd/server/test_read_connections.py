"""Connections of Postfix that are read behind one descriptor: asked, answered, gone."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport

from mailbase.vocabulary import Action, Flow
from policyd.engine.decision import Decision
from policyd.observability.recorder import Recorder
from policyd.server.readers import TOGETHER, Readers
from policyd.server.server import PolicyConnection, PolicyServer

from .reading import is_ready

QUESTION = (
    b"request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=192.0.2.1\n"
    b"sender=s@x.example\nrecipient=a@quiet.example\n\n"
)


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
