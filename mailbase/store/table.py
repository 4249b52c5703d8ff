"""One table as the rest of the program sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from mailbase.store.reader import Reader
from mailbase.store.recent import Recent
from mailbase.store.tables import Row, TableSpec, Value

_UNKNOWN: Final[Row] = ("unknown",)
"""Stands for "not in the cache"; None there means "known not to exist"."""


class Table:
    """Rows by key: what was put is seen by every later read, whether the disk has it yet or not.

    Made by :class:`Store`.

    Arguments:
        spec: its description.
        reader: for what is not in memory.
        admit: takes note of one more entry to be written.

    Raises (all reading and writing methods):
        StoreError: the store can neither answer nor remember at the moment.
    """

    __slots__ = ("_admit", "_hot", "_reader", "_recent", "committing", "pending", "spec")

    def __init__(self, spec: TableSpec, reader: Reader, admit: Callable[[], None]) -> None:
        self.spec = spec
        self._hot = spec.hot
        self._reader = reader
        self._admit = admit
        self._recent: Recent[bytes, Row | None] = Recent(spec.cached)
        self.pending: dict[bytes, Row | None] = {}
        """Put since the last group was handed to the writer; None: deleted."""
        self.committing: dict[bytes, Row | None] = {}
        """With the writer now."""

    def get(self, key: bytes, now: float) -> Row | None:
        """The hot columns and ``expires`` of a row.

        Arguments:
            now: seconds since the epoch; a row that has expired by then is not there.
        """
        row = self._recent.get(key, _UNKNOWN)
        if row is _UNKNOWN:
            row = self._behind(key)
            self._recent.put(key, row)
        if row is None or row[-1] <= now:  # type: ignore[operator]
            return None
        return row

    def _behind(self, key: bytes) -> Row | None:
        for overlay in (self.pending, self.committing):
            if key in overlay:
                row = overlay[key]
                return None if row is None else self._cut(row)
        return self._reader.row(self.spec, key)

    def _cut(self, row: Row) -> Row:
        return (*row[: self._hot], row[-1])

    def put(self, key: bytes, row: tuple[Value, ...], expires: float) -> None:
        """Insert or replace a row.

        Arguments:
            row: all columns of the description, in order.
            expires: seconds since the epoch; :data:`NEVER` for never.
        """
        if key not in self.pending:
            self._admit()
        full = (*row, int(expires))
        self.pending[key] = full
        self._recent.put(key, self._cut(full))

    def delete(self, key: bytes) -> None:
        """Delete a row; nothing happens if there is none."""
        if key not in self.pending:
            self._admit()
        self.pending[key] = None
        self._recent.put(key, None)

    def scan(self, now: float) -> Iterator[tuple[bytes, Row]]:
        """All rows that have not expired, as key and all columns; what is not on disk yet comes first.

        Rows that are put while the listing goes on may be missing from it.
        """
        fresh = {**self.committing, **self.pending}
        for key, row in fresh.items():
            if row is not None and row[-1] > now:  # type: ignore[operator]
                yield key, row
        for stored, *rest in self._reader.scan(self.spec):
            if stored not in fresh and rest[-1] > now:  # type: ignore[operator]
                assert isinstance(stored, bytes)
                yield stored, tuple(rest)

    def take(self) -> dict[bytes, Row | None]:
        """Hand over what is pending; it stays visible until :meth:`settle`."""
        self.committing, self.pending = self.pending, {}
        return self.committing

    def settle(self, written: bool) -> None:
        """The group is on disk, or could not be written and is pending again."""
        if not written:
            self.pending = {**self.committing, **self.pending}
        self.committing = {}

    @property
    def cached(self) -> int:
        """Rows held in memory for reading."""
        return len(self._recent)
