"""Characters that are spelt by number, as URLs and scripts have them: all of a text at once, however many."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.content.limits import MIB
from contentfilter.content.marks import Marks, following

_WINDOW = MIB
_LONGEST = 6
"""Octets of one character, ``\\u0041``."""
_HEX = b"0123456789abcdefABCDEF"
_NIBBLES = bytes(int(chr(octet), 16) if octet in _HEX else 0 for octet in range(256))


def percent(text: bytes) -> bytes:
    """``text`` without its percent-encoding (RFC 3986 2.1)."""
    return b"".join(_unquoted(piece) for piece in _pieces(text, b"%"))


def escaped(text: bytes) -> bytes:
    """``text`` without the escapes ``\\x41`` and ``\\u0041`` of scripts, as far as they mean octets."""
    return b"".join(_unescaped(piece) for piece in _pieces(text, b"\\"))


def _unquoted(text: bytes) -> bytes:
    marks = Marks(text, b"%", _HEX)
    begins, digits = marks.kinds
    begins &= following(digits) & following(digits, 2)
    return _read(marks, text, ((begins, 3),))


def _unescaped(text: bytes) -> bytes:
    marks = Marks(text, b"\\", b"x", b"u", b"0", _HEX)
    begins, x, u, nought, digits = marks.kinds
    two = following(digits) & following(digits, 2)
    short = begins & following(x) & following(two)
    long = begins & following(u) & following(nought, 2) & following(nought, 3) & following(two, 3)
    return _read(marks, text, ((short, 4), (long, 6)))


def _read(marks: Marks, text: bytes, escapes: tuple[tuple[int, int], ...]) -> bytes:
    """The text with an octet in place of each escape.

    Arguments:
        escapes: where those of one length begin, and that length; the last two octets are the digits.
    """
    size = len(text)
    if not any(begins for begins, _length in escapes):
        return text
    nibbles = int.from_bytes(text.translate(_NIBBLES), "big")
    number = int.from_bytes(text, "big")
    surplus = 0
    for begins, length in escapes:
        wide = (begins << 8) - begins
        octets = (following(nibbles, length - 2) << 4 | following(nibbles, length - 1)) & wide
        number ^= (number ^ octets) & wide
        for distance in range(1, length):
            surplus |= begins >> 8 * distance
    return Marks(number.to_bytes(size, "big")).without(surplus)


def _pieces(text: bytes, begin: bytes) -> Iterator[bytes]:
    """``text`` in pieces that cut no escape in two.

    Arguments:
        begin: how one begins.
    """
    start = 0
    while start < len(text):
        stop = min(start + _WINDOW, len(text))
        if stop < len(text) and (cut := text.rfind(begin, stop - _LONGEST + 1, stop)) > start:
            stop = cut
        yield text[start:stop]
        start = stop
