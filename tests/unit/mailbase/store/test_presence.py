"""Knowing which keys are not there without asking the disk."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from mailbase.logs import Log
from mailbase.store import NEVER, Column, Store, TableSpec
from mailbase.store import store as store_module
from mailbase.store.database import Database
from mailbase.store.reader import RETRY_AFTER
from tests.unit.workers import ManualWorker

from .disk import Disk, sqlite_error

ABSENT = TableSpec("absent", (Column("count", "INTEGER"),), cached=1, mostly_absent=True)


class Presences:
    """A store with a table of mostly absent keys, opened again on 2500 rows."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.disk = Disk()
        self.path = folder / "absent.sqlite"
        self.open()
        for number in range(2500):
            self.table.put(b"%05d" % number, (number, NEVER))
        self.store.close()
        self.open()

    def open(self) -> None:
        self.worker = ManualWorker()
        log = Log("test", stream=io.StringIO())
        self.store = Store(
            Database(self.path, [ABSENT], self.disk.connect),
            self.clock,
            log,
            worker=self.worker,
            copier=ManualWorker(),
        )
        self.store.start()
        self.table = self.store.table("absent")

    def reads(self, keys: list[bytes]) -> int:
        self.disk.reads = 0
        for key in keys:
            self.table.get(key, 0)
        return self.disk.reads

    def learn(self) -> None:
        for _ in range(10):
            self.clock.advance(store_module.LEARN_PAUSE)


def test_absent_keys_are_known_without_the_disk_once_the_keys_are_learnt(tmp_path: Path) -> None:
    bed = Presences(tmp_path)
    absent = [b"absent%d" % number for number in range(500)]
    assert bed.reads(absent) == 500, "not known yet, so the disk is asked"
    bed.learn()
    assert bed.reads([b"other%d" % number for number in range(500)]) < 20
    assert all(bed.table.get(b"%05d" % number, 0) == (number, NEVER) for number in range(2500))
    bed.store.close()


def test_keys_put_while_the_others_are_learnt_are_known_too(tmp_path: Path) -> None:
    bed = Presences(tmp_path)
    bed.table.put(b"00000a", (1, NEVER))
    bed.clock.advance(store_module.LEARN_PAUSE)
    bed.table.put(b"00000b", (2, NEVER))
    bed.table.put(b"99999z", (3, NEVER))
    bed.learn()
    bed.table.put(b"later", (4, NEVER))
    bed.clock.advance(1)
    bed.worker.run()
    for other in range(10):
        bed.table.get(b"%05d" % other, 0)
    found = [bed.table.get(key, 0) for key in (b"00000a", b"00000b", b"99999z", b"later")]
    assert found == [(1, NEVER), (2, NEVER), (3, NEVER), (4, NEVER)]
    bed.store.close()


def test_a_disk_that_fails_while_keys_are_learnt_is_asked_as_before_and_learnt_later(tmp_path: Path) -> None:
    bed = Presences(tmp_path)
    bed.clock.advance(store_module.LEARN_PAUSE)
    bed.disk.read_error = sqlite_error(sqlite3.SQLITE_IOERR, "disk I/O error")
    bed.learn()
    bed.disk.read_error = None
    bed.clock.advance(RETRY_AFTER)
    assert bed.table.get(b"02499", 0) == (2499, NEVER)
    bed.clock.advance(store_module.LEARN_AGAIN)
    bed.learn()
    assert bed.reads([b"x%d" % number for number in range(100)]) < 10
    assert bed.table.get(b"02498", 0) == (2498, NEVER)
    bed.store.close()


def test_many_more_keys_than_expected_are_learnt_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailbase.store.presence.SMALLEST", 1 << 10)
    bed = Presences(tmp_path)
    bed.learn()
    before = bed.table._presence
    assert before is not None
    for number in range(2 * before.capacity + 1):
        bed.table.put(b"more%d" % number, (number, NEVER))
        if number % 1000 == 0:
            bed.clock.advance(0.1)
            bed.worker.run()
    bed.clock.advance(0.1)
    bed.worker.run()
    bed.clock.advance(store_module.LEARN_AGAIN)
    for _ in range(10):
        bed.learn()
    assert bed.table._presence is not None
    assert bed.table._presence.capacity > before.capacity
    assert bed.table.get(b"more0", 0) is not None
    assert bed.table.get(b"00000", 0) is not None
    bed.store.close()
