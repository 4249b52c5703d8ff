"""The connection of a callout, on a reactor in memory."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from policyd.callout.conversation import Outcome, Script
from policyd.callout.dialling import GOODBYE, Dialler

SCRIPT = Script("mx.gate.example", (b"<ada@inst.example>",))
ANSWERS = (b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n")


class Transport(StringTransport):
    aborted = False
    tls: Any = None

    def abortConnection(self) -> None:
        self.aborted = True

    def startTLS(self, creator: Any) -> None:
        self.tls = creator


class Dialled:
    def __init__(self) -> None:
        self.reactor = MemoryReactorClock()
        self.outcomes: list[Outcome] = []
        dial = Dialler(self.reactor)
        done = dial("192.0.2.25", 25, SCRIPT, "mail.inst.example", connect=4.0, until=20.0)
        done.addCallback(self.outcomes.append)
        self.host, self.port, self.factory, self.timeout, _ = self.reactor.tcpClients[0]
        self.connector: Any = None

    def connect(self) -> None:
        self.protocol = self.factory.buildProtocol(None)
        self.transport = Transport()
        self.protocol.makeConnection(self.transport)

    def lose(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def timers(self) -> int:
        return len(self.reactor.getDelayedCalls())


@pytest.fixture
def dialled() -> Dialled:
    return Dialled()


def test_a_callout_over_a_connection(dialled: Dialled) -> None:
    assert (dialled.host, dialled.port, dialled.timeout) == ("192.0.2.25", 25, 4.0)
    dialled.connect()
    for answer in ANSWERS:
        dialled.protocol.dataReceived(answer)
    assert [reply.code for reply in dialled.outcomes[0].replies] == [250]
    assert dialled.transport.value().endswith(b"RCPT TO:<ada@inst.example>\r\nQUIT\r\n")
    dialled.protocol.dataReceived(b"221 bye\r\n")
    assert dialled.transport.disconnecting
    dialled.lose()
    assert dialled.timers() == 0


def test_a_server_that_does_not_answer_quit_is_cut_off(dialled: Dialled) -> None:
    dialled.connect()
    for answer in ANSWERS:
        dialled.protocol.dataReceived(answer)
    dialled.reactor.advance(GOODBYE)
    assert dialled.transport.aborted


def test_no_connection(dialled: Dialled) -> None:
    dialled.factory.clientConnectionFailed(dialled.connector, Failure(ConnectionRefusedError()))
    assert dialled.outcomes[0].failure.startswith("cannot connect: ")
    assert dialled.outcomes[0].stage == "connect"
    assert dialled.timers() == 0


@pytest.mark.parametrize("heard", range(len(ANSWERS)))
def test_a_connection_that_is_lost(dialled: Dialled, heard: int) -> None:
    dialled.connect()
    for answer in ANSWERS[:heard]:
        dialled.protocol.dataReceived(answer)
    dialled.lose()
    assert dialled.outcomes[0].failure.startswith("connection lost")
    assert dialled.outcomes[0].replies == ()
    assert dialled.timers() == 0


@pytest.mark.parametrize("heard", range(len(ANSWERS)))
def test_a_server_that_trickles_is_given_up_at_the_deadline(dialled: Dialled, heard: int) -> None:
    dialled.connect()
    for answer in ANSWERS[:heard]:
        dialled.protocol.dataReceived(answer)
    for _ in range(19):
        dialled.reactor.advance(1.0)
        dialled.protocol.dataReceived(b"2")
    assert dialled.outcomes == []
    dialled.reactor.advance(1.0)
    assert dialled.outcomes[0].failure == "timed out"
    assert dialled.transport.aborted


def test_a_connection_that_comes_too_late_is_cut(dialled: Dialled) -> None:
    dialled.reactor.advance(20.0)
    assert dialled.outcomes[0].failure == "timed out"
    dialled.connect()
    assert dialled.transport.aborted
    dialled.protocol.dataReceived(b"220 hi\r\n")
    assert dialled.transport.value() == b""
    dialled.lose()


def test_tls_is_told_the_servers_name(dialled: Dialled) -> None:
    dialled.connect()
    for answer in (b"220 hi\r\n", b"250-hi\r\n250 STARTTLS\r\n", b"220 go\r\n"):
        dialled.protocol.dataReceived(answer)
    connection = dialled.transport.tls.clientConnectionForTLS(None)
    assert connection.get_servername() == b"mail.inst.example"
    assert dialled.transport.value().endswith(b"STARTTLS\r\nEHLO mx.gate.example\r\n")


def test_a_handshake_that_does_not_end_leaves_time_to_go_on_without(dialled: Dialled) -> None:
    dialled.connect()
    for answer in (b"220 hi\r\n", b"250-hi\r\n250 STARTTLS\r\n", b"220 go\r\n"):
        dialled.protocol.dataReceived(answer)
    dialled.reactor.advance(3.9)
    assert dialled.outcomes == []
    dialled.reactor.advance(0.1)
    assert dialled.outcomes[0].handshake_failed
    assert dialled.transport.aborted


def test_a_server_may_be_slow_after_the_handshake(dialled: Dialled) -> None:
    dialled.connect()
    for answer in (b"220 hi\r\n", b"250-hi\r\n250 STARTTLS\r\n", b"220 go\r\n"):
        dialled.protocol.dataReceived(answer)
    dialled.protocol.handshakeCompleted()
    dialled.reactor.advance(19.9)
    assert dialled.outcomes == []
    for answer in (b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n"):
        dialled.protocol.dataReceived(answer)
    assert dialled.outcomes[0].replies[0].code == 250
    assert dialled.outcomes[0].tls


def test_no_descriptor_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **named: Any) -> None:
        raise OSError(24, "Too many open files")

    reactor = MemoryReactorClock()
    monkeypatch.setattr(reactor, "connectTCP", fail)
    outcomes: list[Outcome] = []
    Dialler(reactor)("192.0.2.25", 25, SCRIPT, "m.example", connect=4.0, until=20.0).addCallback(
        outcomes.append
    )
    assert outcomes[0].failure == "cannot connect: Too many open files"
