"""A bounded memory of answers; what was used longest ago goes first."""

from __future__ import annotations

from collections import OrderedDict

from mailbase.dns.answers import Answer, Record, RecordType

OVERHEAD = 700
"""Octets that an entry takes beside its content: key, answer, records, the table's own."""


class Cache:
    """Arguments:
    size: octets, about; 0 keeps nothing.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[tuple[str, RecordType], tuple[float, Answer[Record], int]] = OrderedDict()
        self.octets = 0
        """What the entries take, about."""
        self.evicted = 0
        """Entries that had to go before their time."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: tuple[str, RecordType], now: float) -> Answer[Record] | None:
        """The answer for ``key``, or None where there is none that is still good."""
        entries = self._entries
        entry = entries.get(key)
        if entry is None:
            return None
        if entry[0] <= now:
            self._drop(key)
            return None
        entries.move_to_end(key)
        return entry[1]

    def put(self, key: tuple[str, RecordType], answer: Answer[Record], until: float, octets: int) -> None:
        """Keep ``answer``.

        Arguments:
            until: seconds of the clock from which it is not good any more.
            octets: of its content.
        """
        if key in self._entries:
            self._drop(key)
        cost = OVERHEAD + octets
        if cost > self._size:
            return
        self._entries[key] = (until, answer, cost)
        self.octets += cost
        if self.octets > self._size:
            self._shrink()

    def resize(self, size: int) -> None:
        """Take another size."""
        self._size = size
        self._shrink()

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.octets = 0

    def forget(self, name: str) -> int:
        """Forget all answers for a normalised name; returns how many there were."""
        keys = [(name, rdtype) for rdtype in RecordType if (name, rdtype) in self._entries]
        for key in keys:
            self._drop(key)
        return len(keys)

    def _drop(self, key: tuple[str, RecordType]) -> None:
        self.octets -= self._entries.pop(key)[2]

    def _shrink(self) -> None:
        while self.octets > self._size:
            _key, (_until, _answer, cost) = self._entries.popitem(last=False)
            self.octets -= cost
            self.evicted += 1
