"""A bounded memory of what SPF said, so that a client's next mail for the same domain costs nothing."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, NamedTuple, TypeVar

MAX_ENTRIES = 10_000
"""Some 400 octets each; what was used longest ago goes first."""
MAX_LIFETIME = 300.0
"""Seconds; an answer's time to live may be half over when it comes, so that an hour would be too much."""

K = TypeVar("K")
V = TypeVar("V")


class Entry(NamedTuple, Generic[V]):
    """Arguments:
    until: seconds of the clock from which it is not good any more.
    value: what is remembered.
    """

    until: float
    value: V


class Memo(Generic[K, V]):
    """Arguments:
    size: entries that are kept.
    """

    def __init__(self, size: int = MAX_ENTRIES) -> None:
        self._size = size
        self._entries: OrderedDict[K, Entry[V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K, now: float) -> Entry[V] | None:
        """What is remembered, if it is still good."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.until <= now:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: K, entry: Entry[V], now: float) -> None:
        """Remember, unless it is good no more."""
        if entry.until <= now:
            return
        self._entries[key] = entry
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)
