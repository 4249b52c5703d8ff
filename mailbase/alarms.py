"""Many alarms behind one timer: for what nearly always ends before its time.

A reactor's timer costs some microseconds to set and to cancel, and a busy daemon sets tens of thousands a
second that all wait equally long. Those are due in the order in which they were set; so one timer for the
first of them does.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Protocol

SET_BACK = 0.05
"""Seconds by which a timer is no more than early."""


class Sleeper(Protocol):
    """What waits; told apart by identity."""

    def wake(self) -> None:
        """Its time has come. It is not waiting any more."""


class Alarms:
    """Arguments:
    clock: Twisted's IReactorTime.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._due: OrderedDict[Sleeper, float] = OrderedDict()
        self._timer: Any = None
        self._rings_at = 0.0
        """Clock seconds for which the timer was set."""
        self._latest = float("-inf")

    def __len__(self) -> int:
        return len(self._due)

    def set(self, sleeper: Sleeper, due: float) -> bool:
        """Wake ``sleeper``, who does not wait here yet, at ``due`` (clock seconds).

        Not for a time before that of another who waits: then the answer is False, and a timer is needed.
        """
        if due < self._latest and self._due:
            return False
        self._due[sleeper] = self._latest = due
        if self._timer is None:
            self._wind(due, self._clock.seconds())
        return True

    def clear(self, sleeper: Sleeper) -> bool:
        """Do not wake ``sleeper``; whether it waited."""
        found = self._due.pop(sleeper, None) is not None
        # Else it is left alone, and rings for the next one.
        if not self._due and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return found

    def _wind(self, due: float, now: float) -> None:
        self._rings_at = due
        self._timer = self._clock.callLater(max(0.0, due - now), self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        due = self._due
        if (back := self._rings_at - now) > SET_BACK:
            # Its time has passed, and the clock was set back meanwhile: all times are nearer than they seem.
            for sleeper in due:
                due[sleeper] -= back
            self._latest -= back
        woken = []
        while due and next(iter(due.values())) <= now:
            woken.append(due.popitem(last=False)[0])
        if due:
            self._wind(next(iter(due.values())), now)
        for sleeper in woken:
            sleeper.wake()
