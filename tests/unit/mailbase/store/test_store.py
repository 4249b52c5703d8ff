"""The store on a real SQLite file, with the thread and the clock replaced: nothing here sleeps."""

from __future__ import annotations

import io
import sqlite3
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from mailbase.logs import Log
from mailbase.store import NEVER, Column, Store, StoreError, TableSpec
from mailbase.store import store as store_module
from mailbase.store.database import Database
from mailbase.store.reader import RETRY_AFTER
from mailbase.store.worker import Done, Job

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


class ManualWorker:
    """Runs jobs when told to, as a thread would some time later."""

    def __init__(self) -> None:
        self.jobs: deque[tuple[Job, Done]] = deque()

    def submit(self, job: Job, done: Done) -> None:
        self.jobs.append((job, done))

    def run(self) -> int:
        count = 0
        while self.jobs:
            job, done = self.jobs.popleft()
            count += 1
            try:
                result, failed = job(), None
            except Exception as error:
                result, failed = None, error
            done(result, failed)
        return count

    def stop(self, timeout: float) -> bool:
        self.run()
        return True


class Disk:
    """Stands in for sqlite3.connect: fails as told."""

    def __init__(self) -> None:
        self.error: sqlite3.Error | None = None
        self.read_error: sqlite3.Error | None = None
        self.reads = 0

    def connect(self, *arguments: Any, **options: Any) -> Any:
        if self.error is not None and not options.get("uri"):
            raise self.error
        options["factory"] = type("Failing", (FailingConnection,), {"disk": self})
        return sqlite3.connect(*arguments, **options)


class FailingConnection(sqlite3.Connection):
    disk: Disk

    def cursor(self, *arguments: Any) -> Any:
        return super().cursor(type("Cursor", (FailingCursor,), {"disk": self.disk}))


class FailingCursor(sqlite3.Cursor):
    disk: Disk

    def execute(self, sql: str, *arguments: Any) -> Any:
        if sql.startswith("INSERT") and self.disk.error is not None:
            raise self.disk.error
        if sql.startswith("SELECT"):
            self.disk.reads += 1
            if self.disk.read_error is not None:
                raise self.disk.read_error
        return super().execute(sql, *arguments)


def sqlite_error(code: int, text: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


FULL = sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full")


class Bed:
    def __init__(self, folder: Path, spec: TableSpec = SPEC) -> None:
        self.spec = spec
        self.path = folder / "state.sqlite"
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.stream = io.StringIO()
        self.disk = Disk()
        self.store = self.open()

    def open(self) -> Store:
        self.worker = ManualWorker()
        log = Log("test", stream=self.stream)
        store = Store(
            Database(self.path, [self.spec, OTHER], self.disk.connect),
            self.clock,
            log,
            worker=self.worker,
            copier=ManualWorker(),
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


@pytest.fixture(params=[False, True], ids=["appended", "clustered"])
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    bed = Bed(tmp_path, replace(SPEC, clustered=request.param))
    yield bed
    bed.disk.error = bed.disk.read_error = None
    bed.store.close()


def test_an_entry_is_visible_at_once_and_on_disk_within_the_interval(bed: Bed) -> None:
    bed.things.put(b"k", (1, "n", "cold", int(bed.now + 60)))
    assert bed.things.get(b"k", bed.now) == (1, "n", bed.now + 60), "hot columns and expires"
    assert bed.on_disk() == []
    bed.clock.advance(0.1)
    assert bed.things.get(b"k", bed.now) is not None, "with the writer, still visible"
    bed.worker.run()
    assert bed.on_disk() == [(b"k", 1, "n", "cold", 1_000_060)]
    assert bed.store.pending == 0


def test_an_entry_put_while_another_group_is_written_waits_no_longer_for_it(bed: Bed) -> None:
    bed.things.put(b"a", (1, "", "", NEVER))
    bed.clock.advance(0.1)
    bed.things.put(b"b", (2, "", "", NEVER))
    bed.clock.advance(0.07)
    bed.worker.run()
    assert [row[0] for row in bed.on_disk()] == [b"a"]
    bed.clock.advance(0.031)
    bed.worker.run()
    assert [row[0] for row in bed.on_disk()] == [b"a", b"b"]


def test_what_was_committed_survives_a_kill_and_the_rest_is_the_last_group(bed: Bed) -> None:
    bed.things.put(b"a", (1, "", "", NEVER))
    bed.tick()
    bed.things.put(b"b", (2, "", "", NEVER))
    bed.kill()
    bed.store = bed.open()
    assert bed.things.get(b"a", bed.now) == (1, "", NEVER)
    assert bed.things.get(b"b", bed.now) is None


def test_close_writes_what_is_pending_and_what_is_on_its_way(bed: Bed) -> None:
    bed.things.put(b"a", (1, "", "", NEVER))
    bed.clock.advance(0.1)
    assert len(bed.worker.jobs) == 1
    bed.things.put(b"b", (2, "", "", NEVER))
    assert bed.store.close()
    assert [row[0] for row in bed.on_disk()] == [b"a", b"b"]
    bed.store = bed.open()


def test_the_newest_value_wins_at_every_stage(bed: Bed) -> None:
    for number in range(5):
        bed.things.put(b"k", (number, "", "", NEVER))
        assert bed.things.get(b"k", bed.now) == (number, "", NEVER)
        if number % 2:
            bed.clock.advance(0.1)
    bed.tick()
    bed.tick()
    assert bed.on_disk() == [(b"k", 4, "", "", NEVER)]


def test_a_deleted_entry_is_gone_at_once_and_stays_gone(bed: Bed) -> None:
    bed.things.put(b"k", (1, "", "", NEVER))
    bed.tick()
    bed.things.delete(b"k")
    assert bed.things.get(b"k", bed.now) is None
    bed.tick()
    assert bed.on_disk() == []
    assert bed.things.get(b"k", bed.now) is None


def test_expired_entries_are_not_there(bed: Bed) -> None:
    bed.things.put(b"k", (1, "", "", int(bed.now + 10)))
    assert bed.things.get(b"k", bed.now + 9) is not None
    assert bed.things.get(b"k", bed.now + 10) is None


def test_reads_go_to_the_disk_once_and_to_memory_afterwards_also_for_what_is_absent(bed: Bed) -> None:
    bed.things.put(b"k", (1, "", "", NEVER))
    bed.tick()
    bed.kill()
    bed.store = bed.open()
    bed.disk.reads = 0
    for _ in range(3):
        assert bed.things.get(b"k", bed.now) is not None
        assert bed.things.get(ABSENT_KEY, bed.now) is None
    assert bed.disk.reads == 2


def test_what_was_put_last_is_read_without_the_disk_also_when_it_is_there(bed: Bed) -> None:
    bed.things.put(b"k", (1, "a", "cold", NEVER))
    bed.things.delete(ABSENT_KEY)
    bed.tick()
    assert [key for key, *_ in bed.on_disk()] == [b"k"]
    bed.disk.reads = 0
    assert bed.things.get(b"k", bed.now) == (1, "a", NEVER)
    assert bed.things.get(ABSENT_KEY, bed.now) is None
    bed.things.put(b"k", (2, "b", "cold", NEVER))
    assert bed.things.get(b"k", bed.now) == (2, "b", NEVER)
    bed.things.delete(b"k")
    assert bed.things.get(b"k", bed.now) is None
    assert bed.disk.reads == 0


def test_memory_for_reading_is_bounded_and_what_falls_out_is_read_again(bed: Bed) -> None:
    for number in range(100):
        bed.things.put(b"%d" % number, (number, "", "", NEVER))
    assert 0 < bed.things.cached <= 2 * SPEC.cached
    assert all(bed.things.get(b"%d" % number, bed.now) for number in range(100)), "from the overlay"
    bed.clock.advance(0.1)
    assert all(bed.things.get(b"%d" % number, bed.now) for number in range(100)), "from the group on its way"
    bed.worker.run()
    assert all(bed.things.get(b"%d" % number, bed.now) for number in range(100)), "from the disk"


def test_a_large_group_is_written_whole(bed: Bed) -> None:
    expected = {b"%05d" % number: number for number in range(256 * 3 + 16 * 2 + 7)}
    for key, number in expected.items():
        bed.things.put(key, (number, "", "", NEVER))
    bed.tick()
    assert {key: count for key, count, *_ in bed.on_disk()} == expected


def test_scan_lists_pending_and_stored_rows_once_each(bed: Bed) -> None:
    for number in range(450):
        bed.things.put(b"%03d" % number, (number, "", "t", NEVER))
    bed.tick()
    bed.things.put(b"000", (1000, "", "t", NEVER))
    bed.things.delete(b"001")
    bed.things.put(b"new", (1001, "", "t", NEVER))
    bed.things.put(b"old", (1002, "", "t", int(bed.now - 1)))
    rows = list(bed.things.scan(bed.now))
    listed = dict(rows)
    assert len(rows) == len(listed) == 450
    assert listed[b"000"] == (1000, "", "t", NEVER)
    assert listed[b"new"][0] == 1001
    assert b"001" not in listed
    assert b"old" not in listed


def test_purge_deletes_expired_rows_in_steps_and_nothing_else(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "PURGE_ROWS", 10)
    for number in range(25):
        bed.things.put(b"%02d" % number, (number, "", "", int(bed.now + 5)))
    bed.things.put(b"stays", (0, "", "", int(bed.now + 3600)))
    bed.tick()
    bed.tick(store_module.PURGE_IDLE)
    assert len(bed.on_disk()) == 16, "one step"
    bed.tick(store_module.PURGE_AGAIN)
    bed.tick(store_module.PURGE_AGAIN)
    assert [row[0] for row in bed.on_disk()] == [b"stays"]
    assert bed.store.status.purged == 25


def test_purge_looks_at_some_rows_a_step_and_begins_anew_after_the_last(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "PURGE_LOOK", 10)
    for number in range(25):
        bed.things.put(b"%02d" % number, (number, "", "", int(bed.now + (20 if number % 2 else 5))))
    bed.tick()
    left = []
    for _ in range(5):
        bed.tick(store_module.PURGE_IDLE)
        left.append(len(bed.on_disk()))
    assert left == [20, 10, 5, 0, 0], "of the first ten half, all of the others, and then the first again"
    assert bed.store.status.purged == 25


def test_purge_leaves_no_row_behind_where_many_have_expired(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "PURGE_LOOK", 10)
    monkeypatch.setattr(store_module, "PURGE_ROWS", 4)
    for number in range(12):
        bed.things.put(b"%02d" % number, (number, "", "", int(bed.now + 5)))
    bed.tick()
    bed.tick(store_module.PURGE_IDLE)
    left = [len(bed.on_disk())]
    for _ in range(2):
        bed.tick(store_module.PURGE_AGAIN)
        left.append(len(bed.on_disk()))
    assert left == [8, 4, 0], "and not what lies behind the first ten"


def test_an_entry_put_again_before_its_purge_survives_it(bed: Bed) -> None:
    bed.things.put(b"k", (1, "", "", int(bed.now + 5)))
    bed.tick()
    bed.clock.advance(6)
    bed.things.put(b"k", (2, "", "", int(bed.now + 100)))
    for _ in range(3):
        bed.tick(store_module.PURGE_IDLE)
    assert [row[1] for row in bed.on_disk()] == [2]


# Faults


def test_a_full_disk_is_survived_reported_retried_and_recovered_from(bed: Bed) -> None:
    bed.disk.error = FULL
    bed.things.put(b"k", (1, "", "", NEVER))
    bed.tick()
    assert bed.store.status.broken
    assert bed.things.get(b"k", bed.now) is not None
    bed.things.put(b"l", (2, "", "", NEVER))
    for _ in range(3):
        bed.tick(store_module.FIRST_RETRY)
    failures = bed.store.status.commit_failures
    assert 2 <= failures <= 3, "with growing pauses"
    bed.disk.error = None
    bed.tick(store_module.LAST_RETRY)
    assert not bed.store.status.broken
    assert [row[0] for row in bed.on_disk()] == [b"k", b"l"]
    assert bed.store.pending == 0
    log = bed.stream.getvalue()
    assert "event=store-write-failed" in log
    assert "event=store-recovered" in log


def test_the_pauses_between_attempts_grow_to_a_bound(bed: Bed) -> None:
    bed.disk.error = FULL
    bed.things.put(b"k", (1, "", "", NEVER))
    for _ in range(3600 * 10):
        bed.tick(0.1)
    assert 3600 / store_module.LAST_RETRY <= bed.store.status.commit_failures <= 130


def test_the_overlay_is_bounded_and_says_so(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailbase.store.table.MAX_PENDING", 10)
    bed.disk.error = FULL
    for number in range(10):
        bed.things.put(b"%d" % number, (number, "", "", NEVER))
        bed.tick(0.01)
    with pytest.raises(StoreError):
        bed.things.put(b"one more", (0, "", "", NEVER))
    assert bed.store.refused == 1
    assert bed.things.get(b"one more", bed.now) is None
    bed.things.put(b"3", (33, "", "", NEVER))
    assert bed.things.get(b"3", bed.now) == (33, "", NEVER), "what is held already may change"
    bed.tick(1)
    with pytest.raises(StoreError):
        bed.things.put(b"one more", (0, "", "", NEVER))
    bed.disk.error = None
    bed.tick(store_module.LAST_RETRY)
    bed.things.put(b"one more", (0, "", "", NEVER))


def test_a_disk_that_cannot_be_read_raises_and_is_not_asked_again_at_once(bed: Bed) -> None:
    bed.disk.read_error = sqlite_error(sqlite3.SQLITE_IOERR, "disk I/O error")
    bed.disk.reads = 0
    for _ in range(10):
        with pytest.raises(StoreError):
            bed.things.get(b"k", bed.now)
    assert bed.disk.reads == 1
    bed.things.put(b"k", (1, "", "", NEVER))
    assert bed.things.get(b"k", bed.now) is not None, "memory still answers"
    bed.disk.read_error = None
    bed.clock.advance(RETRY_AFTER)
    assert bed.things.get(b"absent", bed.now) is None
    assert bed.stream.getvalue().count("event=store-read-failed") == 1


def test_a_file_that_is_no_database_is_moved_aside_at_start(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    path.write_bytes(b"this is not a database, and it is long enough to be read as a page " * 100)
    bed = Bed(tmp_path)
    assert not bed.store.status.broken
    assert bed.store.status.moved_aside == 1
    bed.things.put(b"k", (1, "", "", NEVER))
    bed.tick()
    assert [row[0] for row in bed.on_disk()] == [b"k"]
    (moved,) = [name for name in tmp_path.iterdir() if ".damaged-" in name.name]
    assert moved.read_bytes().startswith(b"this is not")
    assert "level=error" in bed.stream.getvalue() or " error " in bed.stream.getvalue()
    bed.store.close()


def test_damage_found_while_reading_is_repaired_by_beginning_anew(bed: Bed) -> None:
    bed.things.put(b"k", (1, "", "", NEVER))
    bed.tick()
    bed.things.get(b"k", bed.now)
    bed.disk.read_error = sqlite_error(sqlite3.SQLITE_CORRUPT, "database disk image is malformed")
    with pytest.raises(StoreError):
        bed.things.get(ABSENT_KEY, bed.now)
    bed.disk.read_error = None
    bed.tick(0)
    assert bed.store.status.moved_aside == 1
    assert bed.things.get(ABSENT_KEY, bed.now) is None
    assert bed.things.get(b"k", bed.now) is not None, "what memory knows is not forgotten"


def test_damage_found_while_writing_is_repaired_and_nothing_pending_is_lost(bed: Bed) -> None:
    bed.things.put(b"k", (1, "", "", NEVER))

    def once(*arguments: Any, **options: Any) -> Any:
        bed.disk.error = None
        return sqlite3.connect(*arguments, **options)

    bed.disk.error = sqlite_error(sqlite3.SQLITE_CORRUPT, "database disk image is malformed")
    bed.store._writer._database._connect = once
    bed.tick()
    assert bed.store.status.moved_aside == 1
    assert not bed.store.status.broken
    assert [row[0] for row in bed.on_disk()] == [b"k"]


def test_a_store_that_cannot_be_opened_at_start_opens_itself_later(tmp_path: Path) -> None:
    folder = tmp_path / "missing"
    bed = Bed(folder)
    assert bed.store.status.broken
    with pytest.raises(StoreError):
        bed.things.get(b"k", bed.now)
    bed.things.put(b"k", (1, "", "", NEVER))
    folder.mkdir()
    bed.tick(store_module.LAST_RETRY)
    assert not bed.store.status.broken
    assert bed.things.get(b"absent", bed.now) is None
    assert [row[0] for row in bed.on_disk()] == [b"k"]
    bed.store.close()


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    other = sqlite3.connect(path)
    other.execute("PRAGMA application_id = 42")
    other.execute("CREATE TABLE precious (x)")
    other.close()
    bed = Bed(tmp_path)
    assert bed.store.status.broken
    assert "another program" in bed.stream.getvalue()
    assert path.exists()
    assert len(list(tmp_path.glob("*damaged*"))) == 0
    bed.store.close()


def test_a_row_that_sqlite_cannot_take_does_not_hold_up_the_others(bed: Bed) -> None:
    bed.things.put(b"a", (1, "", "", NEVER))
    bed.things.put(b"bad", (1, "\ud800", "", NEVER))
    bed.things.put(b"huge", (1 << 70, "", "", NEVER))
    bed.things.put(b"z", (1, "", "", NEVER))
    bed.tick()
    assert [row[0] for row in bed.on_disk()] == [b"a", b"z"]
    assert bed.store.status.dropped == 2
    assert not bed.store.status.broken
    assert bed.store.pending == 0


def test_a_column_added_by_a_later_version_is_added_to_the_file(bed: Bed) -> None:
    bed.things.put(b"k", (1, "n", "t", NEVER))
    bed.store.close()
    later = replace(bed.spec, columns=(*SPEC.columns, Column("extra", "INTEGER", hot=False)))
    log, worker = Log("test", stream=bed.stream), ManualWorker()
    store = Store(Database(bed.path, [later]), bed.clock, log, worker=worker, copier=ManualWorker())
    store.start()
    assert [row for _, row in store.table("things").scan(bed.now)] == [(1, "n", "t", 0, NEVER)]
    store.close()
    bed.store = bed.open()


def test_closing_on_a_full_disk_ends_and_says_what_is_lost(bed: Bed) -> None:
    bed.disk.error = FULL
    bed.things.put(b"k", (1, "", "", NEVER))
    assert not bed.store.close()
    assert "event=store-closed-unwritten entries=1" in bed.stream.getvalue()
    bed.disk.error = None
    bed.store = bed.open()


# Knowing what is not there

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
