"""The Twisted edge of a request's deadline: what is waited for ends in time, or goes on without us."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from policyd.facts import Fact


class Patience:
    """Waits for checks.

    Arguments:
        clock: Twisted's IReactorTime.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock

    def wait(self, waiting: Awaitable[Fact], deadline: float) -> Awaitable[Fact | None]:
        """The fact, or None if it is not there at ``deadline`` (seconds of the clock).

        What comes later is let go on behind: it may fill a cache.
        """
        return _Wait(self._clock, waiting, deadline).outcome


class _Wait:
    def __init__(self, clock: Any, waiting: Awaitable[Fact], until: float) -> None:
        self.outcome: Deferred[Fact | None] = Deferred()
        self._over = False
        self._timer: Any = None
        inner = Deferred.fromCoroutine(_awaited(waiting))
        inner.addCallbacks(self._answered, self._failed)
        if not self._over:
            self._timer = clock.callLater(max(0.0, until - clock.seconds()), self._answered, None)

    def _answered(self, fact: Fact | None) -> None:
        if self._end():
            self.outcome.callback(fact)

    def _failed(self, failure: Failure) -> None:
        if self._end():
            self.outcome.errback(failure)

    def _end(self) -> bool:
        """Whether this is the first end."""
        if self._over:
            return False
        self._over = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        return True


async def _awaited(waiting: Awaitable[Fact]) -> Fact:
    return await waiting
