"""One mail as it is learned: numbers that stand for what was seen in it.

Each token is hashed to one of ``SLOTS`` numbers, so a lesson tells nobody what was written, and one model has
the same size however much it learned. A lesson is packed for wire and store: how many of its numbers begin
with each value of the upper bits, then the lower 16 bits of all of them.
"""

from __future__ import annotations

import struct
import sys
from array import array
from binascii import Error, a2b_base64, b2a_base64
from bisect import bisect_left
from collections.abc import Collection, Sequence
from hashlib import blake2b
from itertools import pairwise

BITS = 20
SLOTS = 1 << BITS
MAX_SLOTS = 4096
"""Numbers in one lesson."""
FORMAT = 1
"""Grows whenever mail is taken apart in another way: what was learned before then speaks of other numbers."""

_UPPER = 1 << (BITS - 16)
_COUNTS = struct.Struct(f"<B{_UPPER}H")
MAX_PACKED = _COUNTS.size + 2 * MAX_SLOTS
"""Octets of a packed lesson, at most."""
ID_SIZE = 8
"""Octets of a lesson's id."""


def pack(slots: Collection[int]) -> bytes:
    """A lesson, packed.

    Arguments:
        slots: from 0 to ``SLOTS`` - 1, each once, at most ``MAX_SLOTS``.
    """
    ordered = sorted(slots)
    bounds = [bisect_left(ordered, upper << 16) for upper in range(_UPPER + 1)]
    counts = [after - before for before, after in pairwise(bounds)]
    low = array("H", [slot & 0xFFFF for slot in ordered])
    if sys.byteorder == "big":
        low.byteswap()
    return _COUNTS.pack(FORMAT, *counts) + low.tobytes()


def unpack(packed: bytes) -> Sequence[int]:
    """The numbers of a lesson, in their order.

    Raises:
        ValueError: it is none, or of another format.
    """
    if len(packed) < _COUNTS.size or packed[0] != FORMAT:
        raise ValueError("not a lesson of this version")
    _format, *counts = _COUNTS.unpack_from(packed)
    total = sum(counts)
    if total > MAX_SLOTS or len(packed) != _COUNTS.size + 2 * total:
        raise ValueError("a lesson that does not fit its length")
    low = array("H", packed[_COUNTS.size :])
    if sys.byteorder == "big":
        low.byteswap()
    slots = array("I")
    at = 0
    for upper, count in enumerate(counts):
        base = upper << 16
        slots.extend([base | value for value in low[at : at + count]])
        at += count
    return slots


def lesson_id(packed: bytes) -> bytes:
    """The same for mails in which the same was seen."""
    return blake2b(packed, digest_size=ID_SIZE).digest()


def encode_lesson(packed: bytes) -> str:
    """A packed lesson as text."""
    return b2a_base64(packed, newline=False).decode("ascii")


def decode_lesson(text: str) -> bytes:
    """The reverse.

    Raises:
        ValueError: it is no lesson, or of another format.
    """
    if len(text) > 4 * (MAX_PACKED // 3 + 1):
        raise ValueError("a lesson that is too long")
    try:
        packed = a2b_base64(text.encode("ascii"), strict_mode=True)
    except (Error, UnicodeEncodeError) as error:
        raise ValueError("not a lesson") from error
    if len(packed) < _COUNTS.size or packed[0] != FORMAT:
        raise ValueError("not a lesson of this version")
    if len(packed) != _COUNTS.size + 2 * sum(_COUNTS.unpack_from(packed)[1:]) or len(packed) > MAX_PACKED:
        raise ValueError("a lesson that does not fit its length")
    return packed
