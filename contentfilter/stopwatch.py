"""How long the stages of deciding on a mail take."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, TypeVar

from twisted.internet.interfaces import IReactorTime

from contentfilter.metering import Stage

T = TypeVar("T")


class Meter(Protocol):
    """Counts."""

    def took(self, stage: Stage, seconds: float) -> None:
        """A stage of a transaction took so long."""


class Stopwatch:
    """Begins with the end of data.

    Arguments:
        clock: monotonic.
        meter: counts.
    """

    def __init__(self, clock: IReactorTime, meter: Meter) -> None:
        self._clock = clock
        self._meter = meter
        self._started = clock.seconds()
        self._taken: dict[Stage, float] = {}

    async def of(self, stage: Stage, work: Awaitable[T]) -> T:
        """What ``work`` gives, timed."""
        started = self._clock.seconds()
        try:
            return await work
        finally:
            self.note(stage, self._clock.seconds() - started)

    def note(self, stage: Stage, seconds: float) -> None:
        """A stage took so long."""
        self._taken[stage] = seconds
        self._meter.took(stage, seconds)

    def finish(self) -> dict[Stage, float]:
        """Seconds by stage, with the total."""
        total = self._clock.seconds() - self._started
        self._meter.took("total", total)
        return {**self._taken, "total": total}
