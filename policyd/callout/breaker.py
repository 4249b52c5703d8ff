"""A circuit breaker: a server that fails again and again is left alone for a while. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerTerms:
    """Arguments:
    failures: in a row, within ``within``, after which a server is down.
    within: seconds.
    pause: seconds until a server that is down is tried again.
    """

    failures: int = 5
    within: float = 60.0
    pause: float = 30.0


class Breaker:
    """Of one server. While it is open nobody calls; after the pause one call tries, and its end decides.

    Whoever was let through by :meth:`begin` must say how it ended.
    """

    __slots__ = ("_since", "_times", "_trying", "_until")

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._since = 0.0
        self._until: float | None = None
        """When it may be tried again; None while it is closed."""
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether the server is down, as far as is known."""
        return self._until is not None

    def refuses(self, now: float) -> bool:
        """Whether a call would not be let through."""
        # Before it began to pause the clock must have been set back: by that nobody is left alone for longer.
        return self._until is not None and (self._trying or self._since <= now < self._until)

    def begin(self, now: float) -> bool:
        """Let a call through, or not."""
        if self.refuses(now):
            return False
        self._trying = self.is_open
        return True

    def succeeded(self) -> bool:
        """A call was answered; whether the server was down until now."""
        was_open = self.is_open
        self._times.clear()
        self._until, self._trying = None, False
        return was_open

    def failed(self, now: float, terms: BreakerTerms) -> bool:
        """A call failed; whether the server is down from now on."""
        self._times.append(now)
        while len(self._times) > terms.failures:
            self._times.popleft()
        if self._until is not None:
            # One that was under way when it opened says nothing new; the one that tries does.
            if self._trying:
                self._pause(now, terms)
            return False
        if len(self._times) < terms.failures or now - self._times[0] > terms.within:
            return False
        self._pause(now, terms)
        return True

    def _pause(self, now: float, terms: BreakerTerms) -> None:
        self._since, self._until, self._trying = now, now + terms.pause, False
