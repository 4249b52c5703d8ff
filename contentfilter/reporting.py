"""Tells policyd what became of mails. Nobody waits for it, and without policyd it costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Literal, Protocol

from mailbase.control import ControlError
from mailbase.report import VERB, Report

TIMEOUT = 5.0
"""Seconds for policyd to take a report."""
MAX_UNDER_WAY = 200
"""Reports that wait for policyd; more are dropped."""

Fate = Literal["taken", "failed", "dropped"]
FATES: tuple[Fate, ...] = ("taken", "failed", "dropped")


class Policyd(Protocol):
    """policyd's control socket."""

    async def request(self, verb: str, arguments: dict[str, Any], timeout: float) -> dict[str, Any]: ...


class Reporter:
    """Arguments:
    policyd: a connection of its own, so that no question waits behind a report.
    behind: runs a coroutine that nobody waits for.
    ended: told how each report fared.
    """

    def __init__(
        self,
        policyd: Policyd,
        behind: Callable[[Coroutine[Any, Any, None]], object],
        ended: Callable[[Fate], None],
    ) -> None:
        self._policyd = policyd
        self._behind = behind
        self._ended = ended
        self._under_way = 0

    def report(self, report: Report) -> None:
        """Send ``report`` if there is room for it."""
        if self._under_way >= MAX_UNDER_WAY:
            self._ended("dropped")
            return
        self._under_way += 1
        self._behind(self._send(report))

    async def _send(self, report: Report) -> None:
        try:
            await self._policyd.request(VERB, report.to_dict(), TIMEOUT)
        except ControlError:
            # policyd says what is wrong in its own log, if it is there.
            self._ended("failed")
        else:
            self._ended("taken")
        finally:
            self._under_way -= 1
