"""Columns of rows that are changed by their key alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailbase.store import NEVER, StoreError
from mailbase.store import store as store_module
from mailbase.store.batch import Batch
from mailbase.store.database import Database
from mailbase.store.tables import Row, TableSpec
from mailbase.store.writer import Writer

from .bed import SPEC, Bed
from .disk import FULL

AMENDED = replace(SPEC, key_size=2, amended=("count",))
KEYS = [b"k%d" % number for number in range(8)]


@pytest.fixture(params=[False, True], ids=["appended", "clustered"])
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    bed = Bed(tmp_path, replace(AMENDED, clustered=request.param))
    yield bed
    bed.disk.error = bed.disk.read_error = None
    bed.store.close()


def test_it_is_seen_at_once_and_on_disk_with_its_group(bed: Bed):
    bed.things.put(b"k1", (1, "n", "cold", NEVER))
    bed.tick()
    bed.things.amend(b"k1", (2, 2_000_000))
    assert bed.things.get(b"k1", bed.now) == (2, "n", 2_000_000)
    assert list(bed.things.scan(bed.now)) == [(b"k1", (2, "n", "cold", 2_000_000))]
    assert bed.store.pending == 1
    bed.clock.advance(0.1)
    assert bed.things.get(b"k1", bed.now) == (2, "n", 2_000_000), "with the writer"
    bed.worker.run()
    assert bed.on_disk() == [(b"k1", 2, "n", "cold", 2_000_000)]
    assert bed.store.pending == 0


def test_of_a_row_that_is_not_on_disk_yet(bed: Bed):
    bed.things.put(b"k1", (1, "n", "cold", NEVER))
    bed.things.amend(b"k1", (2, 2_000_000))
    bed.things.put(b"k2", (1, "m", "", NEVER))
    bed.clock.advance(0.1)
    bed.things.amend(b"k2", (3, NEVER))  # its row is with the writer
    assert bed.things.get(b"k2", bed.now) == (3, "m", NEVER)
    assert dict(bed.things.scan(bed.now))[b"k2"] == (3, "m", "", NEVER)
    bed.worker.run()
    bed.tick()
    assert bed.on_disk() == [(b"k1", 2, "n", "cold", 2_000_000), (b"k2", 3, "m", "", NEVER)]


def test_one_that_does_not_exist_is_none(bed: Bed):
    bed.things.amend(b"k1", (2, NEVER))
    bed.things.put(b"k2", (1, "", "", NEVER))
    bed.things.delete(b"k2")
    bed.things.amend(b"k2", (2, NEVER))
    assert bed.things.get(b"k1", bed.now) is None
    bed.tick()
    assert bed.on_disk() == []
    assert bed.things.get(b"k2", bed.now) is None


def test_what_was_amended_and_then_deleted_waits_once(bed: Bed):
    bed.things.put(b"k1", (1, "", "", NEVER))
    bed.tick()
    bed.things.amend(b"k1", (2, NEVER))
    bed.things.delete(b"k1")
    assert bed.store.pending == 1
    bed.tick()
    assert bed.on_disk() == []


def test_closing_writes_again_what_fails_meanwhile(bed: Bed):
    for key in KEYS[:2]:
        bed.things.put(key, (1, "n", "", NEVER))
        bed.tick()
    bed.things.put(KEYS[2], (1, "n", "", NEVER))
    bed.things.amend(KEYS[0], (2, NEVER))
    bed.things.amend(KEYS[1], (2, NEVER))
    bed.clock.advance(0.1)
    bed.disk.error = FULL
    bed.worker.submit(lambda: setattr(bed.disk, "error", None), lambda result, error: None)
    bed.things.put(KEYS[1], (3, "n", "", NEVER))
    assert bed.store.close()
    assert [row[:2] for row in bed.on_disk()] == [(KEYS[0], 2), (KEYS[1], 3), (KEYS[2], 1)]
    bed.store = bed.open()


def test_it_may_shorten_a_life(bed: Bed):
    bed.things.put(b"k1", (1, "", "", NEVER))
    bed.tick()
    bed.things.amend(b"k1", (1, int(bed.now)))
    assert bed.things.get(b"k1", bed.now) is None
    assert list(bed.things.scan(bed.now)) == []


def test_it_wakes_the_writer_alone(bed: Bed):
    bed.things.put(b"k1", (1, "", "", NEVER))
    bed.tick()
    assert not bed.worker.jobs
    bed.things.amend(b"k1", (2, NEVER))
    bed.clock.advance(0.1)
    assert len(bed.worker.jobs) == 1


def test_too_many_are_refused(bed: Bed, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mailbase.store.table.MAX_PENDING", 2)
    for key in KEYS[:3]:
        bed.things.put(key, (1, "", "", NEVER))
        bed.tick()
    bed.disk.error = FULL
    bed.things.amend(KEYS[0], (2, NEVER))
    bed.tick()
    bed.things.amend(KEYS[1], (2, NEVER))
    with pytest.raises(StoreError):
        bed.things.amend(KEYS[2], (2, NEVER))
    bed.things.amend(KEYS[1], (3, NEVER))
    assert bed.things.get(KEYS[1], bed.now) == (3, "", NEVER)


def test_what_sqlite_cannot_take_keeps_nothing_else_from_the_disk(bed: Bed):
    for key in KEYS[:2]:
        bed.things.put(key, (1, "", "", NEVER))
    bed.tick()
    bed.things.amend(KEYS[0], (1 << 70, NEVER))
    bed.things.amend(KEYS[1], (2, NEVER))
    bed.tick()
    assert [row[:2] for row in bed.on_disk()] == [(KEYS[0], 1), (KEYS[1], 2)]
    assert bed.store.status.dropped == 1


def test_many_with_all_octets(tmp_path: Path):
    spec = TableSpec("things", SPEC.columns, key_size=16, amended=("count", "note"))
    writer = Writer(Database(tmp_path / "state.sqlite", [spec]))
    source = random.Random(1)
    keys = [bytes(16), b"\xff" * 16, *(source.randbytes(16) for _ in range(3000))]
    writer.commit({"things": Batch({key: (number, "", "t", NEVER) for number, key in enumerate(keys)})})
    amendments: dict[bytes, Row] = {
        key: (number % 3, "n", 7) for number, key in enumerate(keys) if number % 5
    }
    writer.commit({"things": Batch(amendments=amendments)})
    connection = Database(tmp_path / "state.sqlite", [spec]).open_reader()
    rows = {key: row for key, *row in connection.execute("SELECT * FROM things")}
    assert rows == {
        key: [number % 3, "n", "t", 7] if number % 5 else [number, "", "t", NEVER]
        for number, key in enumerate(keys)
    }
    writer.close()


@pytest.mark.parametrize("seed", range(40))
def test_in_any_order_it_is_as_if_the_row_had_been_put(bed: Bed, seed: int):
    source = random.Random(seed)
    rows: dict[bytes, Row] = {}
    for number in range(150):
        key = source.choice(KEYS)
        match source.randrange(8):
            case 0 | 1:
                rows[key] = (number, f"note{number}", "text", NEVER - number)
                bed.things.put(key, rows[key], keep=source.random() < 0.5)
            case 2 | 3 | 4:
                bed.things.amend(key, (number, NEVER + number))
                if key in rows:
                    rows[key] = (number, *rows[key][1:-1], NEVER + number)
            case 5:
                rows.pop(key, None)
                bed.things.delete(key)
            case 6:
                bed.clock.advance(0.1)  # handed over, not written
            case 7:
                bed.disk.error = FULL if source.random() < 0.3 else None
                bed.tick(store_module.LAST_RETRY)
        for each in source.sample(KEYS, 2):
            row = rows.get(each)
            assert bed.things.get(each, bed.now) == (row and row[:2] + row[-1:])
        if not number % 10:
            assert dict(bed.things.scan(bed.now)) == rows
    bed.disk.error = None
    assert bed.store.close()
    assert {key: tuple(row) for key, *row in bed.on_disk()} == rows
    bed.store = bed.open()


@pytest.mark.parametrize(
    ("size", "amended"),
    [(0, ("count",)), (2, ("text",)), (2, ("nothing",)), (2, ("note", "count")), (2, ("count", "text"))],
)
def test_a_table_says_what_can_be_amended(size: int, amended: tuple[str, ...]):
    with pytest.raises(ValueError, match="things: cannot amend"):
        TableSpec("things", SPEC.columns, key_size=size, amended=amended)
