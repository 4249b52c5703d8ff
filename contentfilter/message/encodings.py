"""Quoted-printable (RFC 2045 6.7) as mail programs read it.

Decoders never raise: damaged input gives what a forgiving mail client would make of it. Where clients
differ each reading is returned.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator

from contentfilter.content.limits import MIB
from contentfilter.content.marks import Marks, following, runs_before
from contentfilter.message.wire import Wire

_WINDOW = MIB
_BROKEN = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n|\Z)")
_CUT = re.compile(rb"=[0-9A-Fa-f]?=\r?\n[0-9A-Fa-f]")
"""An escape that goes on in the next line."""
_BLANK = b" \t\v\f"
_HEX = b"0123456789ABCDEFabcdef"
_MANY = 20
"""Broken escapes beyond which they are no accident of a program that does not escape at all."""


def quoted_printable(wire: Wire, start: int, end: int) -> bytes | bytearray:
    """Quoted-printable from start to end, as most programs read it."""
    if end - start <= _WINDOW:
        return binascii.a2b_qp(wire.text(start, end))
    out = bytearray()
    while start < end:
        stop = end
        if end - start > _WINDOW:
            stop = wire.find(b"\n", start + _WINDOW, end) + 1 or end
        out += binascii.a2b_qp(wire.text(start, stop))
        start = stop
    return out


def with_line_feeds(text: bytes, encoding: str) -> Iterator[bytes]:
    """What programs make of ``text`` that keep mail with LF alone: they do not put CR back where lines end.

    Arguments:
        encoding: ``quoted-printable``, or any that is not decoded.
    """
    text = text.replace(b"\r\n", b"\n")
    if encoding != "quoted-printable":
        yield text
        return
    bare, _padded = _without_trailing(text)
    yield binascii.a2b_qp(text)
    if bare != text:
        yield binascii.a2b_qp(bare)
    if _CUT.search(bare):
        yield binascii.a2b_qp(_without(_Escapes.soft, bare))


def other_readings(text: bytes) -> tuple[Iterator[bytes] | None, bool]:
    """What programs make of ``text`` where its escapes are broken, one when it is asked for, None if they are
    not, and whether programs will differ in earnest.

    Of a broken escape they keep all, or drop the equals sign and up to two characters after it.
    """
    if not _BROKEN.search(text):
        return None, False
    bare, padded = _without_trailing(text)
    broken = sum(_Escapes(piece).broken.bit_count() for piece in _pieces(bare))
    doubtful = padded > _MANY or (broken > _MANY and broken * 8 > bare.count(b"="))
    return _forgiving(bare, broken > 0), doubtful


def _forgiving(bare: bytes, broken: bool) -> Iterator[bytes]:
    yield binascii.a2b_qp(bare)
    if broken:
        for kind in (_Escapes.sign, _Escapes.pair, _Escapes.triple):
            yield binascii.a2b_qp(_without(kind, bare))
        if _CUT.search(bare):
            # Some join the lines first, and only then look for escapes.
            yield binascii.a2b_qp(_without(_Escapes.soft, bare))


class _Lines(Marks):
    """Blanks at the ends of lines."""

    __slots__ = ("padded", "trailing")

    def __init__(self, text: bytes) -> None:
        super().__init__(text, _BLANK, b"\r", b"\n", b"=")
        blank, cr, lf, equals = self.kinds
        self.trailing = runs_before(blank, lf | cr & following(lf))
        self.padded = equals & following(self.trailing)
        """Equals signs that only blanks part from the end of the line."""


class _Escapes(Marks):
    """Escapes, and what is none.

    Arguments:
        text: whole lines, without blanks at their ends.
    """

    __slots__ = ("_line_end", "_within", "broken")

    def __init__(self, text: bytes) -> None:
        super().__init__(text, b"=", b"\n", b"\r", _HEX)
        equals, lf, cr, digit = self.kinds
        self._within = self.every ^ equals ^ lf
        # Of one or two octets; none at all is the end of the text.
        self._line_end = lf | cr & following(lf)
        sound = following(digit) & following(digit, 2) | following(self._line_end)
        self.broken = equals & following(self.every) & ~sound

    def sign(self) -> int:
        """Broken escapes: their equals sign."""
        return self.broken

    def pair(self) -> int:
        """And the character after it."""
        first = self.broken & following(self._within)
        return first | first >> 8

    def triple(self) -> int:
        """And one more, if there is one in the line."""
        first = self.broken & following(self._within)
        return first | first >> 8 | (first & following(self._within, 2)) >> 16

    def soft(self) -> int:
        """Soft line breaks, with the line end."""
        equals, _lf, cr, _digit = self.kinds
        first = equals & following(self._line_end)
        return first | first >> 8 | (first & following(cr)) >> 16


def _without_trailing(text: bytes) -> tuple[bytes, int]:
    """``text`` without blanks at the ends of lines, and how many equals signs stand in front of such."""
    pieces, padded = [], 0
    for lines in map(_Lines, _pieces(text)):
        pieces.append(lines.without(lines.trailing))
        padded += lines.padded.bit_count()
    return b"".join(pieces).rstrip(_BLANK), padded


def _without(kind: Callable[[_Escapes], int], text: bytes) -> bytes:
    """``text`` without what is found in it."""
    found = map(_Escapes, _pieces(text))
    return b"".join(escapes.without(kind(escapes)) for escapes in found)


def _pieces(text: bytes) -> Iterator[bytes]:
    """``text`` in pieces of whole lines."""
    start = 0
    while start < len(text):
        stop = text.find(b"\n", start + _WINDOW) + 1 or len(text)
        yield text[start:stop]
        start = stop
