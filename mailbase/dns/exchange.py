"""The sockets: one question to one server, over UDP or TCP, on Twisted's reactor.

Every question over UDP has a socket of its own, connected to the server: the kernel draws a random port for
it, lets only that server's address and port in, and tells at once when nobody listens there. Whoever wants
to forge an answer has to guess port and id together (RFC 5452).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from struct import Struct
from typing import Any, NamedTuple, Protocol

from twisted.internet import protocol
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

LARGEST = 4096
"""Octets of a UDP answer that are read; :data:`mailbase.dns.wire.PAYLOAD` is what we asked for."""

_LENGTH = Struct("!H")

Heard = Callable[[bytes], None]
"""Called with each packet that came; over TCP with one at most."""
Lost = Callable[[str], None]
"""Called once when nothing can come any more, with the reason."""


class Address(NamedTuple):
    """Where a server listens: an IP address in presentation form, and a port."""

    host: str
    port: int = 53

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Exchange(Protocol):
    """A question on its way."""

    def close(self) -> None:
        """Hear nothing more; may be called again."""


class Network(Protocol):
    """What carries questions; tests have one without sockets."""

    def datagram(self, server: Address, packet: bytes, heard: Heard, lost: Lost) -> Exchange:
        """Ask over UDP.

        Raises:
            OSError: it could not even be sent. Neither ``heard`` nor ``lost`` is called before the return.
        """

    def stream(self, server: Address, packet: bytes, heard: Heard, lost: Lost, timeout: float) -> Exchange:
        """Ask over TCP (RFC 7766); ``lost`` tells of any trouble.

        Arguments:
            timeout: seconds, for the connection to come about.
        """


class Sockets:
    """The network.

    Arguments:
        reactor: with IReactorFDSet and IReactorTCP.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def datagram(self, server: Address, packet: bytes, heard: Heard, lost: Lost) -> Exchange:
        """See :class:`Network`."""
        return _Datagram(self._reactor, server, packet, heard, lost)

    def stream(self, server: Address, packet: bytes, heard: Heard, lost: Lost, timeout: float) -> Exchange:
        """See :class:`Network`."""
        stream = _Stream(packet, heard, lost)
        stream.connector = self._reactor.connectTCP(server.host, server.port, stream, timeout)
        return stream


@implementer(IReadDescriptor)
class _Datagram:
    # Not reactor.listenUDP: it takes three times as long to set up, and logs a start and a stop.
    __slots__ = ("_fd", "_heard", "_lost", "_open", "_reactor", "_socket")

    def __init__(self, reactor: Any, server: Address, packet: bytes, heard: Heard, lost: Lost) -> None:
        family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(family, kind)
        try:
            self._socket.connect(server)
            self._socket.send(packet)
        except OSError:
            self._socket.close()
            raise
        self._fd = self._socket.fileno()
        self._reactor = reactor
        self._heard = heard
        self._lost = lost
        self._open = True
        reactor.addReader(self)

    def fileno(self) -> int:
        # The same after closing: with -1 epollreactor searches all its descriptors for this one.
        return self._fd

    def logPrefix(self) -> str:
        return "dns"

    def doRead(self) -> None:
        try:
            packet = self._socket.recv(LARGEST)
        except BlockingIOError:
            return  # a bad checksum, or an event of a descriptor that had our number before
        except OSError as error:
            if self._open:
                self.close()
                self._lost(str(error))
            return
        self._heard(packet)

    def connectionLost(self, reason: Failure) -> None:
        if self._open:
            self.close()
            self._lost("the reactor gave it up")

    def close(self) -> None:
        if self._open:
            self._open = False
            self._reactor.removeReader(self)
            self._socket.close()


class _Stream(ClientFactory, protocol.Protocol):
    """One connection with one question: factory and protocol in one."""

    noisy = False

    def __init__(self, packet: bytes, heard: Heard, lost: Lost) -> None:
        self.connector: Any = None
        self._packet = packet
        self._heard = heard
        self._lost = lost
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
            self.close()
            self._heard(packet)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._end("the server closed the connection")

    def _end(self, why: str) -> None:
        if self._open:
            self._open = False
            self._lost(why)

    def close(self) -> None:
        if self._open:
            self._open = False
            transport: Any = self.transport
            if transport is not None:
                transport.abortConnection()
            elif self.connector is not None:
                self.connector.disconnect()
