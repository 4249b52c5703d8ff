"""Learns mail by itself: what spamtraps get, and what has an extreme total.

What is to be learned of a mail a scan worker says when the mail has been decided on and nobody waits for it
any more; where the workers have no time for that, it is not learned.

Diagnostics: ``not-learned`` when policyd does not take it; it is lost, and others will come.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any, Literal, Protocol, get_args

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from contentfilter.content.limits import MIB
from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.disposition.total import Total
from contentfilter.pool.messages import Task
from contentfilter.spool.spool import Spool
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
MOST_OCTETS = 64 * MIB
"""Octets of mails that wait for a worker, or are with one; a larger mail is learned if it is alone."""
SHORT = frozenset({"overload", "unavailable"})
"""Reasons why workers did not begin."""

Reading = Literal["read", "dropped", "failed"]
"""How it fared to ask a worker what is to be learned: it told, or had no time, or could not."""
READINGS: tuple[Reading, ...] = get_args(Reading)

Ask = Callable[[str, dict[str, Any], float], Coroutine[Any, Any, dict[str, Any]]]


class Pool(Protocol):
    """The scan pool."""

    def aside(self, task: Task, descriptor: int) -> Deferred[ScanResult | ScanFailed]: ...


class Student:
    """Arguments:
    clock: the reactor.
    pool: of those who read mail.
    ask: policyd.
    behind: runs a coroutine that nobody waits for.
    now: seconds since the epoch.
    log: see the module's diagnostics.
    count: told how each reading fared.

    Attributes:
        settings: what is learned; None: nothing. Replaced at a reload.
    """

    def __init__(
        self,
        clock: IReactorTime,
        pool: Pool,
        ask: Ask,
        behind: Callable[[Coroutine[Any, Any, None]], object],
        now: Callable[[], float],
        log: Log,
        count: Callable[[Reading], None],
    ) -> None:
        self._clock = clock
        self._pool = pool
        self._ask = ask
        self._behind = behind
        self._now = now
        self._log = log
        self._count = count
        self.settings: AutomaticSettings | None = None
        self._octets = 0
        self._waiting: dict[tuple[bool, str], list[str]] = {}
        self._timer: IDelayedCall | None = None
        self._day = 0
        self._learned = {True: 0, False: 0}

    def graded(self, flow: Flow, spool: Spool, total: Total | None, trapped: bool) -> None:
        """A mail was decided on that the workers could read.

        Arguments:
            spool: the mail; its owner may close it right afterwards.
            total: of its points.
            trapped: whether a spamtrap gets it.
        """
        settings = self.settings
        if settings is None:
            return
        if trapped:
            if settings.spamtraps:
                self._read(spool, True, "spamtrap", settings.per_day)
        elif flow in settings.flows and total is not None:
            points = total.points - sum(item.points for item in total.counted if item.source in OWN)
            if points >= settings.spam_at:
                self._read(spool, True, "total", settings.per_day)
            elif points <= settings.ham_at:
                self._read(spool, False, "total", settings.per_day)

    def flush(self) -> None:
        """Hand over what waits."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        waiting, self._waiting = self._waiting, {}
        for (spam, source), lessons in waiting.items():
            self._behind(self._send(spam, source, lessons))

    def _read(self, spool: Spool, spam: bool, source: str, most: int) -> None:
        """Have a worker read the mail, if there is room in the day and for its octets."""
        if not self._room(spam, most):
            return
        size = spool.wire_size
        if self._octets and self._octets + size > MOST_OCTETS:
            self._count("dropped")
            return
        try:
            descriptor = spool.as_fd()
        except (OSError, ValueError):
            self._count("failed")
            return
        self._octets += size
        reading = self._pool.aside(Task("wire-lesson", size), descriptor)
        self._behind(self._await(reading, size, spam, source, most))

    async def _await(
        self, reading: Deferred[ScanResult | ScanFailed], size: int, spam: bool, source: str, most: int
    ) -> None:
        try:
            result = await reading
        finally:
            self._octets -= size
        if isinstance(result, ScanFailed):
            self._count("dropped" if result.reason in SHORT else "failed")
            return
        self._count("read")
        # Others may have filled the day meanwhile.
        if result.traits.lesson and self._room(spam, most):
            self._learn(spam, source, result.traits.lesson)

    def _room(self, spam: bool, most: int) -> bool:
        day = int(self._now() // DAY)
        if day != self._day:
            self._day = day
            self._learned = {True: 0, False: 0}
        return self._learned[spam] < most

    def _learn(self, spam: bool, source: str, lesson: str) -> None:
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
