"""Which keys a table surely does not have, without asking the disk.

Most of what a busy gateway sees is new: a look-up that finds nothing. Two bits of each key (a Bloom filter)
answer most of those; what they cannot exclude is looked up.
"""

from __future__ import annotations

from mmap import mmap

BITS_PER_KEY = 8
"""At the capacity, every twentieth absent key is looked up in vain."""
SMALLEST = 1 << 22
"""Bits: half a MiB, of which the system gives what is written to."""
_OTHER, _NEAR = 40, 511
"""Where in the hash it stands how far the second bit is from the first: both are in one line of the cache."""


class Presence:
    """A set of keys that may say "perhaps" of an absent one, and never "no" of a present one.

    Arguments:
        capacity: keys expected; beyond, it only excludes less.
    """

    __slots__ = ("bits", "capacity", "count", "mask")

    def __init__(self, capacity: int) -> None:
        size = max(SMALLEST, 1 << (capacity * BITS_PER_KEY - 1).bit_length())
        self.bits = mmap(-1, size // 8)
        """Of each key the one that its hash numbers, and one near it."""
        self.mask = size - 1
        """Takes the number of a key's first bit out of its hash."""
        self.capacity = size // BITS_PER_KEY
        self.count = 0
        """Keys that were new to the bits: a little less than keys."""

    def add(self, key: bytes) -> None:
        """From now on ``key`` may be there."""
        mark, bits = hash(key), self.bits
        place = mark & self.mask
        other = place ^ (mark >> _OTHER & _NEAR)
        octet, bit = place >> 3, 1 << (place & 7)
        known = bits[octet] & bit
        if not known:
            bits[octet] |= bit
        octet, bit = other >> 3, 1 << (other & 7)
        if not bits[octet] & bit:
            bits[octet] |= bit
        elif known:
            return
        self.count += 1

    def may_have(self, key: bytes) -> bool:
        """False if ``key`` was never added."""
        mark, bits = hash(key), self.bits
        place = mark & self.mask
        other = place ^ (mark >> _OTHER & _NEAR)
        return bits[place >> 3] & 1 << (place & 7) != 0 != bits[other >> 3] & 1 << (other & 7)
