"""Decision ids: 64 random bits in a short form that can be read out over the telephone."""

from __future__ import annotations

import os
import re

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no i, l, o, u."""
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_FORM = re.compile(r"[0-9a-f][0-9a-hjkmnp-tv-z]{12}")

LENGTH = 13


class IdSource:
    """Hands out decision ids; asks the kernel for randomness in large pieces."""

    def __init__(self) -> None:
        self._pool: list[str] = []

    def next(self) -> str:
        """A new id, 13 characters."""
        if not self._pool:
            data = os.urandom(8 * 256)
            self._pool = [encode(int.from_bytes(data[i : i + 8])) for i in range(0, len(data), 8)]
        return self._pool.pop()


def encode(number: int) -> str:
    """``number`` (64 bits) as 13 characters."""
    pairs = _PAIRS
    return (
        pairs[number >> 55 & 1023]
        + pairs[number >> 45 & 1023]
        + pairs[number >> 35 & 1023]
        + pairs[number >> 25 & 1023]
        + pairs[number >> 15 & 1023]
        + pairs[number >> 5 & 1023]
        + _ALPHABET[number & 31]
    )


def is_id(text: str) -> bool:
    """Whether ``text`` has the form of a decision id."""
    return len(text) == LENGTH and _FORM.fullmatch(text) is not None
