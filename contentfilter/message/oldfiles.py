"""Files that stand inside text: in the encodings that were there before MIME, or in base64 by itself."""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Iterator

from contentfilter.content.limits import MIB
from contentfilter.content.marks import Marks, following
from contentfilter.content.needles import Needles
from contentfilter.content.part import Content
from contentfilter.message.base64text import quads

MAX_FILE = 64 * MIB
"""Octets that run lengths may expand to."""

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/\s]")
_SPACE = b" \t\r\n\v\f"
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_JUNK = bytes(set(range(256)) - set(_ALPHABET + b"="))

_UU_BEGIN = re.compile(
    rb"(?:\A|[\r\n])begin(-base64)?[ \t]++(?:([0-9]{3,7})(?=[ \t\r\n]))?[ \t]*+([^\r\n]{0,2000}+)"
    rb"(?:\r\n|\r|\n)(?(1)|(?(2)(?!begin[ \t])|(?=[\r\n\x20-\x60])))"
)
"""Some programs take any number for a mode, and do without a name, or without a mode. Then characters of the
encoding stand behind it."""
_UU_CANDIDATE = re.compile(rb"(?:\A|[\r\n])(?:[ \t]{0,4}([!-M][\x20-\x60]{2,90})|end[ \t]*)(?=[\r\n]|\Z)")
_UU_TWICE = MIB
"""Octets of one text that are read once more where other text stands among the lines of data."""
_UU_FULL_LINE = re.compile(rb"M[\x20-\x60]{60}")
_YENC_BEGIN = re.compile(
    rb"(?:\A|\n)=ybegin [^\r\n]{0,300}?name=([^\r\n]{1,300})\r?\n(?:=ypart [^\r\n]*\r?\n)?"
)
_YENC_ESCAPED = bytes((byte - 64) & 255 for byte in range(256))
_YENC_WINDOW = MIB
_YENC_SHIFT = bytes((byte - 42) & 255 for byte in range(256))

_BINHEX_ALPHABET = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_TO_BASE64 = bytes.maketrans(_BINHEX_ALPHABET, _ALPHABET)
_NOT_BINHEX = bytes(set(range(256)) - set(_BINHEX_ALPHABET))
_BINHEX_START = re.compile(rb"(?:\A|[\r\n])[ \t]*:([!\"#$%&'()*+,\-0-9@A-Z\[`a-r]{10})")

_XX_ALPHABET = b"+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_XX_TO_BASE64 = bytes.maketrans(_XX_ALPHABET, _ALPHABET)
_XX_BEGIN = re.compile(
    rb"(?:\A|[\r\n])begin[ \t]++[0-7]{3,7}[ \t]++([^\r\n]{1,2000}+)(?:\r\n|\r|\n)"
    rb"(?=[+0-9A-Za-z-]{5,85}[ \t]*(?:[\r\n]|\Z))"
)
_XX_LINE = re.compile(rb"([+0-9A-Za-z-])([+0-9A-Za-z-]*)[ \t]*(?:\r\n|\r|\n|\Z)")

_MAGIC = (
    b"UEsDB",  # ZIP
    b"0M8R4KGx",  # OLE
    b"JVBERi",  # PDF
    b"e1xydG",  # RTF
    b"TVqQAA",  # programs of Windows
    b"UmFyIR",  # RAR
    b"N3q8ry",  # 7z
    b"QWN0aXZlTWltZQ",  # ActiveMime
)
"""How documents, archives and programs begin in base64."""
_SIGNS = Needles(b"begin", b"BinHex", *_MAGIC)
"""Without all of these no file stands in a text."""


def files_in_text(data: Content) -> Iterator[tuple[bytes, bytes]]:
    """Files that stand inside text: name and content, which is empty for what only looks like a file."""
    if not _SIGNS.stand_in(data):
        return
    yield from encoded_files(data)
    for content in bare_base64(data):
        yield b"", content


def encoded_files(data: Content) -> Iterator[tuple[bytes, bytes]]:
    """Likewise, of those that say what they are: uuencode, xxencode, yEnc, BinHex."""
    decoders = ((b"begin", uuencoded), (b"begin", xxencoded), (b"=ybegin ", yencoded), (b"BinHex", binhexed))
    for needle, decode in decoders:
        if needle in data:
            yield from decode(data)


def bare_base64(data: Content) -> Iterator[bytes]:
    """What stands in base64 in the midst of text and begins like a document, an archive or a program."""
    for magic in _MAGIC:
        at = data.find(magic)
        while at >= 0:
            stop = _NOT_BASE64.search(data, at)
            end = stop.start() if stop else len(data)
            if not at or data[at - 1] not in _ALPHABET:
                yield quads(bytes(data[at:end]).translate(None, _SPACE))
            at = data.find(magic, end)


def uuencoded(data: Content) -> Iterator[tuple[bytes, bytes]]:
    """The files in ``begin MODE NAME`` … ``end`` blocks (POSIX uuencode, both forms): name and content.

    A line that looks like a beginning and has no data after it yields empty content. Where it has no mode, as
    words may begin, there must be a full line of data.
    """
    at, left = 0, _UU_TWICE
    while match := _UU_BEGIN.search(data, at):
        in_base64, mode, name = match.groups()
        at, content = match.end() - 1, b""
        if not mode and not _UU_FULL_LINE.match(data, match.end()):
            pass
        elif in_base64:
            end = data.find(b"\n====", match.end())
            end = len(data) if end < 0 else end
            at = max(at, end)
            content = quads(bytes(data[match.end() : end]).translate(None, _JUNK).split(b"=")[0])
        else:
            start = match.end()
            end, content, regular = _uu_lines(data, start)
            # The line that is no data may be the true beginning, and the line end before it belongs to it.
            at = max(at, end - 1)
            if not regular and left > 0 and (content or not _UU_BEGIN.match(data, at)):
                read, other = _uu_among_others(data, start, left)
                left -= read
                if other != content:
                    yield name, content
                    content = other
        yield name, content


def _uu_among_others(data: Content, start: int, most: int) -> tuple[int, bytes]:
    """The lines that are data by their length, whatever stands between them, up to the end that is said: how
    many octets were read, ``most`` at most, and what they hold."""
    out, stop = [], min(len(data), start + most)
    for match in _UU_CANDIDATE.finditer(data, max(0, start - 1), stop):
        line = match[1]
        if line is None:
            stop = match.end()
            break
        if _is_uu_line(line):
            out.append(_a2b_uu(line))
    return stop - start, b"".join(out)


def _uu_size(line: bytes) -> int:
    """How many characters of data a line should have by the first one."""
    return (((line[0] - 32) & 63) + 2) // 3 * 4


def _a2b_uu(line: bytes) -> bytes:
    """A line of data, whatever its last quad is padded with: encoders differ there."""
    return binascii.a2b_uu(line[: 1 + (((line[0] - 32) & 63) * 4 + 2) // 3])


def _is_uu_line(line: bytes) -> bool:
    """Whether a line is as long as its first character says, but for blanks cut off or a sum added."""
    return -3 < len(line) - 1 - _uu_size(line) < 4


def _uu_lines(data: Content, at: int) -> tuple[int, bytes, bool]:
    """The lines of data from ``at`` on, decoded, where the first one begins that is none, and whether they
    are as long as they should be and go on to the end."""
    out, decode, following, regular = [], binascii.a2b_uu, at, True
    while following < len(data):
        at = following
        stop = data.find(b"\n", at)
        stop = len(data) if stop < 0 else stop
        line = bytes(data[at : min(stop, at + 256)]).rstrip(b"\r\n")
        following = stop + 1
        if not line:
            continue
        if line.startswith(b"end") and len(line.rstrip()) == 3:
            break
        regular = regular and _is_uu_line(line)
        try:
            out.append(decode(line))
        except binascii.Error:
            try:
                out.append(_a2b_uu(line))
            except binascii.Error:
                regular = False
                break
    else:
        at = len(data)
    return at, b"".join(out), regular


def uuencode_body(data: Content) -> list[bytes]:
    """What a body holds whose Content-Transfer-Encoding says uuencode; the begin line may be missing."""
    if contents := [content for _name, content in uuencoded(data) if content]:
        return contents
    _end, content, regular = _uu_lines(data, 0)
    other = b"" if regular else _uu_among_others(data, 0, _UU_TWICE)[1]
    return [content, other] if other and other != content else [content]


def xxencoded(data: Content) -> Iterator[tuple[bytes, bytes]]:
    """The files in xxencode, which is uuencode in letters and digits (``.xxe``): name and content."""
    at = 0
    while match := _XX_BEGIN.search(data, at):
        at, out = match.end(), []
        while line := _XX_LINE.match(data, at):
            size = _XX_ALPHABET.index(line[1])
            if not size or (size + 2) // 3 * 4 - 3 > len(line[2]):
                break
            out.append(quads(line[2].translate(_XX_TO_BASE64))[:size])
            at = line.end()
        yield match[1], b"".join(out)


def yencoded(data: Content) -> Iterator[tuple[bytes, bytes]]:
    """The files in ``=ybegin`` … ``=yend`` blocks (yEnc 1.3): name and content."""
    at = 0
    while match := _YENC_BEGIN.search(data, at):
        end = data.find(b"\n=yend", match.end() - 1)
        end = len(data) if end < 0 else end
        body = bytes(data[match.end() : end]).removesuffix(b"\r").replace(b"\r\n", b"").replace(b"\n", b"")
        yield match[1].strip(), _without_escapes(body).translate(_YENC_SHIFT)
        at = max(end, match.end())


def _without_escapes(body: bytes) -> bytes:
    """What stands behind an equals sign is meant as 64 less. All at once: there may be millions of them."""
    # An equals sign that is escaped itself is no sign; each row of them begins with one that is.
    body = body.replace(b"==", _YENC_ESCAPED[61:62])
    pieces, start = [], 0
    while start < len(body):
        stop = min(start + _YENC_WINDOW, len(body))
        if stop < len(body) and body[stop - 1 : stop] == b"=":
            stop += 1
        text = body[start:stop]
        marks = Marks(text, b"=")
        signs = marks.kinds[0] & following(marks.every)
        wide = (signs << 8) - signs
        number, meant = int.from_bytes(text, "big"), int.from_bytes(text.translate(_YENC_ESCAPED), "big")
        number ^= (number ^ following(meant)) & wide
        pieces.append(Marks(number.to_bytes(len(text), "big")).without(signs >> 8))
        start = stop
    return b"".join(pieces)


def binhexed(data: Content) -> Iterator[tuple[bytes, bytes]]:
    """The files in BinHex 4.0 (RFC 1741): name, and each fork that holds something."""
    # Its first line tells what it is; a header that says so may stand in for it.
    at = max(data.find(b"BinHex"), 0)
    while match := _BINHEX_START.search(data, at):
        start = match.start(1)
        end = data.find(b":", start)
        end = len(data) if end < 0 else end
        text = bytes(data[start:end]).translate(None, _NOT_BINHEX).translate(_TO_BASE64)
        yield from _forks(_run_lengths(quads(text)))
        at = end


def _run_lengths(data: bytes) -> bytes:
    """``X 0x90 N`` stands for N times X; ``0x90 0x00`` for 0x90 itself."""
    pieces = data.split(b"\x90")
    out = bytearray(pieces[0])
    for piece in pieces[1:]:
        count = piece[0] if piece else 1
        if count == 0:
            out += b"\x90"
        elif out:
            out += out[-1:] * (count - 1)
        out += piece[1:]
        if len(out) > MAX_FILE:
            break
    return bytes(out)


def _forks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    size = data[0] if data else 0
    head = data[1 + size : 1 + size + 21]
    if not 1 <= size <= 63 or len(head) < 21:
        yield b"", data
        return
    name = data[1 : 1 + size]
    of_data, of_resources = struct.unpack(">II", head[11:19])
    at = 1 + size + 21
    yield name, data[at : at + of_data]
    if of_resources:
        yield name, data[at + of_data + 2 : at + of_data + 2 + of_resources]
