"""The relaxed canonicalisation of RFC 6376 3.4.2 and 3.4.4, for lines that end with LF."""

from __future__ import annotations

import hashlib

_BLOCK = b"\r\n" * 16384


def relaxed_field(name: str, value: bytes) -> bytes:
    """A header field in its canonical form, without the line end.

    Arguments:
        name: lower case.
        value: what stands behind the colon, folded as it may be.
    """
    text = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return name.encode("ascii") + b":" + _one_blank(text).strip(b" ")


class BodyHash:
    """SHA-256 of a body in its canonical form, which is never held.

    Blank lines and blanks count only if something follows, so of those at the end of what came only the
    number is remembered.
    """

    def __init__(self) -> None:
        self._seen = hashlib.sha256()
        self._anything = False
        self._line_ends = 0
        self._blank = False

    def feed(self, data: bytes) -> None:
        """The next piece, wherever it ends; lines end with LF."""
        data = _one_blank(data).replace(b" \n", b"\n")
        if self._blank and data[:1] in (b" ", b"\n"):
            # Blanks before it are part of this one, or stand before a line end.
            self._blank = False
        content = data.rstrip(b" \n")
        if content:
            self._add(content)
        tail = data[len(content) :]
        line_ends = tail.count(b"\n")
        self._line_ends += line_ends
        self._blank = tail[-1:] == b" " or (self._blank and not tail)

    def digest(self) -> bytes:
        """The hash, after the last piece."""
        if self._anything:
            self._seen.update(b"\r\n")
        return self._seen.digest()

    def _add(self, content: bytes) -> None:
        self._anything = True
        while self._line_ends > 16384:
            self._seen.update(_BLOCK)
            self._line_ends -= 16384
        before = b"\r\n" * self._line_ends + (b" " if self._blank else b"")
        self._seen.update(before)
        self._seen.update(content.replace(b"\n", b"\r\n"))
        self._line_ends, self._blank = 0, False


def _one_blank(data: bytes) -> bytes:
    """Each run of blanks and tabs as one blank. Doubling steps: a pass each would cost as much as the run is
    long."""
    data = data.replace(b"\t", b" ")
    while b"  " in data:
        data = data.replace(b"  ", b" ")
    return data
