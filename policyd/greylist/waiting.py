"""Who was told to wait, in twelve octets each: most retries are then judged without asking the disk.

Only what is needed to know the same caller again, with the same sender and recipient. All else, and whatever
has given its place to another, is in the store.
"""

from __future__ import annotations

from mmap import mmap

PLACES = 1 << 18
"""For as many callers: 3 MiB."""


class Waiting:
    """When triplets were first seen that have not passed yet.

    Each key has one place, which another may take: of a flood a part stays.

    Arguments:
        places: a power of two.
    """

    __slots__ = ("_firsts", "_last", "_marks")

    def __init__(self, places: int = PLACES) -> None:
        self._last = places - 1
        # Of these the system gives what is written to.
        self._marks = memoryview(mmap(-1, 8 * places)).cast("q")
        self._firsts = memoryview(mmap(-1, 4 * places)).cast("I")

    def note(self, key: bytes, whose: str, first: int) -> None:
        """A triplet waits.

        Arguments:
            key: its key in the table of triplets.
            whose: the identities in its row.
            first: when it was first seen, seconds since the epoch.
        """
        place = hash(key) & self._last
        # 64 bits, of which an outsider can choose none.
        self._marks[place] = hash((key, whose))
        self._firsts[place] = first if 0 <= first < 1 << 32 else 0

    def first(self, key: bytes, whose: str) -> int:
        """When it was first seen, if it waits and nobody else has brought it; 0 where that is not known."""
        place = hash(key) & self._last
        first = self._firsts[place]
        return first if first and self._marks[place] == hash((key, whose)) else 0

    def drop(self, key: bytes) -> None:
        """It waits no longer, or its row says something else now."""
        self._firsts[hash(key) & self._last] = 0
