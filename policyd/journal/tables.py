"""The journal's tables, and the SQL that follows from their columns."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from mailbase.store.database import APPLICATION_ID
from policyd.journal.entry import DECISIONS, OUTCOMES, Column

TABLES: dict[str, tuple[Column, ...]] = {"decisions": DECISIONS, "outcomes": OUTCOMES}
_INDEXED = {
    "decisions": ("id", "instance", "queue_id", "client", "sender", "recipient", "user"),
    "outcomes": ("id", "queue_id"),
}
"""What can be asked after."""


def insert_into(table: str) -> Callable[[int], str]:
    """A function that makes the statement which inserts so many rows."""
    columns = TABLES[table]
    names = ", ".join(column.name for column in columns)
    one = f"({', '.join('?' * len(columns))})"
    return lambda rows: f"INSERT INTO {table} ({names}) VALUES {', '.join([one] * rows)}"  # noqa: S608


def select_from(table: str) -> str:
    """The beginning of a query for whole rows."""
    return f"SELECT {', '.join(column.name for column in TABLES[table])} FROM {table}"  # noqa: S608


def bring_to_schema(connection: sqlite3.Connection) -> None:
    """Make tables, indexes and columns that are not there.

    Raises:
        sqlite3.Error: not possible now.
    """
    wanted = []
    for name, columns in TABLES.items():
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
