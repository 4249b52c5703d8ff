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
        clustered: whether rows are kept in the order of their keys, in one tree: for rows hardly larger than
            their keys, half the work and half the disk. Else they are appended in the order in which they
            come: only a narrow index of keys is touched at random, and a miss never reads a row. An older
            file keeps what it has.
        key_size: octets of each key, where all have as many.
        amended: hot columns, one behind the other, that can be changed in rows of which no more than the key
            is at hand; needs ``key_size``.

    Raises:
        ValueError: a name that is no identifier, a hot column after one that is not, or columns that cannot
            be amended.
    """

    name: str
    columns: tuple[Column, ...]
    cached: int = 20_000
    mostly_absent: bool = False
    opaque: bool = False
    clustered: bool = False
    key_size: int = 0
    amended: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (self.name, *(column.name for column in self.columns)):
            # The names go into SQL text.
            if not _NAME.fullmatch(name):
                raise ValueError(f"not a name for SQL: {name!r}")
        hot = [column.hot for column in self.columns]
        if hot != sorted(hot, reverse=True):
            raise ValueError(f"{self.name}: hot columns must come first")
        names = [column.name for column in self.columns if column.hot]
        if self.amended and not (self.key_size and self.amended == tuple(names[self.amended_columns])):
            raise ValueError(f"{self.name}: cannot amend {', '.join(self.amended)}")

    @property
    def hot(self) -> int:
        """How many columns :meth:`Table.get` returns."""
        return sum(column.hot for column in self.columns)

    @property
    def numeric(self) -> bool:
        """Whether :meth:`Table.get` returns whole numbers, and what is absent is known in another way."""
        return self.mostly_absent and all(column.kind == "INTEGER" for column in self.columns if column.hot)

    @property
    def amended_columns(self) -> slice:
        """Where :attr:`amended` stand in a row."""
        names = [column.name for column in self.columns]
        start = names.index(self.amended[0]) if self.amended and self.amended[0] in names else 0
        return slice(start, start + len(self.amended))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of a whole row, as :meth:`Table.scan` yields it, without the key."""
        return (*(column.name for column in self.columns), "expires")

    @property
    def order(self) -> str:
        """The column in whose order all rows are gone through."""
        return "key" if self.clustered else "rowid"

    @property
    def beginning(self) -> bytes | int:
        """What stands before the first row in that order."""
        return b"" if self.clustered else 0

    def create(self) -> str:
        """The statement that makes the table."""
        columns = "".join(
            f", {column.name} {column.kind} NOT NULL DEFAULT {_EMPTY[column.kind]}" for column in self.columns
        )
        return (
            f"CREATE TABLE {self.name} (key BLOB PRIMARY KEY NOT NULL{columns}, expires INTEGER NOT NULL)"
            f"{' WITHOUT ROWID' if self.clustered else ''}"
        )

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
        """The next rows after one, in :attr:`order`: the column of that, key, all columns."""
        return (
            f"SELECT {self.order}, key, {', '.join(self.names)} FROM {self.name} "  # noqa: S608
            f"WHERE {self.order} > ? ORDER BY {self.order} LIMIT ?"
        )

    def keys(self) -> str:
        """The next keys after a key; read from the index alone."""
        return f"SELECT key FROM {self.name} WHERE key > ? ORDER BY key LIMIT ?"  # noqa: S608

    def last(self) -> str:
        """The number of the last appended row: how many there are, or a little more."""
        return f"SELECT coalesce(max(rowid), 0) FROM {self.name}"  # noqa: S608

    def count(self) -> str:
        """How many there are of the next keys after a key, and the last of them."""
        return f"SELECT count(*), max(key) FROM ({self.keys()})"  # noqa: S608

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

    def amend(self) -> str:
        """Change the :attr:`amended` columns and ``expires`` of many rows to the same values.

        The first parameter is all their keys, one behind the other: a value for each would have to be handed
        over by itself. SQLite goes through them in the order of its index.
        """
        size = self.key_size
        changes = ", ".join(
            f"{name} = ?{number}" for number, name in enumerate((*self.amended, "expires"), 2)
        )
        return (
            f"WITH RECURSIVE place(at) AS (SELECT 1 UNION ALL SELECT at + {size} FROM place "  # noqa: S608
            f"WHERE at + {size} <= length(?1)) UPDATE {self.name} SET {changes} "
            f"WHERE key IN (SELECT substr(?1, at, {size}) FROM place)"
        )

    def stretch(self) -> str:
        """The last of some rows after one, in :attr:`order`; NULL where there are none."""
        return (
            f"SELECT max({self.order}) FROM (SELECT {self.order} FROM {self.name} "  # noqa: S608
            f"WHERE {self.order} > ? ORDER BY {self.order} LIMIT ?)"
        )

    def purge(self) -> str:
        """Delete some of the rows after one, up to another, that have expired.

        Without an index of when they do: each row that is written would pay for it.
        """
        return (
            f"DELETE FROM {self.name} WHERE {self.order} IN (SELECT {self.order} FROM {self.name} "  # noqa: S608
            f"WHERE {self.order} > ? AND {self.order} <= ? AND expires <= ? LIMIT ?)"
        )
