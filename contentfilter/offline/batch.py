"""Many things read by scan workers, side by side and answered in their order, without a daemon."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.python.failure import Failure

from contentfilter.content.results import ScanResult
from contentfilter.pool.pool import Pool

WINDOW = 128
"""Things begun and not shown yet; each may have a descriptor open."""

Item = TypeVar("Item")
"""What is read."""
Row = TypeVar("Row")
"""What is made of it."""


class Unreadable(Exception):
    """A path that cannot be read; the text says why."""


class Batch(ABC, Generic[Item, Row]):
    """One run over all that some paths hold.

    Arguments:
        reactor: Twisted's, not running.
        pool: not started.
        jobs: things at once, as many as the pool has workers.
        show: gets the rows, in the order of the items; may raise, which ends the run.
        complain: gets what cannot be read, or went wrong in us.

    Attributes:
        unreadable: what could not be read, counted.
    """

    def __init__(
        self,
        reactor: Any,
        pool: Pool[ScanResult],
        jobs: int,
        show: Callable[[Row], None],
        complain: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._pool = pool
        self._jobs = jobs
        self._show = show
        self._complain = complain
        self.unreadable = 0

    @abstractmethod
    def _items(self, paths: Iterable[Path]) -> Iterator[Item]:
        """What is to be read; what cannot be goes to :meth:`_cannot_read`."""

    @abstractmethod
    async def _one(self, item: Item) -> Row | None:
        """What is shown of ``item``; None for nothing."""

    def run(self, paths: Iterable[Path]) -> None:
        """Read everything at ``paths``; returns when the last row is shown."""
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
        # An item's time begins when a worker is there for it, so no more are handed over than can be taken.
        turns = DeferredSemaphore(self._jobs)
        waiting: deque[Deferred[Row | None]] = deque()
        try:
            for item in self._items(paths):
                waiting.append(turns.run(self._one, item))
                if len(waiting) >= WINDOW:
                    self._emit(await waiting.popleft())
            while waiting:
                self._emit(await waiting.popleft())
        finally:
            # Where the run ends early nobody is there to hear what became of the rest.
            self._complain = lambda _problem: None
            await self._pool.stop()

    def _emit(self, row: Row | None) -> None:
        if row is not None:
            self._show(row)

    def _cannot_read(self, error: Unreadable) -> None:
        self.unreadable += 1
        self._complain(str(error))
