"""Content-transfer-encodings (RFC 2045 6), and the encodings that were there before MIME.

Decoders never raise: damaged input gives what a forgiving mail client would make of it. Where clients
differ, as after padding in the middle of base64, each reading is returned.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

import pybase64

from contentfilter.limits import MIB
from contentfilter.message.wire import Wire

_WINDOW = MIB
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_JUNK = bytes(set(range(256)) - set(_ALPHABET + b"="))
_MAX_PIECES = 2000
"""Pieces of base64, each with padding at its end, that are told apart."""
_MATERIAL = 24
"""Base64 characters after padding that may be more than an accident."""

_UU_BEGIN = re.compile(rb"(?:\A|\n)begin(?:-base64)?[ \t]+[0-7]{3,5}[ \t]+([^\r\n]{1,300})\r?\n")
_YENC_BEGIN = re.compile(
    rb"(?:\A|\n)=ybegin [^\r\n]{0,300}?name=([^\r\n]{1,300})\r?\n(?:=ypart [^\r\n]*\r?\n)?"
)
_YENC_ESCAPE = re.compile(rb"=(.)", re.DOTALL)
_YENC_SHIFT = bytes((byte - 42) & 255 for byte in range(256))


def base64_readings(wire: Wire, start: int, end: int) -> tuple[list[bytes | bytearray], bool]:
    """Base64 (RFC 2045 6.8) from start to end: what clients may read, the commonest reading first.

    The second value is false if there are more readings than are tried.
    """
    # Characters outside the alphabet are ignored (RFC 2045 6.8), as every client does.
    whole = _plain_base64(wire, start, end)
    if whole is not None:
        return [whole], True
    # Where padding stands before the end, some clients stop and some go on.
    text = wire.raw(start, end).translate(None, _JUNK).strip(b"=")
    pieces = [piece for piece in text.split(b"=", _MAX_PIECES) if piece]
    if not pieces:
        return [b""], True
    rest = pieces[-1].translate(None, b"=")
    whole_text = len(rest) == len(pieces[-1])
    pieces[-1] = rest
    readings: list[bytes | bytearray] = [_quads(pieces[0])]
    if sum(map(len, pieces[1:])) >= _MATERIAL:
        for other in (b"".join(map(_quads, pieces)), _quads(b"".join(pieces))):
            if other not in readings:
                readings.append(other)
    return readings, whole_text


def _plain_base64(wire: Wire, start: int, end: int) -> bytes | bytearray | None:
    """Base64, window by window so that only the result is whole in memory; None if padding stands inside."""
    out, carry = bytearray(), b""
    for at in range(start, end, _WINDOW):
        text = carry + wire.raw(at, min(at + _WINDOW, end)).translate(None, _JUNK)
        if b"=" in text:
            bare = text.rstrip(b"=")
            if b"=" in bare or at + _WINDOW < end:
                return None
            text = bare
        cut = len(text) & ~3
        carry = text[cut:]
        # Thirty times as fast as the standard library: most octets of mail are base64.
        piece = pybase64.b64decode(text[:cut], validate=True)
        if at == start and at + _WINDOW >= end:
            return piece + _quads(carry) if carry else piece
        out += piece
    out += _quads(carry)
    return out


def _quads(text: bytes) -> bytes:
    """Base64 characters without padding; a lone last one is dropped."""
    spare = len(text) & 3
    if spare == 1:
        text = text[:-1]
    elif spare:
        text += b"=" * (4 - spare)
    return pybase64.b64decode(text, validate=True)


def quoted_printable(wire: Wire, start: int, end: int) -> bytes | bytearray:
    """Quoted-printable (RFC 2045 6.7) from start to end."""
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


def uuencoded(data: bytes | bytearray) -> Iterator[tuple[bytes, bytes]]:
    """The files in ``begin MODE NAME`` … ``end`` blocks (POSIX uuencode, both forms): name and content.

    A line that looks like a beginning and has no data after it yields empty content.
    """
    at = 0
    while match := _UU_BEGIN.search(data, at):
        if b"begin-base64" in match.group(0)[:14]:
            end = data.find(b"\n====", match.end())
            end = len(data) if end < 0 else end
            at = end
            yield match[1], _quads(bytes(data[match.end() : end]).translate(None, _JUNK).split(b"=")[0])
        else:
            at, content = _uu_lines(data, match.end())
            yield match[1], content
        at = max(at, match.end() - 1)


def _uu_lines(data: bytes | bytearray, at: int) -> tuple[int, bytes]:
    out, decode = [], binascii.a2b_uu
    while at < len(data):
        stop = data.find(b"\n", at)
        stop = len(data) if stop < 0 else stop
        line = bytes(data[at : min(stop, at + 256)]).rstrip(b"\r\n")
        at = stop + 1
        if not line:
            continue
        if line.startswith(b"end") and len(line.rstrip()) == 3:
            break
        try:
            out.append(decode(line))
        except binascii.Error:
            # Encoders differ in how they pad the last quad (as in Python's own uu module).
            try:
                out.append(decode(line[: 1 + ((((line[0] - 32) & 63) * 4 + 2) // 3)]))
            except binascii.Error:
                break
    return at, b"".join(out)


def uuencode_body(data: bytes | bytearray) -> bytes:
    """A body whose Content-Transfer-Encoding says uuencode; the begin line may be missing."""
    for _name, content in uuencoded(data):
        return content
    return _uu_lines(data, 0)[1]


def yencoded(data: bytes | bytearray) -> Iterator[tuple[bytes, bytes]]:
    """The files in ``=ybegin`` … ``=yend`` blocks (yEnc 1.3): name and content."""
    at = 0
    while match := _YENC_BEGIN.search(data, at):
        end = data.find(b"\n=yend", match.end() - 1)
        end = len(data) if end < 0 else end
        body = bytes(data[match.end() : end]).removesuffix(b"\r").replace(b"\r\n", b"").replace(b"\n", b"")
        body = _YENC_ESCAPE.sub(lambda m: bytes(((m[1][0] - 64) & 255,)), body)
        yield match[1].strip(), body.translate(_YENC_SHIFT)
        at = max(end, match.end())
