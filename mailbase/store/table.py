"""One table as the rest of the program sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from mailbase.store.batch import Amendment, Batch
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
        "_amended",
        "_filling",
        "_hot",
        "_keys",
        "_last_slot",
        "_presence",
        "_reader",
        "_rows",
        "_wake",
        "amended",
        "amending",
        "committing",
        "pending",
        "refused",
        "spec",
    )

    def __init__(self, spec: TableSpec, reader: Reader, wake: Callable[[], None]) -> None:
        self.spec = spec
        # None: all are.
        self._hot = spec.hot if spec.hot < len(spec.columns) else None
        self._amended = spec.amended_columns
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
        self.amended: dict[bytes, Amendment] = {}
        """Amended since the last group was handed over; what is pending as well is whole there."""
        self.amending: dict[bytes, Amendment] = {}
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
        if key in self.pending:
            row = self.pending[key]
            return None if row is None else self._cut(row)
        if key in self.committing:
            row = self.committing[key]
            row = None if row is None else self._cut(row)
        else:
            row = self._reader.row(self.spec, key)
        if row is not None and (self.amended or self.amending):
            return self._as_amended(key, row)
        return row

    def _as_amended(self, key: bytes, row: Row) -> Row:
        """A row, whole or cut, that is not pending."""
        values = self.amended.get(key) or self.amending.get(key)
        return row if values is None else self._with(row, values)

    def _with(self, row: Row, values: Amendment) -> Row:
        """A row, whole or cut, with other values."""
        places = self._amended
        return row[: places.start] + values[:-1] + row[places.stop : -1] + values[-1:]

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
        if self.amended:
            self.amended.pop(key, None)
        slot = hash(key) & self._last_slot
        if keep:
            hot = self._hot
            self._keys[slot] = key
            self._rows[slot] = row if hot is None else row[:hot] + row[-1:]
        elif self._keys[slot] == key:
            self._keys[slot] = None

    def amend(self, key: bytes, values: Amendment) -> None:
        """Change some columns of a row that is there; nothing happens if there is none.

        A fraction of the price of :meth:`put`, above all for the thread that writes.
        """
        pending = self.pending
        if key in pending:
            row = pending[key]
            pending[key] = None if row is None else self._with(row, values)
        else:
            if key not in self.amended:
                self._count_in()
            self.amended[key] = values
        slot = hash(key) & self._last_slot
        if self._keys[slot] == key:
            self._keys[slot] = None

    def delete(self, key: bytes) -> None:
        """Delete a row; nothing happens if there is none."""
        if key not in self.pending:
            self._admit(key)
        self.pending[key] = None
        self.amended.pop(key, None)
        slot = hash(key) & self._last_slot
        self._keys[slot] = key
        self._rows[slot] = None

    def _admit(self, key: bytes) -> None:
        """Take note of one more entry to be written."""
        self._count_in()
        if self._presence is not None:
            self._presence.add(key)
        if self._filling is not None:
            self._filling.add(key)

    def _count_in(self) -> None:
        waiting = len(self.pending) + len(self.amended)
        if waiting + len(self.committing) + len(self.amending) >= MAX_PENDING:
            self.refused += 1
            raise StoreError("too many entries wait for the disk")
        if not waiting:
            self._wake()

    def scan(self, now: float) -> Iterator[tuple[bytes, Row]]:
        """All rows that have not expired, as key and all columns; what is not on disk yet comes first.

        Rows that are put while the listing goes on may be missing from it.
        """
        # What is pending is whole: it was amended there, or put after that.
        committing = {key: row and self._as_amended(key, row) for key, row in self.committing.items()}
        fresh = {**committing, **self.pending}
        for key, row in fresh.items():
            if row is not None and row[-1] > now:  # type: ignore[operator]
                yield key, row
        for stored, *rest in self._reader.scan(self.spec):
            if stored not in fresh:
                assert isinstance(stored, bytes)
                row = self._as_amended(stored, tuple(rest))
                if row[-1] > now:  # type: ignore[operator]
                    yield stored, row

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

    @property
    def waiting(self) -> int:
        """Entries that are not on disk yet."""
        return len(self.pending) + len(self.committing) + len(self.amended) + len(self.amending)

    def take(self) -> Batch:
        """Hand over what is pending; it stays visible until :meth:`settle`."""
        self.committing, self.pending = self.pending, {}
        self.amending, self.amended = self.amended, {}
        return Batch(self.committing, self.amending)

    def settle(self, written: bool) -> None:
        """The group is on disk, or could not be written and is pending again."""
        committing, self.committing = self.committing, {}
        amending, self.amending = self.amending, {}
        if written:
            return
        newer, self.pending = self.pending, {**committing, **self.pending}
        later, self.amended = self.amended, {}
        for key, values in chain(amending.items(), later.items()):
            row = self.pending.get(key)
            # What was put after it was amended is as it was put.
            if key not in self.pending:
                self.amended[key] = values
            elif row is not None and key not in newer:
                self.pending[key] = self._with(row, values)

    def is_empty(self) -> bool:
        """Whether it is known that there is no row; False also where it is not known yet."""
        presence = self._presence
        return presence is not None and not presence.count

    @property
    def cached(self) -> int:
        """Rows held in memory for reading."""
        return len(self._keys) - self._keys.count(None)
