"""How a table is described, and the SQL that follows from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Value: TypeAlias = "int | float | str | bytes"
Row: TypeAlias = "tuple[Value, ...]"
"""A row: the columns in their order, then ``expires``."""

NEVER = 1 << 53
"""An ``expires`` that does not come."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_EMPTY = {"INTEGER": "0", "REAL": "0.0", "TEXT": "''", "BLOB": "x''"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Arguments:
        name: lower case, as in the SQL.
        kind: SQLite's type.
        hot: whether :meth:`Table.get` returns it. Others are only for listings, and take no memory in
            the cache. Hot columns come first.
    """

    name: str
    kind: Literal["INTEGER", "REAL", "TEXT", "BLOB"]
    hot: bool = True


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table: ``key BLOB``, the columns, and ``expires INTEGER`` (seconds since the epoch).

    Columns may be added by a later version; they must not be renamed, reordered or dropped.

    Arguments:
        cached: rows read or put last that are kept in memory, at most twice this many.
        mostly_absent: whether most look-ups are for keys that are not there: an octet or two of memory for
            each row then answer those without the disk.
        opaque: whether keys are hashes or random, and say nothing of a person.

    Raises:
        ValueError: a name that is no identifier, or a hot column after one that is not.
    """

    name: str
    columns: tuple[Column, ...]
    cached: int = 20_000
    mostly_absent: bool = False
    opaque: bool = False

    def __post_init__(self) -> None:
        for name in (self.name, *(column.name for column in self.columns)):
            # The names go into SQL text.
            if not _NAME.fullmatch(name):
                raise ValueError(f"not a name for SQL: {name!r}")
        hot = [column.hot for column in self.columns]
        if hot != sorted(hot, reverse=True):
            raise ValueError(f"{self.name}: hot columns must come first")

    @property
    def hot(self) -> int:
        """How many columns :meth:`Table.get` returns."""
        return sum(column.hot for column in self.columns)

    @property
    def numeric(self) -> bool:
        """Whether :meth:`Table.get` returns whole numbers, and what is absent is known in another way."""
        return self.mostly_absent and all(column.kind == "INTEGER" for column in self.columns if column.hot)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of a whole row, as :meth:`Table.scan` yields it, without the key."""
        return (*(column.name for column in self.columns), "expires")

    def create(self) -> list[str]:
        """Statements that make the table and its index; both may be there already."""
        columns = "".join(
            f", {column.name} {column.kind} NOT NULL DEFAULT {_EMPTY[column.kind]}" for column in self.columns
        )
        return [
            # A rowid table on purpose: rows are appended in the order of their age, only the narrow index
            # of keys is touched at random, and a miss never reads a row.
            f"CREATE TABLE IF NOT EXISTS {self.name} "
            f"(key BLOB PRIMARY KEY NOT NULL{columns}, expires INTEGER NOT NULL)",
            f"CREATE INDEX IF NOT EXISTS {self.name}_expires ON {self.name} (expires)",
        ]

    def add_missing(self, present: set[str]) -> list[str]:
        """Statements that add the columns that an older version did not have."""
        return [
            f"ALTER TABLE {self.name} ADD COLUMN {column.name} {column.kind} "
            f"NOT NULL DEFAULT {_EMPTY[column.kind]}"
            for column in self.columns
            if column.name not in present
        ]

    def select(self) -> str:
        """One row's hot columns and ``expires``, by key."""
        names = [column.name for column in self.columns if column.hot]
        return f"SELECT {', '.join([*names, 'expires'])} FROM {self.name} WHERE key = ?"  # noqa: S608

    def scan(self) -> str:
        """The next rows after a rowid: rowid, key, all columns."""
        return (
            f"SELECT rowid, key, {', '.join(self.names)} FROM {self.name} "  # noqa: S608
            "WHERE rowid > ? ORDER BY rowid LIMIT ?"
        )

    def keys(self) -> str:
        """The next keys after a key; read from the index alone."""
        return f"SELECT key FROM {self.name} WHERE key > ? ORDER BY key LIMIT ?"  # noqa: S608

    def last_rowid(self) -> str:
        """How many rows there are, or a little more: rows are numbered as they come."""
        return f"SELECT coalesce(max(rowid), 0) FROM {self.name}"  # noqa: S608

    def upsert(self, rows: int) -> str:
        """Insert or replace ``rows`` rows in one statement."""
        names = self.names
        one = f"({', '.join('?' * (len(names) + 1))})"
        changes = ", ".join(f"{name} = excluded.{name}" for name in names)
        return (
            f"INSERT INTO {self.name} (key, {', '.join(names)}) VALUES {', '.join([one] * rows)} "  # noqa: S608
            f"ON CONFLICT (key) DO UPDATE SET {changes}"
        )

    def delete(self, rows: int) -> str:
        """Delete ``rows`` rows by key."""
        return f"DELETE FROM {self.name} WHERE key IN ({', '.join('?' * rows)})"  # noqa: S608

    def purge(self) -> str:
        """Delete some rows that have expired."""
        return (
            f"DELETE FROM {self.name} WHERE rowid IN "  # noqa: S608
            f"(SELECT rowid FROM {self.name} WHERE expires <= ? ORDER BY expires LIMIT ?)"
        )
