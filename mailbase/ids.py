"""Decision ids: 64 random bits in a short form that can be read out over the telephone."""

from __future__ import annotations

import os
import re

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no i, l, o, u."""
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_FORM = re.compile(r"[0-9a-f][0-9a-hjkmnp-tv-z]{12}")

LENGTH = 13
AT_ONCE = 256
"""Ids made from one request to the kernel."""
_SIXTEEN = (_ALPHABET[:16] * 16).encode("ascii")
_THIRTY_TWO = (_ALPHABET * 8).encode("ascii")
"""Random octets to characters, each as likely as the other."""


class IdSource:
    """Hands out decision ids; asks the kernel for randomness in large pieces."""

    def __init__(self) -> None:
        self._pool: list[str] = []

    def next(self) -> str:
        """A new id, 13 characters."""
        if not self._pool:
            # 4 random bits for the first character, 5 for each other: the same as encoding 64, and quicker.
            first = os.urandom(AT_ONCE).translate(_SIXTEEN).decode("ascii")
            rest = os.urandom(AT_ONCE * (LENGTH - 1)).translate(_THIRTY_TWO).decode("ascii")
            steps = range(0, len(rest), LENGTH - 1)
            self._pool = [a + rest[i : i + LENGTH - 1] for a, i in zip(first, steps, strict=True)]
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
