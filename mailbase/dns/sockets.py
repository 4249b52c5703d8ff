"""The sockets: questions over UDP and TCP, on Twisted's reactor.

A socket for UDP is connected to its server: the kernel draws a random port for it, lets only that server's
address and port in, and tells when nobody listens there. Whoever wants to forge an answer has to guess port
and id together (RFC 5452). A socket is closed as soon as no answer is awaited there, so that on a quiet
gateway each question has a port of its own. On a busy one, where opening and watching a socket costs more
than all else about a question, those that go out within a moment share one; no more of them than
:data:`SHARE`, none after :data:`MOMENT`. That helps no forger: he has to guess as much for each of them.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from struct import Struct
from typing import Any

from twisted.internet import protocol
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mailbase.dns.exchange import Address, Exchange, Listener

LARGEST = 4096
"""Octets of a UDP answer that are read; :data:`mailbase.dns.wire.PAYLOAD` is what we asked for."""
SHARE = 32
"""Questions that go out from one port."""
MOMENT = 1.0
"""Seconds within which they do."""
TOGETHER = 16
"""Questions that are sent in a row. Each wakes a server on the same machine that sleeps on another processor,
which costs more than all else about sending; those that follow at once find it awake."""

_LENGTH = Struct("!H")
_KIND = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC


class Sockets:
    """The network.

    Arguments:
        reactor: with IReactorFDSet, IReactorTCP and IReactorTime.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._seconds: Callable[[], float] = reactor.seconds
        self._ports: dict[Address, _Port] = {}
        """The port from which the next question to a server goes out."""
        self._outgoing: list[tuple[_Port, bytes]] = []
        """What goes out when the reactor's turn is over."""
        self._flushing = False

    def datagram(self, server: Address, packet: bytes, listener: Listener) -> Exchange:
        """See :class:`mailbase.dns.exchange.Network`."""
        now = self._seconds()
        port = self._ports.get(server)
        if port is None or not port.takes(packet[:2], listener, now):
            port = self._ports[server] = _Port(self._reactor, server, now)
            port.takes(packet[:2], listener, now)
        outgoing = self._outgoing
        outgoing.append((port, packet))
        if len(outgoing) >= TOGETHER:
            self._flush()
        elif not self._flushing:
            self._flushing = True
            self._reactor.callLater(0, self._flush_later)
        return port

    def _flush_later(self) -> None:
        self._flushing = False
        self._flush()

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        for port, packet in outgoing:
            port.send(packet)

    def stream(self, server: Address, packet: bytes, listener: Listener, timeout: float) -> Exchange:
        """See :class:`mailbase.dns.exchange.Network`."""
        stream = _Stream(packet, listener)
        stream.connector = self._reactor.connectTCP(server.host, server.port, stream, timeout)
        return stream


@implementer(IReadDescriptor)
class _Port:
    # Not reactor.listenUDP: it takes three times as long to set up, and logs a start and a stop.
    __slots__ = ("_asked", "_fd", "_listeners", "_open", "_reactor", "_receive", "_send", "_socket", "_until")

    def __init__(self, reactor: Any, server: Address, now: float) -> None:
        """Raises:
        OSError: no descriptor is left, or there is no route.
        """
        family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
        self._socket = socket.socket(family, _KIND)
        try:
            self._socket.connect(server)
        except OSError:
            self._socket.close()
            raise
        self._open = True
        self._send, self._receive = self._socket.send, self._socket.recv
        self._fd = self._socket.fileno()
        self._reactor = reactor
        self._until = now + MOMENT
        self._asked: set[bytes] = set()
        """The ids of all questions that went out here."""
        self._listeners: dict[bytes, Listener] = {}
        """Who waits, by id."""
        reactor.addReader(self)

    def takes(self, number: bytes, listener: Listener, now: float) -> bool:
        """Listen for the answer to a question with this id, if it may go out here; whether it may."""
        asked = self._asked
        if now < self._until and self._open and len(asked) < SHARE and number not in asked:
            asked.add(number)
            self._listeners[number] = listener
            return True
        return False

    def send(self, packet: bytes) -> None:
        """Ask, if somebody still waits for the answer."""
        if packet[:2] not in self._listeners:
            return
        try:
            self._send(packet)
        except OSError:
            try:
                # That may be what became of an earlier question, which is told once.
                self._send(packet)
            except OSError as error:
                # Later: somebody may be in the middle of asking.
                self._reactor.callLater(0, self._not_sent, packet[:2], str(error))

    def _not_sent(self, number: bytes, why: str) -> None:
        listener = self._listeners.get(number)
        if listener is not None:
            listener.unsent(why)

    def leave(self, number: bytes) -> None:
        if self._listeners.pop(number, None) is not None and not self._listeners:
            self.close()

    def fileno(self) -> int:
        # The same after closing: with -1 epollreactor searches all its descriptors for this one.
        return self._fd

    def logPrefix(self) -> str:
        return "dns"

    def doRead(self) -> None:
        receive, listeners = self._receive, self._listeners
        # No more than were asked for: the reactor has others to serve.
        for _ in range(SHARE):
            try:
                packet = receive(LARGEST)
            except BlockingIOError:
                # All is read; or a bad checksum, or an event of a descriptor that had our number before.
                return
            except OSError as error:
                self.fail(str(error))
                return
            number = packet[:2]
            listener = listeners.get(number)
            if listener is not None:
                listener.heard(packet)
            elif number not in self._asked:
                # Somebody guesses: at which question, they know themselves.
                for each in tuple(listeners.values()):
                    each.heard(packet)
            if not self._open:
                return

    def connectionLost(self, reason: Failure) -> None:
        self.fail("the reactor gave it up")

    def fail(self, why: str) -> None:
        """Tell all who wait that nothing will come."""
        if self._open:
            waiting = tuple(self._listeners.values())
            self.close()
            for listener in waiting:
                listener.lost(why)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._reactor.removeReader(self)
        self._listeners.clear()
        self._socket.close()


class _Stream(ClientFactory, protocol.Protocol):
    """One connection with one question: factory and protocol in one."""

    noisy = False

    def __init__(self, packet: bytes, listener: Listener) -> None:
        self.connector: Any = None
        self._packet = packet
        self._listener = listener
        self._received = bytearray()
        self._open = True

    def buildProtocol(self, addr: object) -> protocol.Protocol | None:
        return self if self._open else None

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self._end(reason.getErrorMessage())

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(_LENGTH.pack(len(self._packet)) + self._packet)

    def dataReceived(self, data: bytes) -> None:
        if not self._open:
            return
        self._received += data
        if len(self._received) < 2:
            return
        size = _LENGTH.unpack_from(self._received)[0]
        if len(self._received) >= 2 + size:
            packet = bytes(self._received[2 : 2 + size])
            self._close()
            self._listener.heard(packet)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._end("the server closed the connection")

    def _end(self, why: str) -> None:
        if self._open:
            self._open = False
            self._listener.lost(why)

    def leave(self, number: bytes) -> None:
        self._close()

    def _close(self) -> None:
        if self._open:
            self._open = False
            transport: Any = self.transport
            if transport is not None:
                transport.abortConnection()
            elif self.connector is not None:
                self.connector.disconnect()
