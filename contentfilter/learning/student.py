"""Learns mail by itself: what spamtraps get, and what has an extreme total.

Diagnostics: ``not-learned`` when policyd does not take it; it is lost, and others will come.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from contentfilter.total import Total
from mailbase.config.statistics import AutomaticSettings
from mailbase.control import ControlError
from mailbase.logs import Log
from mailbase.statistics.verbs import LEARN, MAX_MAILS
from mailbase.vocabulary import Flow

OWN = frozenset({"statistics", "bulk"})
"""Sources of clues that follow from what was learned: they must not teach themselves."""
EVERY = 20.0
"""Seconds that lessons wait for others."""
TIMEOUT = 10.0
DAY = 86400.0

Ask = Callable[[str, dict[str, Any], float], Coroutine[Any, Any, dict[str, Any]]]


class Student:
    """Arguments:
    clock: the reactor.
    ask: policyd.
    behind: runs a coroutine that nobody waits for.
    now: seconds since the epoch.
    log: see the module's diagnostics.

    Attributes:
        settings: what is learned; None: nothing. Replaced at a reload.
    """

    def __init__(
        self,
        clock: IReactorTime,
        ask: Ask,
        behind: Callable[[Coroutine[Any, Any, None]], object],
        now: Callable[[], float],
        log: Log,
    ) -> None:
        self._clock = clock
        self._ask = ask
        self._behind = behind
        self._now = now
        self._log = log
        self.settings: AutomaticSettings | None = None
        self._waiting: dict[tuple[bool, str], list[str]] = {}
        self._timer: IDelayedCall | None = None
        self._day = 0
        self._learned = {True: 0, False: 0}

    def graded(self, flow: Flow, lesson: str, total: Total | None, trapped: bool) -> None:
        """A mail was decided on.

        Arguments:
            lesson: of the workers; empty where they failed.
            total: of its points.
            trapped: whether a spamtrap gets it.
        """
        settings = self.settings
        if settings is None or not lesson:
            return
        if trapped:
            if settings.spamtraps:
                self._learn(True, "spamtrap", lesson, settings.per_day)
        elif flow in settings.flows and total is not None:
            points = total.points - sum(item.points for item in total.counted if item.source in OWN)
            if points >= settings.spam_at:
                self._learn(True, "total", lesson, settings.per_day)
            elif points <= settings.ham_at:
                self._learn(False, "total", lesson, settings.per_day)

    def flush(self) -> None:
        """Hand over what waits."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        waiting, self._waiting = self._waiting, {}
        for (spam, source), lessons in waiting.items():
            self._behind(self._send(spam, source, lessons))

    def _learn(self, spam: bool, source: str, lesson: str, most: int) -> None:
        day = int(self._now() // DAY)
        if day != self._day:
            self._day = day
            self._learned = {True: 0, False: 0}
        if self._learned[spam] >= most:
            return
        self._learned[spam] += 1
        lessons = self._waiting.setdefault((spam, source), [])
        lessons.append(lesson)
        if len(lessons) >= MAX_MAILS:
            self.flush()
        elif self._timer is None:
            self._timer = self._clock.callLater(EVERY, self.flush)

    async def _send(self, spam: bool, source: str, lessons: list[str]) -> None:
        run = time.strftime("auto-%Y%m%d", time.gmtime(self._now()))
        about = {"spam": spam, "source": source, "run": run, "mails": lessons}
        try:
            await self._ask(LEARN, about, TIMEOUT)
        except ControlError as error:
            self._log.warning("not-learned", mails=len(lessons), error=str(error))
