"""Disks that are full, unreadable, damaged or absent: what goes on, what is told, what is lost."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from mailbase.store import NEVER, StoreError
from mailbase.store import store as store_module
from mailbase.store.reader import RETRY_AFTER

from .bed import ABSENT_KEY, Bed
from .disk import FULL, sqlite_error


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


def test_a_clock_that_is_set_back_does_not_prolong_that(bed: Bed) -> None:
    bed.disk.read_error = sqlite_error(sqlite3.SQLITE_IOERR, "disk I/O error")
    with pytest.raises(StoreError):
        bed.things.get(b"k", bed.now)
    bed.clock.ahead -= 3600
    with pytest.raises(StoreError):
        bed.things.get(b"k", bed.now)
    assert bed.stream.getvalue().count("event=store-read-failed") == 2
    bed.disk.read_error = None
    bed.clock.ahead -= 3600
    assert bed.things.get(b"k", bed.now) is None


def test_a_clock_that_is_set_back_keeps_nothing_from_the_disk(bed: Bed) -> None:
    bed.things.put(b"k", (1, "", "", NEVER))
    bed.clock.advance(0.1)
    # While this is being written:
    bed.things.put(b"l", (2, "", "", NEVER))
    bed.clock.ahead -= 3600
    bed.worker.run()
    bed.tick()
    assert [key for key, *_ in bed.on_disk()] == [b"k", b"l"]


def test_nor_does_it_let_the_log_grow(bed: Bed) -> None:
    bed.things.put(b"k", (1, "", "", NEVER))
    bed.tick(store_module.COPY_EVERY)
    assert len(bed.copier.jobs) == 1
    bed.copier.run()
    bed.clock.ahead -= 3600
    bed.things.put(b"l", (2, "", "", NEVER))
    bed.tick()
    assert len(bed.copier.jobs) == 1


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


def test_closing_on_a_full_disk_ends_and_says_what_is_lost(bed: Bed) -> None:
    bed.disk.error = FULL
    bed.things.put(b"k", (1, "", "", NEVER))
    assert not bed.store.close()
    assert "event=store-closed-unwritten entries=1" in bed.stream.getvalue()
    bed.disk.error = None
    bed.store = bed.open()
