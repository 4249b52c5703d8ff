"""What the writer thread does: commit groups, purge in small steps. No Twisted, no thread of its own.

The interpreter lock is what the reactor needs: a group goes down in statements of many rows, so that the
time is spent inside SQLite, where the lock is free.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from mailbase.store.batch import Amendment, Batch
from mailbase.store.database import Database
from mailbase.store.errors import is_corrupt
from mailbase.store.tables import Row, TableSpec, Value

LARGEST = 128
"""Rows in one statement at most. Groups are cut into powers of two: few statements, so that SQLite keeps them
prepared. While the values of one are handed over the thread holds the interpreter lock, and nobody is
answered: with eight times as many the slowest hundredth of answers takes a third longer."""

UNWRITABLE = (UnicodeError, OverflowError, TypeError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
"""A value that SQLite cannot store: a lone surrogate, an integer beyond 64 bits, an unknown type."""

T = TypeVar("T")

Group = Mapping[str, Batch]
"""By the name of the table."""


class Writer:
    """Owns the writing connection; every method runs in the writer's thread.

    Arguments:
        database: where to write. A damaged file is moved aside and begun anew.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tables = {table.name: table for table in database.tables}
        self._connection: sqlite3.Connection | None = None
        self._looked_at: dict[str, Value] = {}
        """Up to where each table was looked through for what has expired."""
        self.moved_aside: deque[str] = deque()
        """Names of damaged files; the store takes them out and logs them."""
        self.dropped: deque[str] = deque()
        """Why a row could never be written; the store takes these out and logs them."""

    def open(self) -> None:
        """Open the database, or begin a new one in place of a damaged one.

        Raises:
            sqlite3.Error: not possible now.
            OSError: a damaged file cannot be moved.
        """
        if self._connection is not None:
            return
        try:
            self._connection = self._database.open_writer()
        except sqlite3.DatabaseError as error:
            if not is_corrupt(error):
                raise
            self.begin_anew()

    def begin_anew(self) -> None:
        """Move the damaged file aside and begin an empty one.

        Raises:
            sqlite3.Error: no new file can be made.
            OSError: the damaged one cannot be moved.
        """
        self.close()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + f".{time.monotonic_ns() % 1_000_000:06d}"
        self.moved_aside.append(str(self._database.move_aside(stamp)))
        self._connection = self._database.open_writer()

    def commit(self, group: Group) -> None:
        """Write a group in one transaction.

        Raises:
            sqlite3.Error: nothing of it was written.
            OSError: a damaged file cannot be moved.
        """
        try:
            self._transaction(group)
        except sqlite3.Error as error:
            self.close()
            if not is_corrupt(error):
                raise
            self.begin_anew()
            self._transaction(group)

    def _transaction(self, group: Group) -> None:
        self.open()
        assert self._connection is not None
        cursor = self._connection.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
            for name, batch in group.items():
                self._write(cursor, self._tables[name], batch)
            cursor.execute("COMMIT")
        except UNWRITABLE:
            cursor.execute("ROLLBACK")
            self._one_by_one(cursor, group)

    def _write(self, cursor: sqlite3.Cursor, table: TableSpec, batch: Batch) -> None:
        rows = batch.rows
        _delete(cursor, table, [key for key, row in rows.items() if row is None])
        # In the order of their keys a tenth is saved: SQLite's index has it.
        _upsert(cursor, table, sorted((key, row) for key, row in rows.items() if row is not None))
        _amend(cursor, table, batch.amendments)

    def _one_by_one(self, cursor: sqlite3.Cursor, group: Group) -> None:
        """Leave out what SQLite cannot take: one such row must not keep all others from the disk for ever."""
        cursor.execute("BEGIN IMMEDIATE")
        for name, batch in group.items():
            singles = [Batch(rows={key: row}) for key, row in batch.rows.items()]
            singles += [Batch(amendments={key: values}) for key, values in batch.amendments.items()]
            for single in singles:
                try:
                    self._write(cursor, self._tables[name], single)
                except UNWRITABLE as error:
                    self.dropped.append(f"{name}: {error!r}")
        cursor.execute("COMMIT")

    def purge(self, now: float, look: int, limit: int) -> tuple[int, bool]:
        """Look at the next rows of each table and delete those that have expired; after the last, begin anew.

        Arguments:
            look: rows to look at in each.
            limit: rows to delete in each at most.

        Returns:
            How many were deleted, and whether there are more among those.

        Raises:
            sqlite3.Error: none was deleted.
        """
        try:
            self.open()
            assert self._connection is not None
            deleted = [
                self._purge(self._connection, table, now, look, limit) for table in self._tables.values()
            ]
        except sqlite3.Error as error:
            self.close()
            if not is_corrupt(error):
                raise
            self.begin_anew()
            return 0, False
        return sum(deleted), limit in deleted

    def _purge(
        self, connection: sqlite3.Connection, table: TableSpec, now: float, look: int, limit: int
    ) -> int:
        last: Value | None = None
        for start in (self._looked_at.get(table.name, table.beginning), table.beginning):
            (last,) = connection.execute(table.stretch(), (start, look)).fetchone()
            if last is not None:
                break
        else:
            return 0
        deleted = connection.execute(table.purge(), (start, last, int(now), limit)).rowcount
        if deleted < limit:
            self._looked_at[table.name] = last
        return deleted

    def close(self) -> None:
        """Close the connection; what was not committed is rolled back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                # It is given up either way.
                return


# Keys are handed over in the form that the ``sqlite3`` module takes at once: for ``bytes`` it first looks for
# adapters. That was half the price of a row, all of it with the interpreter lock held.


def _upsert(cursor: sqlite3.Cursor, table: TableSpec, items: list[tuple[bytes, Row]]) -> None:
    for size, piece in pieces(items):
        values: list[Any] = []
        for key, row in piece:
            values.append(bytearray(key))
            values += row
        cursor.execute(table.upsert(size), values)


def _delete(cursor: sqlite3.Cursor, table: TableSpec, keys: list[bytes]) -> None:
    for size, piece in pieces(keys):
        cursor.execute(table.delete(size), [bytearray(key) for key in piece])


def _amend(cursor: sqlite3.Cursor, table: TableSpec, amendments: Mapping[bytes, Amendment]) -> None:
    keys: dict[Amendment, list[bytes]] = {}
    for key, values in amendments.items():
        # Most of a group are the same: they were made within a second or two.
        if values in keys:
            keys[values].append(key)
        else:
            keys[values] = [key]
    for values, same in keys.items():
        cursor.execute(table.amend(), (bytearray().join(same), *values))


def pieces(items: list[T]) -> Iterable[tuple[int, list[T]]]:
    """Cut ``items`` into powers of two, the largest first, with the size of each."""
    start, size = 0, LARGEST
    while left := len(items) - start:
        while size > left:
            size //= 2
        yield size, items[start : start + size]
        start += size
