"""Point look-ups on the reactor's own read connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from math import inf
from typing import Any

from mailbase.store.database import Database
from mailbase.store.errors import StoreError, describe, is_corrupt
from mailbase.store.tables import Row, TableSpec, Value

RETRY_AFTER = 1.0
"""Seconds after a failure in which reads fail at once: a dead disk must not cost every request a time-out."""
ROWS_PER_PAGE = 200
"""Rows that a listing reads at once."""
COUNTED = 2000
"""Rows counted at once, in less than a millisecond. All would take as long as to read them: seconds for ten
million that are not in memory."""


class Reader:
    """Reads rows by key.

    Arguments:
        database: where to read.
        seconds: the clock.
        failed: told of each failure, and whether the file is damaged.
    """

    def __init__(
        self, database: Database, seconds: Callable[[], float], failed: Callable[[str, bool], None]
    ) -> None:
        self._database = database
        self._seconds = seconds
        self._failed = failed
        self._connection: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor | None = None
        self._failed_at = -inf
        self._select = {table.name: table.select() for table in database.tables}

    def row(self, table: TableSpec, key: bytes) -> Row | None:
        """The hot columns and ``expires`` of a row, or None.

        Raises:
            StoreError: cannot be read now.
        """
        cursor = self._cursor or self._open()
        try:
            # As a bytearray: for bytes the sqlite3 module looks for adapters, which takes as long as the row.
            cursor.execute(self._select[table.name], (bytearray(key),))
            found: Row | None = cursor.fetchone()
        except sqlite3.Error as error:
            raise self._error(error) from error
        return found

    def scan(self, table: TableSpec) -> Iterator[Row]:
        """All rows as key and all columns, in the order of the table; read in pages.

        Raises:
            StoreError: cannot be read now.
        """
        last: Value = table.beginning
        while True:
            self._cursor or self._open()
            assert self._connection is not None
            try:
                page = self._connection.execute(table.scan(), (last, ROWS_PER_PAGE)).fetchall()
            except sqlite3.Error as error:
                raise self._error(error) from error
            for place, *row in page:
                last = place
                yield tuple(row)
            if len(page) < ROWS_PER_PAGE:
                return

    def keys(self, table: TableSpec, after: bytes, limit: int) -> list[bytes]:
        """The next keys after a key, in their order.

        Raises:
            StoreError: cannot be read now.
        """
        cursor = self._cursor or self._open()
        try:
            return [key for (key,) in cursor.execute(table.keys(), (after, limit))]
        except sqlite3.Error as error:
            raise self._error(error) from error

    def sizes(self, table: TableSpec) -> Iterator[int]:
        """About how many rows there are, rather more than less: the sum of what is found step by step.

        Raises:
            StoreError: cannot be read now.
        """
        if not table.clustered:
            yield self._numbers(table.last())[0]
            return
        found, last = COUNTED, b""
        while found == COUNTED:
            found, last = self._numbers(table.count(), last, COUNTED)
            yield found

    def _numbers(self, statement: str, *values: Value) -> Any:
        cursor = self._cursor or self._open()
        try:
            return cursor.execute(statement, values).fetchone()
        except sqlite3.Error as error:
            raise self._error(error) from error

    def close(self) -> None:
        """Let go of the file; the next read opens it again."""
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                # It is given up either way.
                return

    def forgive(self) -> None:
        """The file works again: open it at the next read, without waiting."""
        self.close()
        self._failed_at = -inf

    def _open(self) -> sqlite3.Cursor:
        # By a clock that was set back it has not failed yet.
        if 0.0 <= self._seconds() - self._failed_at < RETRY_AFTER:
            raise StoreError("the store cannot be read")
        try:
            self._connection = self._database.open_reader()
        except sqlite3.Error as error:
            raise self._error(error) from error
        self._cursor = self._connection.cursor()
        return self._cursor

    def _error(self, error: sqlite3.Error) -> StoreError:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            # Busy passes by itself within microseconds; everything else is a broken file or disk.
            self.close()
            self._failed_at = self._seconds()
        self._failed(describe(error), is_corrupt(error))
        return StoreError(f"the store cannot be read: {describe(error)}")
