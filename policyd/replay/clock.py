"""Time and work of a simulation: the clock stands at the time of the request, and nothing runs beside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Call:
    """One planned call; see Twisted's IDelayedCall.

    Arguments:
        time: when it is due, seconds since the epoch.
        function: to be called.
        arguments: with these.
    """

    def __init__(self, time: float, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.time = time
        self._function = function
        self._arguments = arguments
        self._over = False

    def active(self) -> bool:
        """Whether it is still to come."""
        return not self._over

    def cancel(self) -> None:
        """Do not call."""
        self._over = True

    def run(self) -> None:
        """Call, unless it is over."""
        if not self._over:
            self._over = True
            self._function(*self._arguments)


class SimulatedClock:
    """Seconds since the epoch, as the recording has them; never set back.

    Arguments:
        now: where it begins.
    """

    def __init__(self, now: float = 0.0) -> None:
        self._now = now
        self._calls: list[Call] = []

    def seconds(self) -> float:
        """The time."""
        return self._now

    def callLater(self, delay: float, function: Callable[..., Any], *arguments: Any) -> Call:
        """Plan a call; it is made by :meth:`keep_house`."""
        self._calls.append(Call(self._now + delay, function, arguments))
        return self._calls[-1]

    def advance(self, to: float) -> None:
        """Go on to a time; back is not gone."""
        self._now = max(self._now, to)

    def keep_house(self) -> None:
        """Make all planned calls once, due or not: what the store does now and then, between two requests."""
        calls, self._calls = self._calls, []
        for call in calls:
            call.run()


class InlineWorker:
    """A :class:`mailbase.store.worker.Worker` that does its job at once."""

    def submit(self, job: Callable[[], Any], done: Callable[[Any, Exception | None], None]) -> None:
        """See :class:`mailbase.store.worker.Worker`."""
        try:
            result, failed = job(), None
        except Exception as error:  # noqa: BLE001 - as for the thread: handed to who waits
            result, failed = None, error
        done(result, failed)

    def stop(self, timeout: float) -> bool:
        """Nothing is ever left to do."""
        return True
