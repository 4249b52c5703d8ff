"""The connection of a callout: one :class:`~policyd.callout.conversation.Conversation` with one address."""

from __future__ import annotations

from typing import Any, Protocol

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IDelayedCall,
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
)
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.internet.protocol import Protocol as LineProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from policyd.callout.conversation import Conversation, Doing, Finished, Outcome, Script, StartTls, Write

GOODBYE = 5.0
"""Seconds for the answer to QUIT."""


class Dial(Protocol):
    """Speaks with a server."""

    def __call__(
        self, host: str, port: int, script: Script, name: str, *, connect: float, until: float
    ) -> Deferred[Outcome]:
        """What came of it; never fails.

        Arguments:
            host: IP address.
            name: the server's name, for TLS.
            connect: seconds for connecting, and again for the handshake of TLS.
            until: seconds since the epoch at which it is given up.
        """


@implementer(IOpenSSLClientConnectionCreator)
class Unverified:
    """TLS that takes every certificate: better a callout to whoever sits there than none.

    Arguments:
        context: of OpenSSL.
        name: the server's, told to it in the handshake (RFC 6066 3).
    """

    def __init__(self, context: SSL.Context, name: str) -> None:
        self._context = context
        self._name = name

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        if self._name:
            connection.set_tlsext_host_name(self._name.encode("ascii"))
        return connection


class Dialler:
    """The :class:`Dial` of the daemon.

    Arguments:
        reactor: Twisted's.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._context: SSL.Context | None = None

    def __call__(
        self, host: str, port: int, script: Script, name: str, *, connect: float, until: float
    ) -> Deferred[Outcome]:
        """See :class:`Dial`."""
        if self._context is None:
            # Not Twisted's CertificateOptions: its context has a callback, for which cffi wants memory that
            # can be written and executed, and the daemon's unit forbids that (MemoryDenyWriteExecute=).
            self._context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        return call(
            self._reactor, host, port, script, Unverified(self._context, name), connect=connect, until=until
        )


def call(
    reactor: Any, host: str, port: int, script: Script, tls: Any, *, connect: float, until: float
) -> Deferred[Outcome]:
    """Speak with a server; see :class:`Dial`.

    Arguments:
        tls: makes the TLS connection (``IOpenSSLClientConnectionCreator``).
    """
    line = _Line(reactor, Conversation(script), tls, connect, until)
    try:
        line.connector = reactor.connectTCP(host, port, _Factory(line), timeout=connect)
    except OSError as error:
        # No descriptor is left.
        line.fail(f"cannot connect: {error.strerror}")
    return line.outcome


@implementer(IHandshakeListener)
class _Line(LineProtocol):
    transport: Any

    def __init__(
        self, reactor: Any, conversation: Conversation, tls: Any, handshake: float, until: float
    ) -> None:
        self.outcome: Deferred[Outcome] = Deferred()
        self.connector: IConnector | None = None
        self._reactor = reactor
        self._conversation = conversation
        self._tls = tls
        self._handshake = handshake
        self._over = False
        self._timer = reactor.callLater(max(0.0, until - reactor.seconds()), self._timed_out)
        self._handshake_timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        if self._over:
            self.transport.abortConnection()
        else:
            self._conversation.connected()

    def dataReceived(self, data: bytes) -> None:
        if self._over:
            # The answer to QUIT.
            self.transport.loseConnection()
            return
        self._perform(self._conversation.receive(data))

    def handshakeCompleted(self) -> None:
        """See :class:`IHandshakeListener`."""
        if self._handshake_timer is not None and self._handshake_timer.active():
            self._handshake_timer.cancel()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.fail(f"connection lost: {reason.getErrorMessage()}")
        self._stop_timers()

    def fail(self, why: str) -> None:
        """There is no connection, or no longer."""
        self._perform(self._conversation.fail(why))

    def _perform(self, doings: list[Doing]) -> None:
        for doing in doings:
            match doing:
                case Write(data):
                    self.transport.write(data)
                case StartTls():
                    self.transport.startTLS(self._tls)
                    # Where large packets get lost, it never ends, and without TLS there should be time left.
                    self._handshake_timer = self._reactor.callLater(self._handshake, self._timed_out)
                case Finished(outcome, polite):
                    self._finish(outcome, polite)

    def _finish(self, outcome: Outcome, polite: bool) -> None:
        self._over = True
        self._stop_timers()
        if polite:
            self._timer = self._reactor.callLater(GOODBYE, self._cut)
        else:
            self._cut()
        self.outcome.callback(outcome)

    def _timed_out(self) -> None:
        self.fail("timed out")

    def _cut(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()
        elif self.connector is not None:
            self.connector.disconnect()

    def _stop_timers(self) -> None:
        for timer in (self._timer, self._handshake_timer):
            if timer is not None and timer.active():
                timer.cancel()


class _Factory(ClientFactory):
    noisy = False

    def __init__(self, line: _Line) -> None:
        self._line = line

    def buildProtocol(self, addr: IAddress | None) -> _Line:
        return self._line

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        self._line.fail(f"cannot connect: {reason.getErrorMessage()}")
