"""The journal as the reactor sees it: a list to append to, and a thread that does the rest.

Interface: :meth:`Journal.note` for each decision, :meth:`Journal.reported` and :meth:`Journal.outcome` for
what became of a mail, :meth:`Journal.explain` for the operator; :attr:`Journal.status` for the metrics.
Diagnostics: a warning when writing begins to fail and with each later attempt, an info when all is well
again, an error when a damaged file was moved aside, a warning once a minute while entries are dropped.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from mailbase.logs import Log
from mailbase.report import Content, Report
from mailbase.store.errors import StoreError, describe
from mailbase.store.worker import ThreadWorker, Worker
from mailbase.ticket import Ticket
from mailbase.vocabulary import Action
from policyd.engine.decision import Decision
from policyd.journal.entry import Noted, Outcome
from policyd.journal.file import PURGE_ROWS, Batch, JournalFile
from policyd.protocol.request import Request

INTERVAL = 0.2
"""Seconds between two batches."""
MAX_PENDING = 2_000
"""Entries that wait to be written: some 5 MiB. More are dropped; of those that come when half of the room is
taken, only refusals are not: they are what people ask after."""
HALF = MAX_PENDING // 2
MAX_SEARCHES = 10
"""Searches under way; more are refused."""
FIRST_RETRY, LAST_RETRY = 0.5, 30.0
"""Seconds between attempts to write to a failing disk; doubled each time."""
PURGE_AGAIN, PURGE_IDLE = 0.1, 10.0
"""Seconds to the next step of purging when there is more to forget, and when there is not."""
SAY_AGAIN = 60.0
"""Seconds between two lines about dropped entries."""

_REJECT = Action.REJECT


class Clock(Protocol):
    """The part of a reactor that the journal needs."""

    def seconds(self) -> float: ...
    def callLater(self, delay: float, function: Callable[..., Any], *args: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What a reload may change.

    Arguments:
        rate: entries written per second, at most.
        retention: seconds that an entry is kept.
        max_octets: of the file; the oldest entries make room.
    """

    rate: int
    retention: float
    max_octets: int


@dataclass(slots=True)
class Status:
    """How the journal is doing, for the metrics."""

    broken: bool = False
    """Whether the last attempt to write failed."""
    written: int = 0
    dropped: int = 0
    """Entries that found too many waiting."""
    unwritable: int = 0
    """Entries that could not be made, or that SQLite can never take."""
    failures: int = 0
    purged: int = 0
    moved_aside: int = 0
    """Damaged files replaced by an empty one."""
    octets: int = 0


class Journal:
    """Arguments:
    file: where entries are kept.
    clock: the reactor; seconds since the epoch.
    log: see the module's diagnostics.
    terms: in force; may be replaced at a reload.
    worker: runs the file; a thread when None is given (``clock`` must then have ``callFromThread``).
    now: seconds since the epoch, cheaply.
    """

    def __init__(
        self,
        file: JournalFile,
        clock: Clock,
        log: Log,
        terms: Terms,
        *,
        worker: Worker | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._file = file
        self._clock = clock
        self._log = log
        self.terms = terms
        self._worker = worker
        self._now = now
        self.status = Status()
        self._pending: list[Noted] = []
        self._outcomes: list[Outcome] = []
        self._timer: Any = None
        self._purging: Any = None
        self._writing = 0
        """Batches that are with the thread."""
        self._searching = 0
        self._closed = False
        self._retry = FIRST_RETRY
        self._dropped_said = 0
        self._say_at = float("-inf")

    def start(self) -> None:
        """Open the file, or go on without it and try again: mail does not wait for its journal."""
        if self._worker is None:
            self._worker = ThreadWorker("journal", self._clock.callFromThread)  # type: ignore[attr-defined]
        self._worker.submit(self._file.open, self._opened)
        self._purging = self._clock.callLater(PURGE_IDLE, self._purge)

    @property
    def pending(self) -> int:
        """Entries that are not with the thread yet."""
        return len(self._pending) + len(self._outcomes)

    def note(self, request: Request, decision: Decision, seconds: float) -> None:
        """Take note of a decision: one append. Called with every request.

        Arguments:
            seconds: from the request to the answer.
        """
        pending = self._pending
        waiting = len(pending)
        if waiting >= HALF and (waiting >= MAX_PENDING or decision.action is not _REJECT):
            self.status.dropped += 1
            return
        pending.append((self._now(), request, decision, seconds))
        if not waiting:
            self._wake()

    def outcome(
        self,
        decision_id: str,
        action: str,
        *,
        reply: str = "",
        queue_id: str = "",
        findings: tuple[str, ...] = (),
        seconds: float = 0.0,
        content: Content | None = None,
    ) -> None:
        """Take note of what became of a mail; see :class:`~policyd.journal.entry.Outcome`."""
        if len(self._outcomes) >= MAX_PENDING:
            self.status.dropped += 1
            return
        outcome = Outcome(self._now(), decision_id, action, reply, queue_id, findings, seconds, content)
        self._outcomes.append(outcome)
        self._wake()

    def reported(self, ticket: Ticket, report: Report, final: bool) -> None:
        """See :data:`policyd.end_of_data.reports.Hook`. Each report counts, final or not."""
        seconds = report.content["seconds"].get("total", 0.0) if report.content is not None else 0.0
        self.outcome(
            report.id,
            report.action.value,
            reply=report.reply,
            findings=report.findings,
            seconds=seconds,
            content=report.content,
        )

    async def explain(self, term: str, limit: int) -> list[dict[str, Any]]:
        """What is known of ``term``; see :meth:`~policyd.journal.file.JournalFile.find`.

        Nothing is missing, unless the disk does not take what waits (:attr:`pending`).

        Raises:
            ValueError: cannot be understood; the message is for the operator.
            StoreError: cannot be read now, or too many ask.
        """
        if self._worker is None or self._closed:
            raise StoreError("the journal is closed")
        if self._searching >= MAX_SEARCHES:
            raise StoreError("too many searches are under way")
        # The thread does one thing after the other, so that what waits is there when the search begins.
        self._hand_over(everything=True)
        found: Deferred[list[dict[str, Any]]] = Deferred()

        def done(result: list[dict[str, Any]] | None, error: Exception | None) -> None:
            self._searching -= 1
            self._report()
            if error is None:
                found.callback(result or [])
            elif isinstance(error, ValueError):
                found.errback(error)
            else:
                found.errback(StoreError(f"the journal cannot be read: {describe(error)}"))

        self._searching += 1
        self._worker.submit(lambda: self._file.find(term, limit), done)
        return await found

    def close(self, timeout: float = 5.0) -> bool:
        """Write what is pending, end the thread, close the file.

        Arguments:
            timeout: seconds to wait for the disk.

        Returns:
            Whether everything that was noted is in the file.
        """
        self._closed = True
        for timer in (self._timer, self._purging):
            if timer is not None and timer.active():
                timer.cancel()
        assert self._worker is not None, "close() without start()"
        batch = self._take(self.pending)
        failed: list[Exception | None] = []

        def finish() -> None:
            try:
                if len(batch):
                    self._file.write(batch)
                failed.append(None)
            except (sqlite3.Error, OSError) as error:
                failed.append(error)
            self._file.close()

        self._worker.submit(finish, lambda result, error: None)
        ended = self._worker.stop(timeout)
        ok = ended and failed == [None]
        if not ok:
            error = describe(failed[0]) if failed and failed[0] is not None else "no answer in time"
            self._log.error("journal-closed-unwritten", entries=len(batch), error=error)
        return ok

    def _wake(self) -> None:
        if self._timer is None and not self._closed:
            self._timer = self._clock.callLater(INTERVAL, self._batch_due)

    def _batch_due(self) -> None:
        self._timer = None
        self._say_dropped()
        # A thread that is busy with a slow disk gets no more to hold.
        if not self._writing:
            self._hand_over()
        if self.pending:
            self._wake()

    def _hand_over(self, *, everything: bool = False) -> None:
        """Give the thread a batch: as much as the rate allows."""
        batch = self._take(self.pending if everything else max(1, int(self.terms.rate * INTERVAL)))
        if not len(batch) or self._worker is None:
            return
        self._writing += 1
        self._worker.submit(lambda: self._file.write(batch), partial(self._written, batch))

    def _take(self, limit: int) -> Batch:
        batch = Batch(self._pending[:limit], self._outcomes[:limit])
        del self._pending[:limit], self._outcomes[:limit]
        return batch

    def _written(self, batch: Batch, written: int | None, error: Exception | None) -> None:
        self._writing -= 1
        self._report()
        status = self.status
        if error is None:
            status.written += written or 0
            if status.broken:
                status.broken = False
                self._retry = FIRST_RETRY
                self._log.info("journal-recovered", pending=self.pending)
            return
        # Tried again later, as far as there is room for it.
        self._pending[:0] = batch.decisions
        self._outcomes[:0] = batch.outcomes
        for waiting in (self._pending, self._outcomes):
            status.dropped += max(0, len(waiting) - MAX_PENDING)
            del waiting[MAX_PENDING:]
        self._failed(error)

    def _opened(self, _result: object, error: Exception | None) -> None:
        self._report()
        if error is not None:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.status.failures += 1
        self.status.broken = True
        self._log.warning(
            "journal-write-failed", error=describe(error), pending=self.pending, next_attempt=self._retry
        )
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if not self._closed:
            self._timer = self._clock.callLater(self._retry, self._batch_due)
        self._retry = min(LAST_RETRY, self._retry * 2)

    def _report(self) -> None:
        file, status = self._file, self.status
        status.octets = file.octets
        # The thread may append meanwhile; a deque bears that.
        while file.moved_aside:
            path = file.moved_aside.popleft()
            status.moved_aside += 1
            self._log.error("journal-damaged", moved_to=path, advice="begun anew")
        while file.unwritable:
            why = file.unwritable.popleft()
            status.unwritable += 1
            self._log.error("journal-entry-lost", error=why)

    def _say_dropped(self) -> None:
        new = self.status.dropped - self._dropped_said
        now = self._clock.seconds()
        if new and now >= self._say_at:
            self._dropped_said = self.status.dropped
            self._say_at = now + SAY_AGAIN
            self._log.warning("journal-dropped", entries=new, rate=self.terms.rate)

    def _purge(self) -> None:
        self._purging = None
        if self._closed or self._worker is None:
            return
        terms, now = self.terms, self._clock.seconds()
        self._worker.submit(lambda: self._file.purge(now, terms.retention, terms.max_octets), self._purged)

    def _purged(self, removed: int | None, error: Exception | None) -> None:
        self._report()
        if error is not None:
            self.status.failures += 1
            self._log.warning("journal-purge-failed", error=describe(error))
        self.status.purged += removed or 0
        if not self._closed:
            self._purging = self._clock.callLater(
                PURGE_AGAIN if (removed or 0) >= PURGE_ROWS else PURGE_IDLE, self._purge
            )
