"""One table as the rest of the program sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mailbase.store.errors import StoreError
from mailbase.store.presence import PART, PATTERNS, Presence
from mailbase.store.reader import Reader
from mailbase.store.tables import Row, TableSpec

MAX_PENDING = 50_000
"""Entries held in memory for a disk that does not take them; beyond that, putting fails."""


class Table:
    """Rows by key: what was put is seen by every later read, whether the disk has it yet or not.

    Made by :class:`Store`.

    Arguments:
        spec: its description.
        reader: for what is not in memory.
        wake: called when there is something to write.

    Raises (all reading and writing methods):
        StoreError: the store can neither answer nor remember at the moment.
    """

    __slots__ = (
        "_filling",
        "_hot",
        "_keys",
        "_last_slot",
        "_presence",
        "_reader",
        "_rows",
        "_wake",
        "committing",
        "pending",
        "refused",
        "spec",
    )

    def __init__(self, spec: TableSpec, reader: Reader, wake: Callable[[], None]) -> None:
        self.spec = spec
        # None: all are.
        self._hot = spec.hot if spec.hot < len(spec.columns) else None
        self._reader = reader
        self._wake = wake
        # What was read or put last, each key at a place that another may take: cheaper than an order of use,
        # and of a flood of rows a part stays, where such an order keeps none.
        self._last_slot = (1 << (max(1, spec.cached) - 1).bit_length()) - 1
        self._make_places()
        self._presence: Presence | None = None
        """Knows every key; None until one does."""
        self._filling: Presence | None = None
        """Learns the keys, and knows only some of those on disk."""
        self.pending: dict[bytes, Row | None] = {}
        """Put since the last group was handed to the writer; None: deleted."""
        self.committing: dict[bytes, Row | None] = {}
        """With the writer now."""
        self.refused = 0
        """Entries not taken because too many wait for the disk."""

    def _make_places(self) -> None:
        self._keys: list[bytes | None] = [None] * (self._last_slot + 1)
        self._rows: list[Row | None] = [None] * (self._last_slot + 1)
        """As :meth:`get` gives them; None: known not to exist."""

    def get(self, key: bytes, now: float) -> Row | None:
        """The hot columns and ``expires`` of a row.

        Arguments:
            now: seconds since the epoch; a row that has expired by then is not there.
        """
        mark = hash(key)
        presence = self._presence
        if presence is not None:
            # Presence.may_have, without the call: most look-ups end here.
            pattern = PATTERNS[mark >> PART & 511]
            if presence.words[mark & presence.mask] & pattern != pattern:
                return None
        slot = mark & self._last_slot
        if self._keys[slot] == key:
            row = self._rows[slot]
        else:
            row = self._behind(key)
            self._keys[slot] = key
            self._rows[slot] = row
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
        """The hot columns and ``expires`` of a row."""
        return row if self._hot is None else row[: self._hot] + row[-1:]

    def put(self, key: bytes, row: Row, keep: bool = True) -> None:
        """Insert or replace a row.

        Arguments:
            row: all columns of the description, in order, and ``expires``: whole seconds since the epoch, or
                :data:`NEVER`.
            keep: whether it takes another one's place in memory, since it will be read soon.
        """
        pending = self.pending
        if key not in pending:
            self._admit(key)
        pending[key] = row
        slot = hash(key) & self._last_slot
        if keep:
            hot = self._hot
            self._keys[slot] = key
            self._rows[slot] = row if hot is None else row[:hot] + row[-1:]
        elif self._keys[slot] == key:
            self._keys[slot] = None

    def delete(self, key: bytes) -> None:
        """Delete a row; nothing happens if there is none."""
        if key not in self.pending:
            self._admit(key)
        self.pending[key] = None
        slot = hash(key) & self._last_slot
        self._keys[slot] = key
        self._rows[slot] = None

    def _admit(self, key: bytes) -> None:
        """Take note of one more entry to be written."""
        waiting = len(self.pending)
        if waiting + len(self.committing) >= MAX_PENDING:
            self.refused += 1
            raise StoreError("too many entries wait for the disk")
        if not waiting:
            self._wake()
        if self._presence is not None:
            self._presence.add(key)
        if self._filling is not None:
            self._filling.add(key)

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

    def learn_keys(self, at_once: int) -> Iterator[None]:
        """Get to know which keys there are; to be iterated until it ends, ``at_once`` keys a step.

        First they are counted, likewise in steps.

        Does nothing if they are known, unless so many came since that it is time for more memory.

        Raises:
            StoreError: cannot be read now; to be begun again later.
        """
        known = self._presence
        if not self.spec.mostly_absent or (known is not None and known.count <= 2 * known.capacity):
            return
        size = 0
        for step, found in enumerate(self._reader.sizes(self.spec)):
            if step:
                yield
            size += found
        filling = self._filling = Presence(size * 5 // 4 + len(self.pending))
        filling.add_all([*self.committing, *self.pending])
        last = b""
        while page := self._reader.keys(self.spec, last, at_once):
            filling.add_all(page)
            last = page[-1]
            yield
        self._presence, self._filling = filling, None

    @property
    def learning(self) -> bool:
        """Whether absent keys should be known and are not yet."""
        return self.spec.mostly_absent and self._presence is None

    def take(self) -> dict[bytes, Row | None]:
        """Hand over what is pending; it stays visible until :meth:`settle`."""
        self.committing, self.pending = self.pending, {}
        return self.committing

    def settle(self, written: bool) -> None:
        """The group is on disk, or could not be written and is pending again."""
        if not written:
            self.pending = {**self.committing, **self.pending}
        self.committing = {}

    def is_empty(self) -> bool:
        """Whether it is known that there is no row; False also where it is not known yet."""
        presence = self._presence
        return presence is not None and not presence.count

    @property
    def cached(self) -> int:
        """Rows held in memory for reading."""
        return len(self._keys) - self._keys.count(None)
