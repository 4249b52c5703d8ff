"""How much mail is let in at once, so that no flood fills the memory or the disk.

What is too much is said at DATA, before it is sent: the client keeps the mail and tries again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, get_args

Shortage = Literal["backlog", "spool"]
"""Why a mail is not let in: too many wait for a worker, or too much is on its way."""
SHORTAGES: tuple[Shortage, ...] = get_args(Shortage)


class Meter(Protocol):
    """Counts who was not let in."""

    def kept_out(self, shortage: Shortage) -> None:
        """A transaction was refused at DATA, or when the spool was full."""


class Bounds(Protocol):
    """What the settings allow."""

    @property
    def backlog(self) -> int: ...


class Intake:
    """Arguments:
    waiting: how many mails wait for a worker now.
    bounds: ``contentfilter.workers``; its ``backlog`` may wait. Replaced at a reload.
    total: octets of all mails between DATA and their end, in memory and on disk.
    meter: counts.
    """

    def __init__(self, waiting: Callable[[], int], bounds: Bounds, total: int, meter: Meter) -> None:
        self.bounds = bounds
        self.total = total
        self.octets = 0
        """In hand now."""
        self._waiting = waiting
        self._meter = meter

    def shortage(self) -> Shortage | None:
        """Why no mail can be let in now; counted, if so."""
        shortage: Shortage | None = None
        # A backlog of 0 lets those in that a worker can take at once.
        if self._waiting() >= max(1, self.bounds.backlog):
            shortage = "backlog"
        elif self.octets >= self.total:
            shortage = "spool"
        if shortage is not None:
            self._meter.kept_out(shortage)
        return shortage

    def take(self, octets: int) -> bool:
        """Let in ``octets`` more of a mail; false if there is no room, and then they don't count."""
        if self.octets + octets > self.total:
            self._meter.kept_out("spool")
            return False
        self.octets += octets
        return True

    def give_back(self, octets: int) -> None:
        """A mail with so many octets is done with."""
        self.octets -= octets
