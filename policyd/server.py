"""The Twisted edge: Postfix's connections.

One request is in flight on a connection as Postfix uses it; more that arrive together are answered in order.
An idle connection stays open: closing it would cost an smtpd a second (it sleeps before it connects again).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from policyd.decision import Decision
from policyd.engine import Engine
from policyd.protocol import Event, PolicyProtocol, ProtocolError, encode
from policyd.readers import Readers
from policyd.recorder import Recorder
from policyd.request import Request

_LOG = Logger()


class PolicyServer(Factory):
    """Makes a :class:`PolicyConnection` for each smtpd.

    Arguments:
        engine: decides.
        recorder: logs and counts.
        timer: for measuring, seconds.
        readers: read the sockets; without them each connection's transport does, more slowly.
    """

    noisy = False

    def __init__(
        self,
        engine: Engine,
        recorder: Recorder,
        timer: Callable[[], float] = time.perf_counter,
        readers: Readers | None = None,
    ) -> None:
        self.engine = engine
        self.recorder = recorder
        self.timer = timer
        self.readers = readers
        self.connections: set[PolicyConnection] = set()
        self.given: list[tuple[Request, Decision, float]] = []
        """Answers that are not recorded yet, and the seconds that they took."""
        self._drained: Deferred[None] | None = None

    def record(self) -> None:
        """Record what was answered. Of several in a row each costs less: the processor has it all at hand."""
        given, self.given = self.given, []
        record = self.recorder.decision
        for request, decision, seconds in given:
            try:
                record(request, decision, seconds)
            except Exception:  # noqa: BLE001 - the boundary of an answer: the others are recorded
                _LOG.failure("an answer was not recorded")

    def buildProtocol(self, addr: object) -> PolicyConnection:
        return PolicyConnection(self)

    async def drain(self) -> None:
        """Answer what is in flight, close every connection; return when all are closed."""
        if not self.connections:
            return
        self._drained = Deferred()
        for connection in list(self.connections):
            connection.finish()
        await self._drained

    def gone(self, connection: PolicyConnection) -> None:
        """A connection is closed."""
        self.connections.discard(connection)
        self.recorder.metrics.connections -= 1
        if self._drained is not None and not self.connections and not self._drained.called:
            self._drained.callback(None)


class PolicyConnection(Protocol):
    """One connection of an smtpd."""

    def __init__(self, server: PolicyServer) -> None:
        self._server = server
        self._protocol = PolicyProtocol()
        self._waiting: deque[Event] = deque()
        self._busy = False
        self._unread = False
        """Whether replies lie here since the peer does not read them."""
        self._closing = False
        self._gone = False
        self._send_now: Callable[[bytes], int] | None = None
        self._readers: Readers | None = None
        self._socket: Any = None
        self._descriptor = -1

    def connectionMade(self) -> None:
        server = self._server
        server.connections.add(self)
        server.recorder.metrics.connections += 1
        server.recorder.metrics.connections_total += 1
        transport: Any = self.transport
        set_no_delay = getattr(transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            try:
                set_no_delay(True)
                transport.setTcpKeepAlive(True)
            except OSError:
                # A UNIX socket has neither.
                pass
        # Whoever sends requests and reads no replies is not read any further.
        transport.registerProducer(self, True)
        # A reply fits the socket's buffer, so it is sent without the detour over the reactor's next turn.
        # Once it did not fit, the connection is left to Twisted's buffer, so that nothing can overtake.
        handle = getattr(transport, "getHandle", None)
        if handle is not None:
            self._socket = handle()
            self._send_now = self._socket.send
            if server.readers is not None:
                transport.stopReading()
                self._descriptor = self._socket.fileno()
                self._readers = server.readers
                self._resume()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._gone = self._closing = True
        self._waiting.clear()
        self._pause()
        self._server.gone(self)

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        events = self._protocol.feed(data)
        if self._busy or self._waiting:
            # Postfix does not do so. Bounded: no more is read while an answer is awaited.
            self._waiting.extend(events)
            if self._busy:
                self._pause()
            return
        if len(events) == 1:
            self._handle(events[0])
            return
        self._waiting.extend(events)
        self._next()

    def pauseProducing(self) -> None:
        """The peer does not read its replies."""
        self._unread = True
        self._pause()

    def resumeProducing(self) -> None:
        self._unread = False
        if not self._busy:
            self._resume()

    def stopProducing(self) -> None:
        self._closing = True

    def finish(self) -> None:
        """Close as soon as nothing is in flight."""
        self._closing = True
        if not self._busy:
            self._close()

    def _next(self) -> None:
        while self._waiting and not self._busy:
            self._handle(self._waiting.popleft())

    def _handle(self, event: Event) -> None:
        server = self._server
        if isinstance(event, ProtocolError):
            peer = getattr(self.transport, "getPeer", lambda: "unknown")()
            server.recorder.protocol_error(event.reason, str(getattr(peer, "host", "unix")))
            self._close()
            return
        began = server.timer()
        try:
            decision = server.engine.decide(event)
        except Exception as error:  # noqa: BLE001 - the boundary: Postfix then uses its default_action
            server.recorder.engine_failed(event, error)
            self._close()
            return
        if isinstance(decision, Decision):
            self._answer(event, decision, began)
        else:
            self._busy = True
            _Awaited(self, event, decision, began).go_on(None)

    def decided(self, request: Request, decision: Decision, began: float) -> None:
        """Answer what could not be answered at once.

        Arguments:
            began: when the request came, by the server's timer.
        """
        self._busy = False
        if not self._gone:
            self._answer(request, decision, began)
            self._next()
        if self._closing:
            self._close()
        elif not self._busy and not self._unread:
            self._resume()

    def _answer(self, request: Request, decision: Decision, began: float) -> None:
        server = self._server
        server.given.append((request, decision, server.timer() - began))
        if self._readers is not None:
            self._readers.reply(self._send, encode(decision.reply), self._failed)
        else:
            self._send(encode(decision.reply))
            server.record()

    def _send(self, data: bytes) -> None:
        if self._send_now is not None:
            try:
                sent = self._send_now(data)
            except OSError:
                # Full, or the connection is lost, which Twisted finds out by itself.
                sent = 0
            if sent == len(data):
                return
            self._send_now = None
            data = data[sent:]
        if self.transport is not None:
            self.transport.write(data)

    def _pause(self) -> None:
        transport: Any = self.transport
        if self._readers is not None:
            self._readers.remove(self._descriptor)
        elif transport is not None and not self._gone:
            transport.pauseProducing()

    def _resume(self) -> None:
        transport: Any = self.transport
        if transport is None or self._gone:
            return
        if self._readers is not None:
            self._readers.add(
                self._descriptor, self._socket.recv, self.dataReceived, self._ended, self._failed
            )
        else:
            transport.resumeProducing()

    def _ended(self) -> None:
        """The peer has closed; let the transport find out how, when there is nothing more to answer."""
        if self._busy:
            return
        self._readers = None
        transport: Any = self.transport
        transport.startReading()

    def undecided(self, request: Request, error: Exception) -> None:
        """There is no answer, for the engine has raised."""
        self._server.recorder.engine_failed(request, error)
        self._close()

    def unanswered(self) -> None:
        """There is one, but giving it has failed."""
        _LOG.failure("a connection of Postfix is closed")
        self._failed()

    def _failed(self) -> None:
        """A fault of ours: as Twisted does with a connection that it reads, this one ends."""
        self._closing = True
        transport: Any = self.transport
        if transport is not None and not self._gone:
            transport.abortConnection()

    def _close(self) -> None:
        self._closing = True
        self._waiting.clear()
        transport: Any = self.transport
        if transport is not None and not self._gone:
            if self._readers is not None:
                # What was asked before has its answer first.
                self._readers.flush()
                self._readers.remove(self._descriptor)
            # Twisted waits for a registered producer before it closes.
            transport.unregisterProducer()
            transport.loseConnection()


class _Awaited:
    """A decision that is waited for; goes on with it whenever a Deferred that it waits for has fired.

    As Deferred.fromCoroutine does, which takes five times as long and makes more Deferreds.
    """

    __slots__ = ("_began", "_connection", "_request", "_steps")

    def __init__(
        self, connection: PolicyConnection, request: Request, waiting: Awaitable[Decision], began: float
    ) -> None:
        self._connection = connection
        self._request = request
        self._steps: Iterator[Deferred[Any]] = waiting.__await__()
        self._began = began

    def go_on(self, _: object) -> None:
        """To be called once at first, and by what it waits for."""
        connection = self._connection
        try:
            waited = next(self._steps)
        except StopIteration as stop:
            try:
                connection.decided(self._request, stop.value, self._began)
            except Exception:  # noqa: BLE001 - the boundary of a connection: others wait for the same reply
                connection.unanswered()
        except Exception as error:  # noqa: BLE001 - the boundary: Postfix then uses its default_action
            connection.undecided(self._request, error)
        else:
            waited.addBoth(self.go_on)
