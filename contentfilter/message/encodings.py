"""Quoted-printable (RFC 2045 6.7) as mail programs read it.

Decoders never raise: damaged input gives what a forgiving mail client would make of it. Where clients
differ each reading is returned.
"""

from __future__ import annotations

import binascii
import re

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


def with_line_feeds(text: bytes, encoding: str) -> list[bytes]:
    """What programs make of ``text`` that keep mail with LF alone: they do not put CR back where lines end.

    Arguments:
        encoding: ``quoted-printable``, or any that is not decoded.
    """
    text = text.replace(b"\r\n", b"\n")
    if encoding != "quoted-printable":
        return [text]
    bare = _TRAILING.sub(b"", text)
    found = [binascii.a2b_qp(form) for form in dict.fromkeys((text, bare))]
    return [*found, binascii.a2b_qp(_SOFT_BREAK.sub(b"", bare))] if _CUT.search(bare) else found


def other_readings(text: bytes) -> tuple[list[bytes], bool]:
    """What programs make of ``text`` where its escapes are broken, and whether they will differ in earnest.

    Of a broken escape they keep all, or drop the equals sign and up to two characters after it.
    """
    if not _BROKEN.search(text):
        return [], False
    bare = _TRAILING.sub(b"", text)
    found = [binascii.a2b_qp(bare)]
    padded, broken = len(_PADDED.findall(text)), len(_BROKEN.findall(bare))
    if broken:
        found += [binascii.a2b_qp(kind.sub(b"", bare)) for kind in (_BROKEN, _BROKEN_PAIR, _BROKEN_TRIPLE)]
        if _CUT.search(bare):
            # Some join the lines first, and only then look for escapes.
            found.append(binascii.a2b_qp(_SOFT_BREAK.sub(b"", bare)))
    return found, padded > _MANY or (broken > _MANY and broken * 8 > bare.count(b"="))
