"""The Twisted edge: Postfix's connections.

One request is in flight on a connection as Postfix uses it; more that arrive together are answered in order.
An idle connection stays open: closing it would cost an smtpd a second (it sleeps before it connects again).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailbase.steps import step
from policyd.engine.decision import Decision
from policyd.engine.engine import Answer, Engine
from policyd.observability.recorder import Recorder
from policyd.protocol.delegation import Event, PolicyProtocol, ProtocolError, encode
from policyd.protocol.request import Request
from policyd.server.readers import Readers

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
        self._asked: list[tuple[PolicyConnection, Request]] = []
        self._deciding = False
        self.given: list[tuple[Request, Decision, float]] = []
        """Answers that are not recorded yet, and when they were asked for, by the timer."""
        self._drained: Deferred[None] | None = None

    def ask(self, connection: PolicyConnection, request: Request) -> None:
        """Decide a request soon: together with what comes from other connections at the same time."""
        self._asked.append((connection, request))
        if self.readers is None or not self.readers.reading:
            self.decide()

    def decide(self) -> None:
        """Decide what was asked. Of several in a row each costs less: the processor has it all at hand."""
        if self._deciding:
            # What is asked meanwhile has its turn.
            return
        self._deciding = True
        try:
            while self._asked:
                asked, self._asked = self._asked, []
                began = self.timer()
                try:
                    answers = self.engine.decide_all([request for _, request in asked])
                except Exception as error:  # noqa: BLE001 - our own fault: none of them has an answer
                    answers = [error] * len(asked)
                for (connection, request), answer in zip(asked, answers, strict=True):
                    try:
                        connection.give(request, answer, began)
                    except Exception:  # noqa: BLE001 - the boundary of a connection: others wait as well
                        connection.unanswered()
        finally:
            self._deciding = False

    def record(self) -> None:
        """Record what was answered, likewise in a row."""
        given, self.given = self.given, []
        record, now = self.recorder.decision, self.timer()
        for request, decision, began in given:
            try:
                record(request, decision, now - began)
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
        self._paused = False
        """Whether nothing is read for the time being."""
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
        self._busy = True
        server.ask(self, event)

    def give(self, request: Request, answer: Answer, began: float) -> None:
        """Answer a request, now or when its answer is there.

        Arguments:
            began: when it came, by the server's timer.
        """
        if isinstance(answer, Decision):
            self.decided(request, answer, began)
        elif isinstance(answer, Exception):
            # Postfix then uses its default_action.
            self._server.recorder.engine_failed(request, answer)
            self._close()
        else:
            _Awaited(self, request, answer, began).go_on(None)

    def decided(self, request: Request, decision: Decision, began: float) -> None:
        """Answer a request; arguments as for :meth:`give`."""
        self._busy = False
        if not self._gone:
            self._answer(request, decision, began)
            if self._waiting:
                self._next()
        if self._closing:
            self._close()
        elif self._paused and not self._busy and not self._unread:
            self._resume()

    def _answer(self, request: Request, decision: Decision, began: float) -> None:
        server = self._server
        server.given.append((request, decision, began))
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
        self._paused = True
        transport: Any = self.transport
        if self._readers is not None:
            self._readers.remove(self._descriptor)
        elif transport is not None and not self._gone:
            transport.pauseProducing()

    def _resume(self) -> None:
        self._paused = False
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
            self._paused = True
            return
        self._readers = None
        transport: Any = self.transport
        transport.startReading()

    def unanswered(self) -> None:
        """Giving an answer has failed."""
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
        self._steps = waiting.__await__()
        self._began = began

    def go_on(self, result: object) -> None:
        """To be called once at first, and by what it waits for."""
        connection = self._connection
        try:
            waited = step(self._steps, result)
        except StopIteration as stop:
            answer: Answer = stop.value
        except Exception as error:  # noqa: BLE001 - the boundary: Postfix then uses its default_action
            answer = error
        else:
            waited.addBoth(self.go_on)
            return
        try:
            connection.give(self._request, answer, self._began)
        except Exception:  # noqa: BLE001 - the boundary of a connection: others wait for the same reply
            connection.unanswered()
