"""A table of which only numbers are read: they stay in memory as such, many more than rows of objects."""

from __future__ import annotations

from mmap import mmap
from struct import Struct, error

from mailbase.store.presence import PART, PATTERNS
from mailbase.store.table import Table
from mailbase.store.tables import Row


class NumberTable(Table):
    """A :class:`Table` whose hot columns are whole numbers; arguments and errors are the same.

    Of a key there stand, at a place that another may take, 64 bits that no outsider can choose, the hot
    columns and ``expires``. What does not stand there, does not fit or has expired is looked up.
    """

    __slots__ = ("_cell", "_nothing", "_numbers", "_pack", "_size", "_unpack")

    def _make_places(self) -> None:
        cell = self._cell = Struct(f"{self.spec.hot + 2}q")
        self._pack, self._unpack, self._size = cell.pack_into, cell.unpack_from, cell.size
        # Of this the system gives what is written to.
        self._numbers = mmap(-1, cell.size * (self._last_slot + 1))
        self._nothing = bytes(cell.size)

    def get(self, key: bytes, now: float) -> Row | None:
        """See :meth:`Table.get`."""
        mark = hash(key)
        presence = self._presence
        if presence is not None:
            # As there.
            pattern = PATTERNS[mark >> PART & 511]
            if presence.words[mark & presence.mask] & pattern != pattern:
                return None
        found: Row = self._unpack(self._numbers, (mark & self._last_slot) * self._size)
        if found[0] == mark and found[-1] > now:  # type: ignore[operator]
            return found[1:]
        row = self._behind(key)
        if row is None or row[-1] <= now:  # type: ignore[operator]
            return None
        self._remember(mark, row)
        return row

    def put(self, key: bytes, row: Row, keep: bool = True) -> None:
        """See :meth:`Table.put`."""
        pending = self.pending
        if key not in pending:
            self._admit(key)
        pending[key] = row
        self._remember(hash(key), row if self._hot is None else self._cut(row))

    def delete(self, key: bytes) -> None:
        """See :meth:`Table.delete`."""
        if key not in self.pending:
            self._admit(key)
        self.pending[key] = None
        self._forget((hash(key) & self._last_slot) * self._size)

    def _remember(self, mark: int, row: Row) -> None:
        at = (mark & self._last_slot) * self._size
        try:
            self._pack(self._numbers, at, mark, *row)
        except error:
            # Not 64 bits, or no whole number: a column takes anything.
            self._forget(at)

    def _forget(self, at: int) -> None:
        self._numbers[at : at + self._size] = self._nothing

    @property
    def cached(self) -> int:
        """Rows held in memory for reading."""
        return sum(cell[0] != 0 for cell in self._cell.iter_unpack(self._numbers))
