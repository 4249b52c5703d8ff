"""A table of numbers: that it says what a table of rows would say, and what memory it takes for that."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from mailbase.logs import Log
from mailbase.store import NEVER, Column, Store, TableSpec
from mailbase.store.database import Database
from mailbase.store.numbers import NumberTable
from mailbase.store.presence import PATTERNS, USED, Presence
from mailbase.store.table import Table

COLUMNS = (Column("a", "INTEGER"), Column("b", "INTEGER"))
NUMBERS = TableSpec("numbers", COLUMNS, cached=8, mostly_absent=True)
COLD = TableSpec("cold", (*COLUMNS, Column("c", "TEXT", hot=False)), cached=8, mostly_absent=True)
ROWS = TableSpec("rows", (*COLUMNS, Column("c", "TEXT")), cached=8, mostly_absent=True)
KNOWN_ABSENT = TableSpec("known_absent", COLUMNS, cached=8)
COLD_ROWS = TableSpec("cold_rows", COLD.columns, cached=8)


class Here:
    """Does what a thread would do, at once."""

    def submit(self, job: Any, done: Any) -> None:
        done(job(), None)

    def stop(self, timeout: float) -> bool:
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    database = Database(tmp_path / "s.sqlite", [NUMBERS, COLD, ROWS, KNOWN_ABSENT, COLD_ROWS])
    store = Store(database, clock, Log("test", stream=io.StringIO()), worker=Here(), copier=Here())
    store.start()
    yield store
    store.close()


class Counting:
    """Counts what is read."""

    def __init__(self, table: Table) -> None:
        self.reads = 0
        self._reader: Any = table._reader
        table._reader = self  # type: ignore[assignment]

    def row(self, spec: TableSpec, key: bytes) -> Any:
        self.reads += 1
        return self._reader.row(spec, key)


def test_only_a_table_of_numbers_of_which_most_are_absent_is_one(store: Store) -> None:
    kinds = {spec.name: type(store.table(spec.name)) for spec in (NUMBERS, COLD, ROWS, KNOWN_ABSENT)}
    assert kinds == {"numbers": NumberTable, "cold": NumberTable, "rows": Table, "known_absent": Table}


def test_what_was_put_or_read_is_read_without_the_disk(store: Store, clock: Clock) -> None:
    table = store.table("cold")
    disk = Counting(table)
    table.put(b"k", (1, -2, "cold", 50))
    clock.advance(1)
    assert table.get(b"k", 0) == (1, -2, 50)
    assert disk.reads == 0
    table._forget((hash(b"k") & table._last_slot) * table._size)
    assert [table.get(b"k", now) for now in (0, 0, 49)] == [(1, -2, 50)] * 3
    assert disk.reads == 1
    assert table.get(b"k", 50) is None
    table.delete(b"k")
    assert table.get(b"k", 0) is None
    clock.advance(1)
    assert table.get(b"k", 0) is None


@pytest.mark.parametrize("name", ["numbers", "rows"])
@pytest.mark.parametrize("missing", range(3))
def test_a_key_that_lacks_one_of_its_bits_is_known_to_be_absent(
    store: Store, name: str, missing: int
) -> None:
    table = store.table(name)
    disk = Counting(table)
    presence = table._presence
    assert presence is not None
    presence.add(b"k")
    assert table.get(b"k", 0) is None
    assert disk.reads == 1
    table._presence = presence = Presence(0)
    presence.add(b"k")
    (place,) = (number for number, word in enumerate(presence.words) if word)
    word = presence.words[place]
    bits = [1 << bit for bit in range(32) if word & 1 << bit]
    assert len(bits) == 3
    presence.words[place] = word ^ bits[missing]
    assert not presence.may_have(b"k")
    assert table.get(b"other", 0) is None
    assert table.get(b"k", 0) is None
    assert disk.reads == 1


@pytest.mark.parametrize("odd", [1 << 63, -(1 << 63) - 1, "text", 1.5])
def test_what_does_not_fit_takes_its_place_from_what_was_there(store: Store, odd: Any) -> None:
    table = store.table("numbers")
    table.put(b"k", (1, 2, NEVER))
    table.put(b"k", (1, odd, NEVER))
    assert table.get(b"k", 0) == (1, odd, NEVER)
    assert table.cached == 0


def test_memory_is_bounded(store: Store) -> None:
    table = store.table("numbers")
    for number in range(1000):
        table.put(b"%d" % number, (number, 0, NEVER))
    assert 0 < table.cached <= NUMBERS.cached
    assert all(table.get(b"%d" % number, 0) == (number, 0, NEVER) for number in range(1000))


@pytest.mark.parametrize("seed", range(4))
def test_it_says_what_a_table_of_rows_says(store: Store, clock: Clock, seed: int) -> None:
    numbers, rows = store.table("numbers"), store.table("rows")
    chance = random.Random(seed)
    for now in range(1500):
        key = b"%d" % chance.randrange(30)
        match chance.randrange(8):
            case 0 | 1:
                row = (chance.randrange(3), now, now + chance.randrange(200))
                numbers.put(key, row)
                rows.put(key, (*row[:2], "text", row[2]), keep=chance.random() < 0.5)
            case 2:
                numbers.delete(key)
                rows.delete(key)
            case 3:
                clock.advance(0.2)
            case _:
                found = rows.get(key, now)
                assert numbers.get(key, now) == (None if found is None else found[:2] + found[3:])


def test_presence_forgets_nothing_and_rarely_takes_one_for_another() -> None:
    presence = Presence(0)
    for number in range(presence.capacity):
        presence.add(b"%d" % number)
    assert all(presence.may_have(b"%d" % number) for number in range(presence.capacity))
    assert 0.9 * presence.capacity < presence.count < presence.capacity
    wrong = sum(presence.may_have(b"absent%d" % number) for number in range(20_000))
    assert wrong < 0.065 * 20_000, "one bit for a key would be wrong twice as often"


def test_every_bit_of_a_word_is_used_alike() -> None:
    uses = [sum(pattern >> bit & 1 for pattern in PATTERNS) for bit in range(USED)]
    assert len(set(PATTERNS)) == 512
    assert max(uses) < 1.6 * min(uses)
