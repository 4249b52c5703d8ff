"""The journal's SQLite file: write, find, forget. Everything here runs in the journal's thread.

The interpreter lock is what the reactor needs: batches are small, and go down in statements of many rows.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeVar

from mailbase.store.database import APPLICATION_ID, Database
from mailbase.store.errors import is_corrupt
from mailbase.store.writer import UNWRITABLE, pieces
from policyd.journal.entry import (
    DECISIONS,
    OUTCOMES,
    Column,
    Noted,
    Outcome,
    Row,
    decision_row,
    describe_decision,
    describe_outcome,
    outcome_row,
)
from policyd.journal.masks import Masks
from policyd.journal.search import Condition, Search, search_for

CHECKPOINT_PAGES = 2_000
"""Pages in the write-ahead log after which they are copied into the database: 8 MiB."""
PURGE_ROWS = 200
"""Rows that one step of purging deletes of each table: some milliseconds."""
FROM_THE_FUTURE = 86400.0
"""Seconds that an entry may be ahead of the clock, which was wrong if it is more."""
MANY = 20_000
"""Entries that are sorted; of more, the latest are found by looking through the file from its end."""
SEARCH_SECONDS = 10.0
"""Seconds after which a search is given up: nothing is written meanwhile."""
STEPS = 20_000
"""Steps of SQLite between two looks at the clock."""
MAX_TRANSACTIONS = 50
"""Mail transactions that one queue id may belong to: Postfix uses short ones again."""

_INDEXED = {
    "decisions": ("id", "instance", "queue_id", "client", "sender", "recipient", "user"),
    "outcomes": ("id", "queue_id"),
}
_TABLES: dict[str, tuple[Column, ...]] = {"decisions": DECISIONS, "outcomes": OUTCOMES}

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
        self._insert = {name: _insert(name, columns) for name, columns in _TABLES.items()}
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
        for name in _TABLES:
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
        return self._repairing(lambda connection: self._find(connection, search, limit))

    def _find(self, connection: sqlite3.Connection, search: Search, limit: int) -> list[dict[str, Any]]:
        end = time.monotonic() + SEARCH_SECONDS
        connection.set_progress_handler(lambda: time.monotonic() > end, STEPS)
        try:
            numbers = set(chain.from_iterable(_latest(connection, one, limit) for one in search.decisions))
            ids: set[str] = set()
            if search.transactions:
                found, ids = _transactions(connection, search.transactions)
                numbers.update(found)
            chosen = sorted(numbers)[-limit:]
            decisions = [
                describe_decision(row) for row in _among(connection, _select("decisions"), "number", chosen)
            ]
            ids.update(told["id"] for told in decisions)
            outcomes = [
                describe_outcome(row) for row in _among(connection, _select("outcomes"), "id", sorted(ids))
            ]
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
                raise ValueError(
                    "this takes too long: ask after a smaller network, or after an id"
                ) from error
            raise
        finally:
            connection.set_progress_handler(None, 0)
        return sorted(decisions + outcomes, key=lambda told: (told["time"], told["kind"]))

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
                # What is forgotten must not be left in the file.
                connection.execute("PRAGMA secure_delete = ON")
                _bring_to_schema(connection)
                self._measure(connection)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection


def _bring_to_schema(connection: sqlite3.Connection) -> None:
    wanted = []
    for name, columns in _TABLES.items():
        present = {column for _, column, *_ in connection.execute(f"PRAGMA table_info({name})")}
        if present:
            missing = (column for column in columns if column.name not in present)
            wanted += [f"ALTER TABLE {name} ADD COLUMN {column.name} {column.kind}" for column in missing]
            continue
        described = ", ".join(f"{column.name} {column.kind}" for column in columns)
        wanted.append(f"CREATE TABLE {name} (number INTEGER PRIMARY KEY, {described})")
        wanted += [
            # Most of what may be empty is.
            f"CREATE INDEX {name}_{column} ON {name} ({column}) WHERE {column} <> ''"
            for column in _INDEXED[name]
        ]
    if not wanted:
        # Nothing is written when there is nothing to do: a full disk must not keep us from reading.
        return
    connection.execute("BEGIN IMMEDIATE")
    for statement in wanted:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("COMMIT")


def _oldest(connection: sqlite3.Connection, table: str) -> list[tuple[int, float]]:
    """Number and time of the oldest rows."""
    query = f"SELECT number, time FROM {table} ORDER BY number LIMIT ?"  # noqa: S608
    return connection.execute(query, (PURGE_ROWS,)).fetchall()


def _insert(table: str, columns: Sequence[Column]) -> Callable[[int], str]:
    names = ", ".join(column.name for column in columns)
    one = f"({', '.join('?' * len(columns))})"
    return lambda rows: f"INSERT INTO {table} ({names}) VALUES {', '.join([one] * rows)}"  # noqa: S608


def _select(table: str) -> str:
    return f"SELECT {', '.join(column.name for column in _TABLES[table])} FROM {table}"  # noqa: S608


def _where(one: Condition) -> tuple[str, list[Any]]:
    # The index knows no empty ones, and SQLite must be told that none is asked for.
    column = one.column
    if one.high is None:
        return f"{column} = ? AND {column} <> ''", [one.low]
    text, values = f"{column} >= ? AND {column} < ? AND {column} <> ''", [one.low, one.high]
    if one.octets:
        text += f" AND length({column}) = {one.octets}"
    return text, values


def _latest(connection: sqlite3.Connection, one: Condition, limit: int) -> Iterable[int]:
    """Numbers of the latest decisions that fit."""
    where, values = _where(one)
    if one.high is None:
        # In the index those of one value stand in the order of their numbers.
        query = f"SELECT number FROM decisions WHERE {where} ORDER BY number DESC LIMIT ?"  # noqa: S608
        return [number for (number,) in connection.execute(query, (*values, limit))]
    some = f"SELECT number FROM decisions WHERE {where} LIMIT ?"  # noqa: S608
    found = [number for (number,) in connection.execute(some, (*values, MANY))]
    if len(found) < MANY:
        return sorted(found)[-limit:]
    latest = f"SELECT number FROM decisions NOT INDEXED WHERE {where} ORDER BY number DESC LIMIT ?"  # noqa: S608
    return [number for (number,) in connection.execute(latest, (*values, limit))]


def _transactions(
    connection: sqlite3.Connection, conditions: Sequence[Condition]
) -> tuple[list[int], set[str]]:
    """Numbers of all decisions of the mail transactions that fit, and the ids that are asked after."""
    numbers: list[int] = []
    ids: set[str] = set()
    instances: set[str] = set()
    for one in conditions:
        where, values = _where(one)
        # The queue behind the filter has ids of its own, and what left there began with a ticket.
        tickets = f"SELECT id FROM outcomes WHERE {where}"  # noqa: S608
        ids.update(ticket for (ticket,) in connection.execute(tickets, values))
        query = f"SELECT number, instance FROM decisions WHERE {where}"  # noqa: S608
        for number, instance in connection.execute(query, values):
            numbers.append(number)
            instances.add(instance)
    again = "SELECT number, instance FROM decisions"
    for number, instance in _among(connection, again, "id", sorted(ids)):
        numbers.append(number)
        instances.add(instance)
    latest = sorted(instances)[-MAX_TRANSACTIONS:]
    others = "SELECT number FROM decisions"
    numbers += [number for (number,) in _among(connection, others, "instance", latest)]
    return numbers, ids


def _among(
    connection: sqlite3.Connection, select: str, column: str, values: Sequence[Any]
) -> Iterator[tuple[Any, ...]]:
    """The rows whose ``column`` is one of ``values``."""
    for start in range(0, len(values), 500):
        some = values[start : start + 500]
        places = ", ".join("?" * len(some))
        empty = "" if column == "number" else f" AND {column} <> ''"
        yield from connection.execute(f"{select} WHERE {column} IN ({places}){empty}", some)
