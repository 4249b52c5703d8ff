"""One connection to a Redis or Valkey server, or to a Sentinel.

txredisapi reads the replies and knows the commands. Three things of it are replaced here:

- commands are written, and replies awaited, with a sixth of the work;
- a bulk reply does not wait for the reactor's next turn (a connection with many of them would answer one a
  turn);
- its time limit is one timer for each command. Replies come in order, so one for the oldest is enough.

Numbers, which is what scripts answer with, are read without it where nothing else came with them.

Its connection handlers are not used at all: while there is no connection they let commands wait, without
bound and without end, they give up for good after a wrong password, and its Sentinel has no TLS.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from txredisapi import BaseRedisProtocol, ResponseError

from mailbase.store.errors import StoreError
from mailbase.store.redis.metrics import RedisMetrics
from mailbase.store.redis.wire import encoded

UNFIT = frozenset({"READONLY", "MASTERDOWN", "LOADING", "NOAUTH", "NOREPLICAS", "MISCONF"})
"""Refusals that say: this server can't be our store now, whatever is asked of it."""
MAX_REASON = 200
"""Characters of the other side's words that are kept."""


PREFIX = "redis: "
"""Before what becomes of a command, for those who don't know that it was one."""

_NUMBERS = re.compile(rb"(?::-?[0-9]{1,19}\r\n)+").fullmatch
"""Whole replies that are all numbers."""


class Refused(StoreError):
    """The server answered with an error.

    Arguments:
        text: its words.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text[:MAX_REASON])
        self.code = text.partition(" ")[0]
        """The first word, such as ``NOSCRIPT``."""


class Clock(Protocol):
    """The part of a reactor that a connection needs."""

    def seconds(self) -> float: ...
    def callLater(self, delay: float, function: Callable[..., Any], *args: Any) -> Any: ...


class Link(BaseRedisProtocol):  # type: ignore[misc]  # txredisapi has no annotations
    """Arguments:
    clock: the reactor.
    timeout: seconds after which a command without reply ends the connection.
    metrics: count replies.
    """

    def __init__(self, clock: Clock, timeout: float, metrics: RedisMetrics) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self.ended: Deferred[str] = Deferred()
        """Fires, with the reason, as soon as the connection is of no use any more."""
        self.over = False
        self._clock = clock
        self._timeout = timeout
        self._metrics = metrics
        self._waiting: deque[tuple[Deferred[Any], float]] = deque()
        """What awaits its reply, and since when."""
        self._timer: Any = None
        self._rest = b""
        self._between = True
        """Whether all that came so far were whole replies."""

    def connectionMade(self) -> None:
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)
            self.transport.setTcpKeepAlive(True)

    def connectionLost(self, why: Failure = connectionDone) -> None:
        self._end(f"connection lost: {why.getErrorMessage()}"[:MAX_REASON], "lost")

    def drop(self, reason: str, result: str = "lost") -> None:
        """End the connection at once; what waits for a reply fails.

        Arguments:
            reason: for the log.
            result: how what waits is counted, one of :data:`mailbase.store.redis.metrics.RESULTS`.
        """
        if not self.over:
            self._end(reason, result)
            self.transport.abortConnection()

    def _end(self, reason: str, result: str) -> None:
        if self.over:
            return
        self.over = True
        self.connected = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # First the news, so that whoever asks again because of a failure asks nobody.
        self.ended.callback(reason)
        waiting, self._waiting = self._waiting, deque()
        self._metrics.commands[result] += len(waiting)
        for deferred, _ in waiting:
            deferred.errback(StoreError(PREFIX + reason))

    def hasten(self, timeout: float) -> None:
        """Set another time limit."""
        self._timeout = timeout
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._look()

    @property
    def in_flight(self) -> int:
        """Commands without a reply."""
        return len(self._waiting)

    def execute_command(self, *args: Any, **_: Any) -> Deferred[Any]:
        """Send a command; what is sent in one turn of the reactor leaves together.

        Arguments:
            args: name and arguments: octets, text or numbers.

        Raises (when awaited):
            StoreError: no reply, or one that is an error.
        """
        return self.send(encoded(args))

    def send(self, command: bytes) -> Deferred[Any]:
        """As :meth:`execute_command`.

        Arguments:
            command: as :func:`mailbase.store.redis.wire.encoded` has it.
        """
        deferred: Deferred[Any] = Deferred()
        if self.over:
            deferred.errback(StoreError(PREFIX + "connection lost"))
            return deferred
        self.transport.write(command)
        self._waiting.append((deferred, self._clock.seconds()))
        if self._timer is None:
            self._timer = self._clock.callLater(self._timeout, self._look)
        return deferred

    def _look(self) -> None:
        """Whether the oldest command has waited too long."""
        self._timer = None
        if self.over or not self._waiting:
            return
        left = self._left()
        if left > 0:
            self._timer = self._clock.callLater(left, self._look)
        else:
            # If it was this process that could not go on, the reply lies in the socket: one look into it.
            self._timer = self._clock.callLater(0, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        if self.over or not self._waiting:
            return
        left = self._left()
        if left > 0:
            self._timer = self._clock.callLater(left, self._look)
        else:
            self.drop("no reply in time", "timeout")

    def _left(self) -> float:
        """Seconds that the oldest command may still wait."""
        return self._waiting[0][1] + self._timeout - self._clock.seconds()

    def replyReceived(self, reply: Any) -> None:
        if not self._waiting:
            # Nobody asked; of use to those only who have subscribed to something.
            self.unasked(reply)
            return
        deferred, since = self._waiting.popleft()
        if not isinstance(reply, Exception):
            self._metrics.observe(self._clock.seconds() - since)
            deferred.callback(reply)
            return
        refused = Refused(str(reply))
        self._metrics.commands["error"] += 1
        if isinstance(reply, ResponseError) and refused.code in UNFIT:
            self.drop(f"the server says {refused}")
        deferred.errback(refused)

    def unasked(self, reply: Any) -> None:
        """Something that is no reply to a command."""

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        if self._between and _NUMBERS(data):
            for number in data[1:-2].split(b"\r\n:"):
                if self.over:
                    return
                self.replyReceived(int(number))
            return
        self._rest = data
        whole = data.endswith(b"\r\n")
        while self._rest and not self.over:
            data, self._rest = self._rest, b""
            super().dataReceived(data)
        self._between = whole and bool(self.line_mode) and not self.multi_bulk.pending

    def setLineMode(self, extra: bytes = b"") -> None:
        # Called by txredisapi at the end of a bulk reply, with what follows it.
        self.line_mode = 1
        self._rest = extra or b""


def plain(error: BaseException) -> str:
    """What an error says, for those who know that it is about Redis."""
    return str(error).removeprefix(PREFIX) or type(error).__name__
