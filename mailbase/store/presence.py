"""Which keys a table surely does not have, without asking the disk.

Most of what a busy gateway sees is new: a look-up that finds nothing. One bit for each of many classes of
keys answers most of those; what it cannot exclude is looked up.
"""

from __future__ import annotations

from mmap import mmap

BITS_PER_KEY = 8
"""At the capacity, at most every eighth absent key is looked up in vain."""
SMALLEST = 1 << 22
"""Bits: half a MiB, of which the system gives what is written to."""


class Presence:
    """A set of keys that may say "perhaps" of an absent one, and never "no" of a present one.

    Arguments:
        capacity: keys expected; beyond, it only excludes less.
    """

    __slots__ = ("bits", "capacity", "count", "mask")

    def __init__(self, capacity: int) -> None:
        size = max(SMALLEST, 1 << (capacity * BITS_PER_KEY - 1).bit_length())
        self.bits = mmap(-1, size // 8)
        """One for each class of keys."""
        self.mask = size - 1
        """Takes the number of a key's bit out of its hash."""
        self.capacity = size // BITS_PER_KEY
        self.count = 0
        """Classes with a key: a little less than keys."""

    def add(self, key: bytes) -> None:
        """From now on ``key`` may be there."""
        place = hash(key) & self.mask
        bits, octet, bit = self.bits, place >> 3, 1 << (place & 7)
        if not bits[octet] & bit:
            bits[octet] |= bit
            self.count += 1

    def may_have(self, key: bytes) -> bool:
        """False if ``key`` was never added."""
        place = hash(key) & self.mask
        return self.bits[place >> 3] & (1 << (place & 7)) != 0
