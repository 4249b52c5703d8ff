"""Reads mails in scan workers, for what is seen in them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.python.failure import Failure

from contentfilter.learning.mails import Mail, mails
from contentfilter.offline import Unreadable, make_pool
from contentfilter.pool.messages import Task
from contentfilter.results import ScanResult
from mailbase.config import Settings

WINDOW = 64
"""Mails begun and not handed on yet; each has a descriptor open."""


class Reading:
    """One run over many mails.

    Arguments:
        reactor: Twisted's, not running.
        settings: for the workers.
        jobs: mails at once.
        show: gets each lesson, in base64, in the order of the mails; may raise, which ends the run.
        complain: gets what cannot be read.

    Attributes:
        unreadable: mails and paths that could not be read.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        jobs: int,
        show: Callable[[str], None],
        complain: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._pool = make_pool(reactor, settings, jobs)
        self._jobs = jobs
        self._show = show
        self._complain = complain
        self.unreadable = 0

    def run(self, paths: Iterable[Path]) -> None:
        """Read all mails; returns when the last lesson is shown."""
        problems: list[BaseException] = []

        def broken(failure: Failure) -> None:
            problems.append(failure.value or RuntimeError("no cause"))

        def begin() -> None:
            done = Deferred.fromCoroutine(self._all(paths))
            done.addErrback(broken)
            done.addBoth(lambda _nothing: self._reactor.stop())

        self._reactor.callWhenRunning(begin)
        self._reactor.run()
        for problem in problems:
            raise problem

    async def _all(self, paths: Iterable[Path]) -> None:
        self._pool.start()
        turns = DeferredSemaphore(self._jobs)
        waiting: deque[Deferred[str]] = deque()
        try:
            for mail in mails(paths, self._cannot_read):
                waiting.append(turns.run(self._one, mail))
                if len(waiting) >= WINDOW:
                    self._emit(await waiting.popleft())
            while waiting:
                self._emit(await waiting.popleft())
        finally:
            await self._pool.stop()

    async def _one(self, mail: Mail) -> str:
        task = Task("lesson", mail.size)
        try:
            result = await self._pool.submit(task, os.dup(mail.descriptor))
        finally:
            os.close(mail.descriptor)
        if isinstance(result, ScanResult):
            if result.traits.lesson:
                return result.traits.lesson
            self._cannot_read(Unreadable(f"{mail.name}: nothing to be learned"))
        else:
            self._cannot_read(Unreadable(f"{mail.name}: not read: {result.detail or result.reason}"))
        return ""

    def _emit(self, lesson: str) -> None:
        if lesson:
            self._show(lesson)

    def _cannot_read(self, error: Unreadable) -> None:
        self.unreadable += 1
        self._complain(str(error))
