"""A fuzzy digest: mails whose texts differ in some words share most of it. Pure.

Of the text, as it is shown, only letters stay: no spaces, figures, marks, links or addresses. It is cut at
some of the letters, so that what is changed moves no cuts but those beside it; each piece and its successor
are a run, of about three words. Of the hashes of all runs the least one in each of some ranges stays (MinHash
in one permutation: what two texts have in common in these is what they have in common at all). ``ROW`` of
them make a key, and there are ``KEYS``: of two texts with nine tenths of their runs in common two thirds of
the keys are the same, with half of them one in sixteen.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from hashlib import blake2b
from operator import add
from zlib import crc32

from mailbase.bulk import KEY_SIZE

VERSION = 2
"""Grows whenever the same text has other keys, so that none is taken for one of another text."""
KEYS = 4
ROW = 4
LEAST = 24
"""Runs in a text that has a digest: short ones are alike by chance."""
MAX_TEXT = 12_000
"""Characters that are read."""

_CUTS = frozenset(b"cdhmpwy\x87\x8f\x95\x9d\xa3\xab\xb2\xba")
"""Of letters in Latin script every seventh or so, whatever the language; in UTF-8 every eighth of the octets
that end other letters, and none that stands in all letters of a script."""
_CUT = bytes(ord("\n") if octet in _CUTS else octet for octet in range(256))
_NO_LETTERS = bytes(set(range(0x80)) - set(b"abcdefghijklmnopqrstuvwxyz"))
_LINK = re.compile(r"/\S*")
_HASH = 32
_BITS = 30
"""Of a hash that go into a key."""
_WITHIN = _HASH - (KEYS * ROW - 1).bit_length()
"""Bits of a hash that tell where it is in its range; those above tell which range it is in."""
_ROW = struct.Struct(f">{ROW}I")


def fuzzy_digest(texts: Iterable[str]) -> tuple[str, ...]:
    """The keys of a text, in hexadecimal; none where it is too short.

    Arguments:
        texts: its pieces.
    """
    text = "\n".join(texts)[:MAX_TEXT].lower()
    # Links and addresses differ from mail to mail, where each recipient has his own.
    if "@" in text:
        text = " ".join([word for word in text.split() if "@" not in word])
    text = _LINK.sub("", text.replace("www.", "/"))
    pieces = text.encode("utf-8", "ignore").translate(_CUT, _NO_LETTERS).split(b"\n")
    runs = set(map(crc32, map(add, pieces, pieces[1:])))
    if len(runs) < LEAST:
        return ()
    least = _least(runs)
    return tuple(
        blake2b(_ROW.pack(*least[at : at + ROW]), digest_size=KEY_SIZE, salt=bytes((VERSION, at))).hexdigest()
        for at in range(0, KEYS * ROW, ROW)
    )


def _least(runs: set[int]) -> list[int]:
    """The least hash in each range; of a range without any, that of the next one that has some."""
    least = [1 << _HASH] * (KEYS * ROW)
    # In one pass: sorting them takes longer. Few are less than all before them.
    within = _WITHIN
    for run in runs:
        if run < least[run >> within]:
            least[run >> within] = run
    following = min(runs)
    for place in reversed(range(KEYS * ROW)):
        following = least[place] = following if least[place] >> _HASH else least[place]
    return [run >> (_HASH - _BITS) for run in least]
