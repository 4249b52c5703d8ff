"""Which keys a table surely does not have, without asking the disk.

Most of what a busy gateway sees is new: a look-up that finds nothing. Three bits of each key, all in one word
(a blocked Bloom filter), answer most of those; what they cannot exclude is looked up.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from mmap import mmap

BITS_PER_KEY = 8
"""At the capacity, every twentieth absent key is looked up in vain."""
SMALLEST = 1 << 22
"""Bits: half a MiB, of which the system gives what is written to."""
USED = 30
"""Bits of a word: of numbers that large Python has the fast arithmetic."""
_THREE = [1 << a | 1 << b | 1 << c for a, b, c in combinations(range(USED), 3)]
PATTERNS = tuple(_THREE[number * len(_THREE) // 512] for number in range(512))
"""Which bits of its word a key sets, by a part of its hash (:data:`PART`) that does not number the word."""
PART = 40


class Presence:
    """A set of keys that may say "perhaps" of an absent one, and never "no" of a present one.

    Arguments:
        capacity: keys expected; beyond, it only excludes less.
    """

    __slots__ = ("capacity", "count", "mask", "words")

    def __init__(self, capacity: int) -> None:
        size = max(SMALLEST, 1 << (capacity * BITS_PER_KEY - 1).bit_length())
        self.words = memoryview(mmap(-1, size // 8)).cast("I")
        """Each for many keys."""
        self.mask = size // 32 - 1
        """Takes the number of a key's word out of its hash."""
        self.capacity = size // BITS_PER_KEY
        self.count = 0
        """Keys that set a bit: a little less than keys."""

    def add(self, key: bytes) -> None:
        """From now on ``key`` may be there."""
        mark = hash(key)
        place, pattern = mark & self.mask, PATTERNS[mark >> PART & 511]
        word = self.words[place]
        if word & pattern != pattern:
            self.words[place] = word | pattern
            self.count += 1

    def add_all(self, keys: Iterable[bytes]) -> None:
        """From now on each of ``keys`` may be there."""
        for key in keys:
            self.add(key)

    def may_have(self, key: bytes) -> bool:
        """False if ``key`` was never added."""
        mark = hash(key)
        pattern = PATTERNS[mark >> PART & 511]
        return self.words[mark & self.mask] & pattern == pattern
