"""A store on a real SQLite file, with the thread and the clock replaced: nothing here sleeps."""

from __future__ import annotations

import io
import sqlite3
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from mailbase.logs import Log
from mailbase.store import Column, Store, TableSpec
from mailbase.store.database import Database
from tests.unit.workers import ManualWorker

from .disk import Disk

SPEC = TableSpec(
    "things",
    (Column("count", "INTEGER"), Column("note", "TEXT"), Column("text", "TEXT", hot=False)),
    cached=4,
)
OTHER = TableSpec("others", (Column("blob", "BLOB"),))
ABSENT_KEY = next(
    key for number in count() if (hash(key := b"absent%d" % number) ^ hash(b"k")) & (SPEC.cached - 1)
)
"""Not in the table, and no rival of ``k`` for its place in memory: Python's hashes differ from run to run."""


class WallClock:
    """A reactor's clock that somebody may set; what waits for its time does not notice.

    Attributes:
        ahead: seconds that were set.
    """

    def __init__(self) -> None:
        self._steady = Clock()
        self.ahead = 0.0

    def seconds(self) -> float:
        return self._steady.seconds() + self.ahead

    def callLater(self, *arguments: Any) -> Any:
        return self._steady.callLater(*arguments)

    def getDelayedCalls(self) -> Any:
        return self._steady.getDelayedCalls()

    def advance(self, seconds: float) -> None:
        self._steady.advance(seconds)


class Bed:
    def __init__(self, folder: Path, spec: TableSpec = SPEC) -> None:
        self.spec = spec
        self.path = folder / "state.sqlite"
        self.clock = WallClock()
        self.clock.advance(1_000_000)
        self.stream = io.StringIO()
        self.disk = Disk()
        self.store = self.open()

    def open(self) -> Store:
        self.worker, self.copier = ManualWorker(), ManualWorker()
        log = Log("test", stream=self.stream)
        store = Store(
            Database(self.path, [self.spec, OTHER], self.disk.connect),
            self.clock,
            log,
            worker=self.worker,
            copier=self.copier,
        )
        store.start()
        self.things = store.table("things")
        return store

    @property
    def now(self) -> float:
        return self.clock.seconds()

    def tick(self, seconds: float = 0.1) -> None:
        self.clock.advance(seconds)
        self.worker.run()

    def on_disk(self) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.path)
        try:
            return connection.execute("SELECT * FROM things ORDER BY key").fetchall()
        finally:
            connection.close()

    def kill(self) -> None:
        """As kill -9 would: nothing more is written."""
        self.worker.jobs.clear()
        self.store._writer.close()
        self.store._reader.close()
