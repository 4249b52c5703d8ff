"""A fuzzy digest: mails whose texts differ in some words share most of it. Pure.

The words of the text, as it is shown and without figures, make overlapping runs of three; of the hashes of
all runs the least one in each of some ranges stays (MinHash in one permutation: what two texts have in common
in these is what they have in common at all). ``ROW`` of them make a key, and there are ``KEYS``: of two texts
with nine tenths of their runs in common two thirds of the keys are the same, with half of them one in
sixteen.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b
from zlib import crc32

from mailbase.bulk import KEY_SIZE

KEYS = 4
ROW = 4
LEAST = 30
"""Runs in a text that has a digest: short ones are alike by chance."""
MAX_TEXT = 24_000
"""Characters that are read."""

_WORD = re.compile(rb"[a-z\x80-\xff]{2,}")
_STEP = (1 << 32) // (KEYS * ROW)


def fuzzy_digest(texts: Iterable[str]) -> tuple[str, ...]:
    """The keys of a text, in hexadecimal; none where it is too short.

    Arguments:
        texts: its pieces.
    """
    text = "\n".join(texts)[:MAX_TEXT].lower()
    # Links and addresses differ from mail to mail, where each recipient has his own.
    plain = " ".join(
        [word for word in text.split() if "@" not in word and "/" not in word and "www." not in word]
    )
    words = _WORD.findall(plain.encode("utf-8", "ignore"))
    runs = list(map(crc32, words[2:], map(crc32, words[1:], map(crc32, words))))
    if len(set(runs)) < LEAST:
        return ()
    # What crc32 makes of texts that differ in one letter differs in few bits; multiplied, in many.
    ordered = sorted({run * 0x9E3779B1 & 0xFFFFFFFF for run in runs})
    least = [ordered[bisect_left(ordered, place * _STEP) % len(ordered)] for place in range(KEYS * ROW)]
    return tuple(
        blake2b(
            b"".join(value.to_bytes(4, "big") for value in least[at : at + ROW]),
            digest_size=KEY_SIZE,
            salt=bytes((at,)),
        ).hexdigest()
        for at in range(0, KEYS * ROW, ROW)
    )
