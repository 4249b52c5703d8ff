"""The daemon's end of the control socket.

Long answers go out in small steps, so that a listing of millions of rows neither fills memory nor holds up
the daemon's other work.
"""

from __future__ import annotations

import inspect
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeAlias, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from mailbase.control.protocol import ControlError, Lines, decode, encode
from mailbase.logs import Log
from mailbase.prompt import Prompt

Message: TypeAlias = dict[str, Any]
Rows: TypeAlias = "Iterator[Message] | AsyncIterator[Message]"
Handler: TypeAlias = Callable[[Message], "Message | Rows | Awaitable[Message | Rows]"]

ROWS_PER_STEP = 100
"""Rows sent before the reactor gets its turn again."""
MAX_WAITING = 100
"""Requests that may queue on one connection; then we stop reading from it until they are answered."""
MAX_CONNECTIONS = 200


class ControlServer(Factory):
    """Answers requests by a table of verbs.

    Arguments:
        handlers: verb to handler. A handler gets the whole request, its ``peer`` being the credentials of
            whoever asks, and returns the final line's fields, an iterator of rows (asynchronous or not),
            or an awaitable of either; it raises ControlError with a text for the person.
        clock: to give the reactor its turn between steps.
        log: gets one line a request, with the peer's credentials.
    """

    noisy = False

    def __init__(self, handlers: Mapping[str, Handler], clock: IReactorTime, log: Log) -> None:
        self.handlers = dict(handlers)
        self.clock = clock
        self.log = log
        self.connections: set[ControlConnection] = set()

    def buildProtocol(self, addr: object) -> ControlConnection | None:
        if len(self.connections) >= MAX_CONNECTIONS:
            self.log.warning("control-refused", reason="too many connections")
            return None
        return ControlConnection(self)


class ControlConnection(Protocol):
    """One client of the control socket; its requests are answered in order."""

    _prompt: Prompt

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._lines = Lines()
        self._waiting: deque[bytes] = deque()
        self._busy = False
        self._peer = "unknown"
        self._gone = False
        self._paused = False
        self._drained: Deferred[None] | None = None
        """Waits until the peer has read what was sent."""
        self._full = False
        self._looping = False

    def connectionMade(self) -> None:
        self._server.connections.add(self)
        self._prompt = Prompt(self.transport)
        self._peer = _peer_credentials(self.transport)
        # A slow reader of a long listing must not make us hold it in memory.
        cast(Any, self.transport).registerProducer(self, True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._server.connections.discard(self)
        self._waiting.clear()
        self._stop_pouring()

    def dataReceived(self, data: bytes) -> None:
        try:
            self._waiting.extend(self._lines.feed(data))
        except ControlError as error:
            self._give_up(str(error))
            return
        self._next()
        if len(self._waiting) > MAX_WAITING and not self._full:
            # The other daemon may have had much to ask while we were busy: that is no reason to drop it all.
            self._full = True
            cast(Any, self.transport).pauseProducing()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._go_on()
        self._next()

    def stopProducing(self) -> None:
        self._stop_pouring()

    def _stop_pouring(self) -> None:
        self._gone = True
        self._go_on()

    def _go_on(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None:
            drained.callback(None)

    def _next(self) -> None:
        # An answer that is in memory ends before fromCoroutine() returns, and calls us: the loop below goes
        # on with the next request then, not the call inside the call.
        if self._looping:
            return
        self._looping = True
        # Nor is anything answered whose asker does not read.
        while self._waiting and not self._busy and not self._paused:
            self._busy = True
            Deferred.fromCoroutine(self._answer(self._waiting.popleft()))
        self._looping = False
        if self._full and len(self._waiting) <= MAX_WAITING // 2:
            self._full = False
            if self.transport is not None:
                cast(Any, self.transport).resumeProducing()

    async def _answer(self, line: bytes) -> None:
        verb = "?"
        try:
            request = decode(line)
            verb = str(request.get("verb", ""))
            request["peer"] = self._peer
            handler = self._server.handlers.get(verb)
            if handler is None:
                known = ", ".join(sorted(self._server.handlers))
                raise ControlError(f"unknown verb {verb!r}; this daemon knows: {known}")
            result = handler(request)
            if inspect.isawaitable(result):
                result = await result
            if isinstance(result, dict):
                final = encode({"ok": True, **result})
            else:
                await self._pour(_asynchronous(result))
                final = encode({"ok": True})
        except ControlError as error:
            final = encode({"ok": False, "error": str(error)})
        except Exception as error:  # the boundary: counted, logged, answered
            self._server.log.exception("control-failed", error, verb=verb, peer=self._peer)
            final = encode({"ok": False, "error": "internal error; the daemon's log says more"})
        self._server.log.debug("control", verb=verb, peer=self._peer)
        self._finish(final)

    async def _pour(self, rows: AsyncIterator[Message]) -> None:
        """Send rows in steps; between two of them the reactor turns, and a slow peer is waited for."""
        chunk: list[bytes] = []
        async for row in rows:
            chunk.append(encode({"row": row}))
            if len(chunk) < ROWS_PER_STEP:
                continue
            self._write(b"".join(chunk))
            chunk.clear()
            turn: Deferred[None] = Deferred()
            self._server.clock.callLater(0, turn.callback, None)
            await turn
            while self._paused and not self._gone:
                self._drained = Deferred()
                await self._drained
            if self._gone:
                return
        self._write(b"".join(chunk))

    def _finish(self, final: bytes) -> None:
        self._write(final)
        self._busy = False
        self._next()

    def _write(self, data: bytes) -> None:
        if data:
            self._prompt.write(data)

    def _give_up(self, text: str) -> None:
        self._server.log.warning("control-refused", reason=text, peer=self._peer)
        self._write(encode({"ok": False, "error": text}))
        self._waiting.clear()
        self._stop_pouring()
        transport = cast(Any, self.transport)
        transport.unregisterProducer()
        transport.loseConnection()


async def _asynchronous(rows: Rows) -> AsyncIterator[Message]:
    if isinstance(rows, AsyncIterator):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row


def _peer_credentials(transport: object) -> str:
    """``uid=… pid=…`` of the other end (unix(7), SO_PEERCRED)."""
    handle = getattr(transport, "getHandle", None)
    if handle is None:
        return "unknown"
    try:
        raw = handle().getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid, uid, _gid = struct.unpack("3i", raw)
    except OSError:
        return "unknown"
    return f"uid:{uid},pid:{pid}"
