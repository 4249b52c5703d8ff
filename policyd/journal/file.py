"""The journal's SQLite file: write, find, forget. Everything here runs in the journal's thread.

The interpreter lock is what the reactor needs: batches are small, and go down in statements of many rows.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeVar

from mailbase.store.database import Database
from mailbase.store.errors import is_corrupt
from mailbase.store.writer import UNWRITABLE, pieces
from policyd.journal.entry import Noted, Outcome, Row, decision_row, outcome_row
from policyd.journal.finding import find
from policyd.journal.masks import Masks
from policyd.journal.search import search_for
from policyd.journal.tables import TABLES, bring_to_schema, insert_into

CHECKPOINT_PAGES = 8_000
"""Pages in the write-ahead log after which they are copied into the database: 32 MiB."""
CACHE = 4 * 1024
"""KiB of SQLite's page cache: nobody waits for the journal."""
PURGE_ROWS = 200
"""Rows that one step of purging deletes of each table: some milliseconds."""
FROM_THE_FUTURE = 86400.0
"""Seconds that an entry may be ahead of the clock, which was wrong if it is more."""
T = TypeVar("T")


@dataclass(slots=True)
class Batch:
    """What is written at once.

    Arguments:
        decisions: in the order in which they were given.
        outcomes: likewise.
    """

    decisions: list[Noted] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.decisions) + len(self.outcomes)


class JournalFile:
    """Arguments:
    database: names the file; a damaged one is moved aside and begun anew.
    masks: in which form personal data are kept.
    """

    def __init__(self, database: Database, masks: Masks) -> None:
        self._database = database
        self._masks = masks
        self._connection: sqlite3.Connection | None = None
        self._insert = {name: insert_into(name) for name in TABLES}
        self.moved_aside: deque[str] = deque()
        """Names of damaged files; the journal takes them out and logs them."""
        self.unwritable: deque[str] = deque()
        """Why an entry could never be written; likewise."""
        self.octets = 0
        """Size of what is in the file."""

    def open(self) -> None:
        """Open the file, or begin a new one in place of a damaged one.

        Raises:
            sqlite3.Error: not possible now.
            OSError: a damaged file cannot be moved.
        """
        self._repairing(lambda connection: None)

    def write(self, batch: Batch) -> int:
        """Write a batch in one transaction; returns how many entries of it are in the file.

        Raises:
            sqlite3.Error: none of it was written.
            OSError: a damaged file cannot be moved.
        """
        rows = {
            "decisions": self._rows(batch.decisions, decision_row),
            "outcomes": self._rows(batch.outcomes, outcome_row),
        }
        return self._repairing(lambda connection: self._write(connection, rows))

    def _rows(self, items: list[T], row: Callable[[T, Masks], Row]) -> list[Row]:
        made = []
        for item in items:
            try:
                made.append(row(item, self._masks))
            except Exception as error:  # noqa: BLE001 - the boundary of an entry: counted, logged, left out
                self.unwritable.append(repr(error))
        return made

    def _write(self, connection: sqlite3.Connection, tables: dict[str, list[Row]]) -> int:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for name, rows in tables.items():
                for size, piece in pieces(rows):
                    connection.execute(self._insert[name](size), list(chain.from_iterable(piece)))
        except UNWRITABLE:
            connection.execute("ROLLBACK")
            return self._write_one_by_one(connection, tables)
        connection.execute("COMMIT")
        return sum(map(len, tables.values()))

    def _write_one_by_one(self, connection: sqlite3.Connection, tables: dict[str, list[Row]]) -> int:
        """Leave out what SQLite cannot take: it must not take the rest of its batch with it."""
        written = 0
        connection.execute("BEGIN IMMEDIATE")
        for name, rows in tables.items():
            for row in rows:
                try:
                    connection.execute(self._insert[name](1), row)
                    written += 1
                except UNWRITABLE as error:
                    self.unwritable.append(repr(error))
        connection.execute("COMMIT")
        return written

    def purge(self, now: float, retention: float, max_octets: int) -> int:
        """Forget some of what is too old, or the oldest of what is too much; returns how many.

        Raises:
            sqlite3.Error: nothing was forgotten.
            OSError: a damaged file cannot be moved.
        """
        return self._repairing(lambda connection: self._purge(connection, now, retention, max_octets))

    def _purge(self, connection: sqlite3.Connection, now: float, retention: float, max_octets: int) -> int:
        expired, future = now - retention, now + FROM_THE_FUTURE
        if self._measure(connection) > max_octets:
            expired = max((time for _, time in _oldest(connection, "decisions")), default=now)
        removed = 0
        for name in TABLES:
            old = [number for number, time in _oldest(connection, name) if not expired < time < future]
            if old:
                forget = f"DELETE FROM {name} WHERE number <= ?"  # noqa: S608
                removed += connection.execute(forget, (old[-1],)).rowcount
        self._measure(connection)
        return removed

    def _measure(self, connection: sqlite3.Connection) -> int:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        self.octets = (pages - free) * size
        return self.octets

    def find(self, term: str, limit: int) -> list[dict[str, Any]]:
        """What an operator asks after, in the order of time.

        Arguments:
            term: see :func:`~policyd.journal.search.search_for`.
            limit: entries at most; the latest.

        Raises:
            ValueError: ``term`` cannot be understood, or the search takes too long; the message is for the
                operator.
            sqlite3.Error: cannot be read now.
            OSError: a damaged file cannot be moved.
        """
        search = search_for(term, self._masks)
        return self._repairing(lambda connection: find(connection, search, limit))

    def close(self) -> None:
        """Close the file; what was not committed is rolled back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                # It is given up either way.
                return

    def _repairing(self, use: Callable[[sqlite3.Connection], T]) -> T:
        """Use the file; if that shows it to be damaged, begin a new one and try once more."""
        try:
            return use(self._opened())
        except sqlite3.Error as error:
            self.close()
            if not is_corrupt(error):
                raise
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + f".{time.monotonic_ns() % 1_000_000:06d}"
        self.moved_aside.append(str(self._database.move_aside(stamp)))
        return use(self._opened())

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = self._database.open_writer()
            try:
                connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
                connection.execute(f"PRAGMA cache_size = -{CACHE}")
                # What is forgotten must not be left in the file.
                connection.execute("PRAGMA secure_delete = ON")
                bring_to_schema(connection)
                self._measure(connection)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection


def _oldest(connection: sqlite3.Connection, table: str) -> list[tuple[int, float]]:
    """Number and time of the oldest rows."""
    query = f"SELECT number, time FROM {table} ORDER BY number LIMIT ?"  # noqa: S608
    return connection.execute(query, (PURGE_ROWS,)).fetchall()
