"""A group goes down in pieces, and between two of the largest whoever waits is answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailbase.store import NEVER, Column, TableSpec
from mailbase.store.database import Database
from mailbase.store.reader import Reader
from mailbase.store.writer import BREATH, LARGEST, Writer

THINGS = TableSpec("things", (Column("count", "INTEGER"),))


@pytest.mark.parametrize(
    ("rows", "pauses"), [(1, 0), (LARGEST - 1, 0), (LARGEST, 1), (LARGEST + 1, 1), (3 * LARGEST + 5, 3)]
)
def test_a_large_group_leaves_others_their_time(tmp_path: Path, rows: int, pauses: int) -> None:
    taken: list[float] = []
    database = Database(tmp_path / "s.sqlite", [THINGS])
    writer = Writer(database, taken.append)
    group = {b"%04d" % number: (number, NEVER) for number in range(rows)}
    writer.commit({"things": group})
    writer.close()
    assert taken == [BREATH] * pauses
    reading = Reader(database, lambda: 0.0, lambda error, damaged: None)
    assert {key: (count, expires) for key, count, expires in reading.scan(THINGS)} == group
    reading.close()


def test_at_the_end_nobody_has_to_be_left_time(tmp_path: Path) -> None:
    taken: list[float] = []
    writer = Writer(Database(tmp_path / "s.sqlite", [THINGS]), taken.append)
    writer.hurry()
    writer.commit({"things": {b"%04d" % number: (number, NEVER) for number in range(LARGEST)}})
    assert taken == []
    writer.close()


def test_nothing_of_a_group_is_seen_before_all_of_it(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.sqlite", [THINGS])
    reading = Reader(database, lambda: 0.0, lambda error, damaged: None)
    seen: list[int] = []
    writer = Writer(database, lambda _seconds: seen.append(len(list(reading.scan(THINGS)))))
    writer.commit({"things": {b"%04d" % number: (number, NEVER) for number in range(2 * LARGEST)}})
    assert seen == [0, 0]
    assert len(list(reading.scan(THINGS))) == 2 * LARGEST
    writer.close()
    reading.close()
