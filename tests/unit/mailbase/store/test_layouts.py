"""How tables lie in the file, and that a file of an earlier version goes on as it is."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from mailbase.store import NEVER, Column, TableSpec
from mailbase.store.batch import Batch
from mailbase.store.database import Database
from mailbase.store.reader import Reader
from mailbase.store.table import Table
from mailbase.store.writer import Writer

APPENDED = TableSpec("things", (Column("count", "INTEGER"),))
CLUSTERED = replace(APPENDED, clustered=True)
BOTH = pytest.mark.parametrize("spec", [APPENDED, CLUSTERED], ids=["appended", "clustered"])


def schema(path: Path) -> dict[str, str]:
    connection = sqlite3.connect(path)
    try:
        return dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))
    finally:
        connection.close()


def reader(database: Database) -> Reader:
    return Reader(database, lambda: 0.0, lambda error, damaged: None)


@BOTH
def test_rows_are_appended_or_lie_in_the_order_of_their_keys(tmp_path: Path, spec: TableSpec) -> None:
    database = Database(tmp_path / "s.sqlite", [spec])
    writer = Writer(database)
    writer.commit({"things": Batch({b"b": (1, NEVER)})})
    writer.commit({"things": Batch({b"a": (2, NEVER)})})
    writer.close()
    ((name, sql),) = schema(database.path).items()
    assert (name, sql.endswith("WITHOUT ROWID")) == ("things", spec.clustered), "and nothing beside the table"
    reading = reader(database)
    rows = [(b"b", 1, NEVER), (b"a", 2, NEVER)]
    assert list(reading.scan(spec)) == (sorted(rows) if spec.clustered else rows)
    assert list(reading.sizes(spec)) == [2]
    reading.close()


@pytest.mark.parametrize(("rows", "counted"), [(0, [0]), (99, [99]), (100, [100, 0]), (250, [100, 100, 50])])
def test_rows_without_numbers_are_counted_some_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, counted: list[int]
) -> None:
    monkeypatch.setattr("mailbase.store.reader.COUNTED", 100)
    database = Database(tmp_path / "s.sqlite", [CLUSTERED])
    writer = Writer(database)
    writer.commit({"things": Batch({b"%03d" % number: (number, NEVER) for number in range(rows)})})
    writer.close()
    reading = reader(database)
    assert list(reading.sizes(CLUSTERED)) == counted
    reading.close()


@BOTH
def test_counting_is_no_one_step_of_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: TableSpec
) -> None:
    """Of ten million rows all at once takes long, above all where the disk has to be read."""
    monkeypatch.setattr("mailbase.store.reader.COUNTED", 100)
    spec = replace(spec, mostly_absent=True)
    database = Database(tmp_path / "s.sqlite", [spec])
    writer = Writer(database)
    writer.commit({"things": Batch({b"%03d" % number: (number, NEVER) for number in range(950)})})
    writer.close()
    reading = reader(database)
    table = Table(spec, reading, lambda: None)
    steps = sum(1 for _ in table.learn_keys(950))
    assert steps == (10 if spec.clustered else 1)
    assert not table.learning
    assert table._presence is not None
    assert table._presence.count >= 900
    reading.close()


@BOTH
def test_a_file_of_an_earlier_version_loses_its_index_and_nothing_else(
    tmp_path: Path, spec: TableSpec
) -> None:
    path = tmp_path / "s.sqlite"
    old = sqlite3.connect(path)
    old.execute(
        "CREATE TABLE things (key BLOB PRIMARY KEY NOT NULL, count INTEGER NOT NULL, expires INTEGER)"
    )
    old.execute("CREATE INDEX things_expires ON things (expires)")
    old.executemany("INSERT INTO things VALUES (?, ?, ?)", [(b"b", 1, NEVER), (b"a", 2, 50), (b"c", 3, 50)])
    old.commit()
    old.close()
    database = Database(path, [spec])
    writer = Writer(database)
    writer.open()
    assert [*schema(path)] == ["things"]
    writer.commit({"things": Batch({b"c": (4, NEVER)})})
    assert writer.purge(50, 10, 10) == (1, False)
    reading = reader(database)
    assert sorted(reading.scan(spec)) == [(b"b", 1, NEVER), (b"c", 4, NEVER)]
    assert reading.keys(spec, b"", 10) == [b"b", b"c"]
    reading.close()
    writer.close()
    before = path.stat().st_mtime_ns
    database.open_writer().close()
    assert path.stat().st_mtime_ns == before, "nothing to do the next time"
