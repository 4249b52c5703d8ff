"""The Twisted edge of a request's deadline: what is waited for ends in time, or goes on without us."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred

from mailbase.alarms import Alarms
from mailbase.steps import step
from policyd.evidence.facts import Fact


class Patience:
    """Waits for checks.

    Arguments:
        clock: Twisted's IReactorTime.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._alarms = Alarms(clock)

    def wait(self, waiting: Awaitable[Fact], deadline: float) -> Awaitable[Fact | None]:
        """The fact, or None if it is not there at ``deadline`` (seconds of the clock).

        What comes later is let go on behind: it may fill a cache.
        """
        return _Wait(self._clock, self._alarms, waiting, deadline).outcome


class _Wait:
    __slots__ = ("_alarms", "_over", "_steps", "_timer", "outcome")

    def __init__(self, clock: Any, alarms: Alarms, waiting: Awaitable[Fact], until: float) -> None:
        self.outcome: Deferred[Fact | None] = Deferred()
        self._alarms = alarms
        self._over = False
        self._timer: Any = None
        self._steps = waiting.__await__()
        self._go_on(None)
        # All requests have the same time, so that nearly all ask for their alarms in order.
        if not self._over and not alarms.set(self, until):
            self._timer = clock.callLater(max(0.0, until - clock.seconds()), self.wake)

    def wake(self) -> None:
        """See :class:`mailbase.alarms.Sleeper`."""
        self._answered(None)

    def _answered(self, fact: Fact | None) -> None:
        if self._end():
            self.outcome.callback(fact)

    def _go_on(self, result: object) -> None:
        """To be called by what it waits for: as :class:`policyd.server.server._Awaited` has it."""
        try:
            waited = step(self._steps, result)
        except StopIteration as stop:
            self._answered(stop.value)
        except Exception as error:  # noqa: BLE001 - handed to who waits
            if self._end():
                self.outcome.errback(error)
        else:
            waited.addBoth(self._go_on)

    def _end(self) -> bool:
        """Whether this is the first end."""
        if self._over:
            return False
        self._over = True
        if self._timer is None:
            self._alarms.clear(self)
        elif self._timer.active():
            self._timer.cancel()
        return True
