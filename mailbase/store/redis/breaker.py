"""How long a server that failed is left alone. Pure."""

from __future__ import annotations

FIRST, LAST = 0.05, 1.0
"""Seconds from the second failed attempt to the next; doubled each time, up to the last."""
CALM = 10.0
"""Seconds that a connection must have lasted to be forgiven for having failed."""


class Breaker:
    """Says when to try again: at once after a good time, and then ever more seldom.

    A server that takes connections and breaks them at once is not asked more often than one that is off.
    """

    __slots__ = ("_pause", "_since")

    def __init__(self) -> None:
        self._pause = 0.0
        self._since: float | None = None
        """When the connection was made; None without one."""

    @property
    def is_open(self) -> bool:
        """Whether there is no connection, and everything asked fails at once."""
        return self._since is None

    def connected(self, now: float) -> None:
        """There is a connection."""
        self._since = now

    def failed(self, now: float) -> float:
        """A connection was lost, or could not be made.

        Returns:
            Seconds until the next attempt.
        """
        if self._since is not None and now - self._since >= CALM:
            self._pause = 0.0
        self._since = None
        pause = self._pause
        self._pause = min(LAST, max(FIRST, pause * 2))
        return pause
