"""The way to one server: so many at one time, so many in the queue behind them."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.defer import Deferred

from policyd.callout.breaker import Breaker


class Lane:
    """To one server.

    Arguments:
        clock: the reactor.

    Attributes:
        breaker: of that server.
        tls_failed: seconds since the epoch when it last did.
        warned: whether the log tells that it must not be called.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._waiting: deque[Deferred[bool]] = deque()
        self._free = 0
        self._handing_over = False
        self.in_use = 0
        self.breaker = Breaker()
        self.tls_failed = float("-inf")
        self.warned = False

    @property
    def waiting(self) -> int:
        """How many stand in the queue."""
        return len(self._waiting)

    def enter(self, concurrency: int, backlog: int, until: float) -> bool | Deferred[bool]:
        """True: go, and :meth:`leave` at the end. False: too many, or it took until ``until``."""
        if self.in_use < concurrency:
            self.in_use += 1
            return True
        if len(self._waiting) >= backlog:
            return False
        turn: Deferred[bool] = Deferred()
        self._waiting.append(turn)
        timer = self._clock.callLater(max(0.0, until - self._clock.seconds()), self._give_up, turn)
        turn.addCallback(_stop, timer)
        return turn

    def leave(self) -> None:
        """Make room for the next one."""
        self._free += 1
        if self._handing_over:
            # Whoever was let in has left again already; a long queue must not become a deep stack.
            return
        self._handing_over = True
        while self._free and self._waiting:
            self._free -= 1
            self._waiting.popleft().callback(True)
        self._handing_over = False
        self.in_use -= self._free
        self._free = 0

    def _give_up(self, turn: Deferred[bool]) -> None:
        self._waiting.remove(turn)
        turn.callback(False)


def _stop(result: bool, timer: Any) -> bool:
    if timer.active():
        timer.cancel()
    return result
