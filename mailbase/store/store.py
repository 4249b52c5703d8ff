"""The store: tables, the timer that hands groups to the writer, and what happens when the disk fails.

Interface: :meth:`Store.start`, :meth:`Store.table`, :meth:`Store.close`; :attr:`Store.status` for metrics.
Diagnostics: a warning when writing or reading begins to fail and with each later attempt, an error when a
damaged file was moved aside, an info when all is well again. The daemon goes on answering throughout.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from mailbase.logs import Log
from mailbase.store.database import Database
from mailbase.store.errors import StoreError, describe
from mailbase.store.numbers import NumberTable
from mailbase.store.reader import Reader
from mailbase.store.table import Table
from mailbase.store.worker import ThreadWorker, Worker
from mailbase.store.writer import Writer

FIRST_RETRY, LAST_RETRY = 0.5, 30.0
"""Seconds between attempts to write to a failing disk; doubled each time."""
LOG_EVERY = 10.0
"""Seconds between two warnings about failing reads."""
PURGE_LOOK, PURGE_ROWS = 5000, 500
"""Rows that one step of purging looks at, and deletes, in each table: some milliseconds of the writer's time.
Ten million are gone through in six hours."""
PURGE_AGAIN, PURGE_IDLE = 0.1, 10.0
"""Seconds to the next step when more of those have expired, and when not."""

COPY_ROWS, COPY_EVERY = 5000, 60.0
"""Rows, or seconds, after which the write-ahead log is copied into the database."""
LEARN_KEYS, LEARN_PAUSE = 500, 0.01
"""Keys learnt in one step of some hundred microseconds, and seconds between two steps."""
LEARN_AGAIN = 60.0
"""Seconds until it is seen whether there are more keys to learn, and after a failure."""

_DONE = object()


class Clock(Protocol):
    """The part of a reactor that the store needs."""

    def seconds(self) -> float: ...
    def callLater(self, delay: float, function: Callable[..., Any], *args: Any) -> Any: ...


@dataclass(slots=True)
class StoreStatus:
    """How the store is doing, for the metrics."""

    broken: bool = False
    """Whether the last attempt to write failed."""
    commits: int = 0
    commit_failures: int = 0
    read_failures: int = 0
    purged: int = 0
    moved_aside: int = 0
    """Damaged files replaced by an empty one."""
    dropped: int = 0
    """Rows that SQLite can never take."""


class Store:
    """Tables in one SQLite file, written behind.

    Arguments:
        database: the file.
        clock: the reactor; seconds since the epoch.
        log: see the module's diagnostics.
        commit_interval: seconds until an entry is on disk, at most.
        worker: runs the writer; a thread when None is given (``clock`` must then have ``callFromThread``).
        copier: copies the write-ahead log into the database, likewise.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        log: Log,
        *,
        commit_interval: float = 0.2,
        worker: Worker | None = None,
        copier: Worker | None = None,
    ) -> None:
        self._clock = clock
        self._log = log
        # Half of the promised time to collect, the other half to write.
        self._collect = commit_interval / 2
        self._worker = worker
        self._copier = copier
        self._database = database
        self._uncopied = 0
        self._copying = False
        self._copied_at = clock.seconds()
        self._writer = Writer(database)
        self._reader = Reader(database, clock.seconds, self._read_failed)
        self._tables = {
            spec.name: (NumberTable if spec.numeric else Table)(spec, self._reader, self._wake)
            for spec in database.tables
        }
        self.status = StoreStatus()
        self._timer: Any = None
        self._oldest: float | None = None
        """When the oldest pending entry was put."""
        self._purging: Any = None
        self._learning: Any = None
        self._lessons = self._new_lessons()
        self._busy = False
        self._closed = False
        self._condemned = False
        self._retry = FIRST_RETRY
        self._read_logged = float("-inf")

    def start(self) -> None:
        """Open the file, or go on without it and try again: a broken store is no reason not to answer."""
        try:
            self._writer.open()
        except (sqlite3.Error, OSError) as error:
            self._write_failed(error)
        self._report()
        if self._worker is None:
            self._worker = ThreadWorker("store-writer", self._clock.callFromThread)  # type: ignore[attr-defined]
        if self._copier is None:
            self._copier = ThreadWorker("store-copier", self._clock.callFromThread)  # type: ignore[attr-defined]
        self._purging = self._clock.callLater(PURGE_IDLE, self._purge)
        self._learn()

    def table(self, name: str) -> Table:
        """A table by its name.

        Raises:
            KeyError: there is none.
        """
        return self._tables[name]

    def close(self, timeout: float = 10.0) -> bool:
        """Write what is pending, end the thread, close the file.

        Arguments:
            timeout: seconds to wait for the disk.

        Returns:
            Whether everything that was put is on disk.
        """
        self._closed = True
        for timer in (self._timer, self._purging, self._learning):
            if timer is not None and timer.active():
                timer.cancel()
        written: list[Exception | None] = []

        def finish() -> None:
            try:
                self._writer.commit(group)
                written.append(None)
            except (sqlite3.Error, OSError) as error:
                written.append(error)
            self._writer.close()

        # A group that is on its way may fail, so it goes along once more; writing it twice changes nothing.
        for table in self._tables.values():
            table.settle(written=False)
        group = {name: table.take() for name, table in self._tables.items()}
        assert self._worker is not None, "close() without start()"
        # First the reader: who closes the file last merges the log into it, and a reader cannot.
        self._reader.close()
        self._worker.submit(finish, lambda result, error: None)
        ended = self._worker.stop(timeout)
        if self._copier is not None:
            self._copier.stop(timeout)
        ok = ended and written == [None]
        if not ok:
            lost = sum(map(len, group.values()))
            error = describe(written[0]) if written and written[0] is not None else "no answer in time"
            self._log.error("store-closed-unwritten", entries=lost, error=error)
        return ok

    @property
    def pending(self) -> int:
        """Entries that are not on disk yet."""
        return sum(table.waiting for table in self._tables.values())

    @property
    def refused(self) -> int:
        """Entries not taken because too many wait for the disk."""
        return sum(table.refused for table in self._tables.values())

    @property
    def learning(self) -> bool:
        """Whether look-ups of absent keys still need the disk, as for a while after the start."""
        return any(table.learning for table in self._tables.values())

    def _wake(self) -> None:
        if self._oldest is None:
            self._oldest = self._clock.seconds()
        if self._timer is None and not self._busy and not self._closed:
            self._timer = self._clock.callLater(self._collect, self._hand_over)

    def _hand_over(self) -> None:
        self._timer = None
        if self._busy or self._closed or self._worker is None:
            return
        self._busy = True
        group = {name: batch for name, table in self._tables.items() if (batch := table.take())}
        self._oldest = None
        condemned, self._condemned = self._condemned, False

        def job() -> None:
            if condemned:
                self._writer.begin_anew()
            self._writer.commit(group)

        self._uncopied += sum(map(len, group.values()))
        self._worker.submit(job, self._handed_over)

    def _handed_over(self, _result: object, error: Exception | None) -> None:
        self._busy = False
        for table in self._tables.values():
            table.settle(written=error is None)
        self._report()
        if error is not None:
            self._write_failed(error)
            return
        self.status.commits += 1
        self._copy()
        if self.status.broken:
            self.status.broken = False
            self._retry = FIRST_RETRY
            self._reader.forgive()
            self._log.info("store-recovered", pending=self.pending)
        if (self.pending or self._condemned) and not self._closed:
            # What came while the last group was written has waited already; by a clock that was set back
            # meanwhile, not at all.
            waited = 0.0 if self._oldest is None else max(0.0, self._clock.seconds() - self._oldest)
            self._timer = self._clock.callLater(max(0.0, self._collect - waited), self._hand_over)

    def _copy(self) -> None:
        """Copy the log into the database now and then.

        Right after a commit, so that it is done before the next, which can then begin a new log. In a thread
        of its own: syncing a slow disk must not hold up the next commit.
        """
        # By a clock that was set back, the last time lies ahead.
        waits = 0.0 <= self._clock.seconds() - self._copied_at < COPY_EVERY
        due = self._uncopied >= COPY_ROWS or not waits
        if not due or self._copying or self._closed or self._copier is None:
            return
        self._copying = True
        self._uncopied = 0
        self._copied_at = self._clock.seconds()
        self._copier.submit(self._database.checkpoint, self._copied)

    def _copied(self, _result: object, error: Exception | None) -> None:
        self._copying = False
        if error is not None:
            self._log.debug("store-not-copied", error=describe(error))

    def _write_failed(self, error: Exception) -> None:
        self.status.commit_failures += 1
        self.status.broken = True
        self._log.warning(
            "store-write-failed",
            error=describe(error),
            pending=self.pending,
            next_attempt=self._retry,
        )
        if not self._closed:
            # An attempt is due even when nothing is pending: it is how we learn that the disk is back.
            self._timer = self._clock.callLater(self._retry, self._hand_over)
        self._retry = min(LAST_RETRY, self._retry * 2)

    def _read_failed(self, error: str, damaged: bool) -> None:
        self.status.read_failures += 1
        now = self._clock.seconds()
        # By a clock that was set back, the last one lies ahead.
        if not 0.0 <= now - self._read_logged < LOG_EVERY:
            self._read_logged = now
            self._log.warning("store-read-failed", error=error, failures=self.status.read_failures)
        if damaged and not self._condemned and not self._closed:
            self._condemned = True
            if self._timer is None and not self._busy:
                self._timer = self._clock.callLater(0, self._hand_over)

    def _report(self) -> None:
        # The writer's thread may append meanwhile; a deque bears that.
        while self._writer.moved_aside:
            path = self._writer.moved_aside.popleft()
            self.status.moved_aside += 1
            self._log.error("store-damaged", moved_to=path, advice="begun anew; sqlite3 .recover may save it")
            self._reader.forgive()
        while self._writer.dropped:
            self.status.dropped += 1
            self._log.error("store-row-dropped", error=self._writer.dropped.popleft())

    def _purge(self) -> None:
        self._purging = None
        if self._closed or self._worker is None:
            return
        if self.status.broken:
            self._purging = self._clock.callLater(PURGE_IDLE, self._purge)
            return
        now = self._clock.seconds()
        self._worker.submit(lambda: self._writer.purge(now, PURGE_LOOK, PURGE_ROWS), self._purged)

    def _purged(self, result: tuple[int, bool] | None, error: Exception | None) -> None:
        self._report()
        if error is not None:
            self.status.commit_failures += 1
            self._log.warning("store-purge-failed", error=describe(error))
        deleted, more = result or (0, False)
        self.status.purged += deleted
        if not self._closed:
            self._purging = self._clock.callLater(PURGE_AGAIN if more else PURGE_IDLE, self._purge)

    def _learn(self) -> None:
        """Get to know, in small steps, which keys the tables have."""
        try:
            busy = next(self._lessons, _DONE) is not _DONE
        except StoreError:
            busy = False
        if not busy:
            self._lessons = self._new_lessons()
        self._learning = self._clock.callLater(LEARN_PAUSE if busy else LEARN_AGAIN, self._learn)

    def _new_lessons(self) -> Iterator[None]:
        return chain.from_iterable(table.learn_keys(LEARN_KEYS) for table in self._tables.values())
