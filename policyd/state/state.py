"""All that policyd remembers, built in one place, wherever it is kept.

The rest of the daemon takes its parts from :class:`State` and does not know where they are: what is in this
process answers at once, what several nodes share answers later.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from prometheus_client.core import Metric
from twisted.internet.defer import Deferred

from mailbase.config import Settings
from mailbase.config.store import MEMORY
from mailbase.logs import Log
from mailbase.store import Memory, Row, Store, StoreError
from mailbase.store.database import Database
from mailbase.store.metrics import collect
from mailbase.store.table import Table
from mailbase.store.worker import Worker
from policyd.end_of_data.tickets import TICKETS, Tickets
from policyd.engine.policy import terms_of
from policyd.exceptions.book import EXCEPTIONS, Shelf, StoreShelf
from policyd.greylist.ledger import Records, StoreLedger
from policyd.learning.lessons import LESSONS
from policyd.learning.lessons import Shelf as LessonShelf
from policyd.learning.lessons import StoreShelf as LessonStore
from policyd.limits.ledger import Limits, StoreLimits
from policyd.state.tables import TABLES

PAGE = 200
"""Rows in one page of a listing."""


@dataclass(frozen=True, slots=True)
class State:
    """Arguments:
    ledger: of greylisting.
    tickets: for contentfilter.
    limits: how much of each is used.
    shelf: exceptions by command.
    lessons: what was learned from mail.
    memory: a table of :mod:`policyd.state.tables` by its name.
    start: opens it; to be called once, before the first request.
    close: writes what is pending and closes it; whether nothing was lost.
    collect: its metrics, their names beginning with the text given.
    pages: lists such a table, as key and all columns, some rows at a time; from the time on.
    shared: whether other nodes write it too.
    """

    ledger: Records
    tickets: Tickets
    limits: Limits
    shelf: Shelf
    lessons: LessonShelf
    memory: Callable[[str], Memory]
    start: Callable[[], None]
    close: Callable[[], bool]
    collect: Callable[[str], Iterable[Metric]]
    pages: Callable[[str, float], AsyncIterator[list[tuple[bytes, Row]]]]
    shared: bool


def open_state(settings: Settings, reactor: Any, log: Log, worker: Worker | None = None) -> State:
    """The state that ``store`` of the configuration describes; not started yet.

    Arguments:
        worker: writes to the disk in place of the store's own threads (SQLite).
    """
    redis = settings.store.redis
    if redis is None:
        return _in_sqlite(settings, reactor, log, worker)
    # Only then: txredisapi takes the global reactor when it is imported.
    from policyd.shared.state import in_redis

    return in_redis(settings, redis, reactor, log)


def _in_sqlite(settings: Settings, reactor: Any, log: Log, worker: Worker | None) -> State:
    database = Database(_path(settings), TABLES)
    store = Store(
        database,
        reactor,
        log,
        commit_interval=settings.store.commit_interval,
        worker=worker,
        copier=worker,
    )
    ledger = StoreLedger(store, terms_of(settings), settings.store.on_error)

    def start() -> None:
        store.start()
        try:
            ledger.load_allowed(reactor.seconds())
        except StoreError as error:
            log.warning("allowed-networks-not-read", error=str(error))

    return State(
        ledger=ledger,
        tickets=Tickets(store.table(TICKETS.name), Deferred.fromCoroutine),
        limits=StoreLimits(store),
        shelf=StoreShelf(store.table(EXCEPTIONS.name)),
        lessons=LessonStore(store.table(LESSONS.name)),
        memory=store.table,
        start=start,
        close=store.close,
        collect=lambda prefix: collect(store, prefix),
        pages=lambda name, now: _pages(store.table(name), now),
        shared=False,
    )


async def _pages(table: Table, now: float) -> AsyncIterator[list[tuple[bytes, Row]]]:
    rows = table.scan(now)
    while page := list(islice(rows, PAGE)):
        yield page


def _path(settings: Settings) -> Path:
    if settings.store.path == MEMORY:
        # Two connections cannot share what is only in memory; a file that goes with the process can.
        folder = tempfile.mkdtemp(prefix="policyd-")
        import atexit
        import shutil

        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return Path(folder) / "policyd.sqlite"
    return Path(settings.store.path)
