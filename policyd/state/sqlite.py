"""policyd's state in a SQLite file of its own."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from mailbase.config import Settings
from mailbase.config.store import MEMORY
from mailbase.logs import Log
from mailbase.store import Row, Store, StoreError
from mailbase.store.database import Database
from mailbase.store.metrics import collect
from mailbase.store.table import Table
from mailbase.store.worker import Worker
from policyd.end_of_data.tickets import TICKETS, Tickets
from policyd.engine.policy import terms_of
from policyd.exceptions.book import EXCEPTIONS, StoreShelf
from policyd.greylist.ledger import StoreLedger
from policyd.learning.lessons import LESSONS
from policyd.learning.lessons import StoreShelf as LessonStore
from policyd.limits.ledger import StoreLimits
from policyd.state.state import State
from policyd.state.tables import TABLES

PAGE = 200
"""Rows in one page of a listing."""


def in_sqlite(settings: Settings, reactor: Any, log: Log, worker: Worker | None) -> State:
    """The state in the file that ``store`` of the configuration names; not started yet.

    Arguments:
        worker: writes to the disk in place of the store's own threads.
    """
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
