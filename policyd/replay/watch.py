"""Is told what the checks of a simulation count, and keeps what the operator of a replay should know."""

from __future__ import annotations

from policyd.limits.bucket import Standing
from policyd.limits.limit import Limit


class Watch:
    """See :class:`policyd.engine.engine.Watch` and :class:`policyd.checks.rate.LimitWatch`."""

    def __init__(self) -> None:
        self.failures: dict[str, int] = {}
        """How often each check raised."""

    def check_failed(self, check: str, error: Exception) -> None:
        """A check raised; it has no opinion."""
        self.failures[check] = self.failures.get(check, 0) + 1

    def late(self) -> None:
        """A check would have had to wait; it has no opinion."""

    def limit_passed(self, limit: Limit) -> None:
        """Something was taken from a limit."""

    def limit_refused(self, limit: Limit, subject: str, standing: Standing, tell: bool) -> None:
        """A limit was used up."""

    def limit_warned(self, limit: Limit, subject: str, standing: Standing, tell: bool) -> None:
        """A limit will soon be."""

    def limits_unavailable(self) -> None:
        """The store could not say."""
