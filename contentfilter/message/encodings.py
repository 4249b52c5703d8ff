"""Quoted-printable (RFC 2045 6.7) as mail programs read it.

Decoders never raise: damaged input gives what a forgiving mail client would make of it. Where clients
differ each reading is returned.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from contentfilter.content.limits import MIB
from contentfilter.message.wire import Wire

_WINDOW = MIB
_BROKEN = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n|\Z)")
_BROKEN_PAIR = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n|\Z)[^=\n]")
_BROKEN_TRIPLE = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n|\Z)[^=\n][^=\n]?")
_CUT = re.compile(rb"=[0-9A-Fa-f]?=\r?\n[0-9A-Fa-f]")
"""An escape that goes on in the next line."""
_SOFT_BREAK = re.compile(rb"=\r?\n")
_PADDED = re.compile(rb"=[ \t\v\f]+\r?\n")
_TRAILING = re.compile(rb"(?<![ \t\v\f])[ \t\v\f]++(?=\r?\n|\Z)")
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
    bare = _without(_TRAILING, text)
    yield binascii.a2b_qp(text)
    if bare != text:
        yield binascii.a2b_qp(bare)
    if _CUT.search(bare):
        yield binascii.a2b_qp(_without(_SOFT_BREAK, bare))


def other_readings(text: bytes) -> tuple[Iterator[bytes] | None, bool]:
    """What programs make of ``text`` where its escapes are broken, one when it is asked for, None if they are
    not, and whether programs will differ in earnest.

    Of a broken escape they keep all, or drop the equals sign and up to two characters after it.
    """
    if not _BROKEN.search(text):
        return None, False
    bare = _without(_TRAILING, text)
    padded, broken = _count(_PADDED, text), _count(_BROKEN, bare)
    doubtful = padded > _MANY or (broken > _MANY and broken * 8 > bare.count(b"="))
    return _without_trailing(bare, broken > 0), doubtful


def _without_trailing(bare: bytes, broken: bool) -> Iterator[bytes]:
    yield binascii.a2b_qp(bare)
    if broken:
        for kind in (_BROKEN, _BROKEN_PAIR, _BROKEN_TRIPLE):
            yield binascii.a2b_qp(_without(kind, bare))
        if _CUT.search(bare):
            # Some join the lines first, and only then look for escapes.
            yield binascii.a2b_qp(_without(_SOFT_BREAK, bare))


def _without(pattern: re.Pattern[bytes], text: bytes) -> bytes:
    """``text`` without what matches. In pieces: millions of places take much memory."""
    return b"".join(pattern.sub(b"", piece) for piece in _pieces(text))


def _count(pattern: re.Pattern[bytes], text: bytes) -> int:
    return sum(len(pattern.findall(piece)) for piece in _pieces(text))


def _pieces(text: bytes) -> Iterator[bytes]:
    """``text`` in pieces of whole lines."""
    start = 0
    while start < len(text):
        stop = text.find(b"\n", start + _WINDOW) + 1 or len(text)
        yield text[start:stop]
        start = stop
