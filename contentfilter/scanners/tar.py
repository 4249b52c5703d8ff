"""TAR archives (POSIX.1-2001 ustar and pax, GNU; older ones are known by their checksum).

Programs differ in how long a member is (pax may say otherwise than the header), and whether links and folders
have content. The longer content is handed out, and where the next header may stand in two places, both are
read: one by going on there, the other inside the content, which begins with a header like any archive.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

from contentfilter.containers.formats import TAR
from contentfilter.part import Content, Context, Found, Part
from contentfilter.scanners.unpacking import Unpacking, members

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_PAX, _NAMES, _SPARSE = b"xg", b"LK", b"S"
_EMPTY = b"123456"
"""Types of links, devices and folders: their size says nothing to most programs."""
_MAX_PAX = 1 << 20


@dataclass(slots=True)
class _Extended:
    """What the headers before a member say of it."""

    name: str = ""
    size: int = -1
    sparse: bool = False


class Tar:
    """Finds ``archive-malformed``, ``archive-bomb``; hands out the members."""

    name = "tar"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if len(data) < _BLOCK or not data[0] or not _is_header(data, 0):
            return
        unpacking = Unpacking(part, context, "TAR")
        sparse = yield from _walk(unpacking)
        if sparse:
            # What is between the pieces of a sparse file is for libarchive to fill.
            yield from members(unpacking, TAR, data, 0)


def _walk(unpacking: Unpacking) -> Generator[Found, None, bool]:
    """Go from header to header; returns whether a member is sparse."""
    data = unpacking.part.data
    at, extended, sparse = 0, _Extended(), False
    while at + _BLOCK <= len(data):
        if data[at : at + _BLOCK] == _ZEROS:
            at += _BLOCK
            continue
        if not _is_header(data, at):
            yield from unpacking.malformed("no header where one should be")
            at = _next_header(data, at)
            continue
        full = list(unpacking.full())
        if full:
            yield from full
            return sparse
        size, kind = _number(data[at + 124 : at + 136]), data[at + 156 : at + 157]
        if kind in _PAX:
            _read_pax(data[at + _BLOCK : at + _BLOCK + min(size, _MAX_PAX)], extended)
        elif kind in _NAMES:
            extended.name = _text(data[at + _BLOCK : at + _BLOCK + size]) if kind == b"L" else extended.name
        else:
            content = data[at + _BLOCK : at + _BLOCK + max(size, extended.size)]
            sparse = sparse or extended.sparse or kind == _SPARSE
            name = extended.name or _name(data, at)
            size = extended.size if extended.size >= 0 else size
            short = at + _BLOCK + size > len(data)
            yield from unpacking.member(name, content, "malformed" if short else "", "ends early")
            if kind in _EMPTY and _is_header(data, at + _BLOCK):
                size = 0
            extended = _Extended()
        at += _BLOCK + -(-size // _BLOCK) * _BLOCK
    if at > len(data):
        yield unpacking.part.unscanned("malformed", "TAR: ends early")
    elif data[at:].strip(b"\0"):
        yield from unpacking.malformed("ends within a header")
    return sparse


def _is_header(data: Content, at: int) -> bool:
    header = data[at : at + _BLOCK]
    stored = header[148:156].strip(b" \0")
    if len(header) < _BLOCK or not stored or stored.strip(b"01234567"):
        return False
    wanted = int(stored, 8)
    total = sum(header) - sum(header[148:156]) + 8 * 32
    if total == wanted:
        return True
    # Some old programs added the octets as if they had a sign.
    high = sum(octet > 127 for octet in header[:148]) + sum(octet > 127 for octet in header[156:])
    return total - 256 * high == wanted


def _next_header(data: Content, at: int) -> int:
    """Where the next header stands, as GNU tar looks for it; the end if there is none."""
    sign = at
    while (sign := data.find(b"ustar", sign + 1)) >= 0:
        start = sign - 257
        if start > at and start % _BLOCK == 0 and _is_header(data, start):
            return start
    return len(data)


def _number(field: Content) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    digits = bytes(field).strip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else 0


def _name(data: Content, at: int) -> str:
    name = _text(data[at : at + 100])
    if data[at + 257 : at + 263] == b"ustar\0" and (prefix := _text(data[at + 345 : at + 500])):
        return f"{prefix}/{name}"
    return name


def _text(raw: Content) -> str:
    return bytes(raw[:1000]).split(b"\0", 1)[0].decode("utf-8", "replace")


def _read_pax(raw: Content, extended: _Extended) -> None:
    """Records ``LENGTH KEY=VALUE\\n``; those that matter here."""
    at = 0
    while at < len(raw):
        length, _, _rest = bytes(raw[at : at + 20]).partition(b" ")
        if not length.isdigit() or not int(length):
            return
        record = bytes(raw[at + len(length) + 1 : at + int(length) - 1])
        key, _, value = record.partition(b"=")
        if key == b"path":
            extended.name = _text(value)
        elif key == b"size" and value.isdigit() and len(value) < 20:
            extended.size = int(value)
        elif key.startswith(b"GNU.sparse."):
            extended.sparse = True
            if key == b"GNU.sparse.name":
                extended.name = _text(value)
        at += int(length)
