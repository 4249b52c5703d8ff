"""Waiting that somebody may cut short."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from mailbase.store.redis.link import Clock


class Pause:
    """Arguments:
    clock: the reactor.
    """

    __slots__ = ("_clock", "_skip", "_waiting")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: Deferred[None] | None = None
        self._skip = False

    async def take(self, seconds: float) -> None:
        """Wait; not at all if :meth:`end` was called since the last time."""
        if self._skip:
            self._skip = False
            return
        waiting: Deferred[None] = Deferred()
        self._waiting = waiting
        timer = self._clock.callLater(seconds, self.end)
        await waiting
        self._skip = False
        if timer.active():
            timer.cancel()

    def end(self) -> None:
        """Let whoever waits go on, or not even begin to wait."""
        waiting, self._waiting = self._waiting, None
        self._skip = waiting is None
        if waiting is not None:
            waiting.callback(None)
