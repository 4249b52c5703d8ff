"""TAR archives (POSIX.1-2001 ustar and pax, GNU; older ones are known by their checksum).

Programs differ in how long a member is (pax may say otherwise than the header), and whether links and folders
have content. The longer content is handed out, and where the next header may stand in several places, the
way goes on from each.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

from contentfilter.containers.formats import TAR
from contentfilter.containers.tar_header import BLOCK, is_header
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.scanners.unpacking import Unpacking, members

_ZEROS = bytes(BLOCK)
_PAX, _PAX_FOR_ALL, _NAMES, _SPARSE = b"x", b"g", b"LK", b"S"
_EMPTY = b"123456"
"""Types of links, devices and folders: their size says nothing to most programs."""
_MAX_PAX = 1 << 20
_MAX_VISITS = 4
"""Times that each block may be come to, on average."""
_MAX_SIZES = 4
"""Sizes that extended headers may give one member."""


@dataclass(slots=True)
class _Extended:
    """What the headers before a member say of it."""

    name: str = ""
    sizes: tuple[int, ...] = ()
    sparse: bool = False


class Tar:
    """Finds ``archive-malformed``, ``archive-bomb``; hands out the members."""

    name = "tar"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if not begins_tar(data):
            return
        unpacking = Unpacking(part, context, "TAR")
        sparse = yield from _walk(unpacking)
        if sparse:
            # What is between the pieces of a sparse file is for libarchive to fill.
            yield from members(unpacking, TAR, data, 0)


def begins_tar(data: Content) -> bool:
    """Whether the first block is the header of a member."""
    return len(data) >= BLOCK and data[0] != 0 and is_header(data, 0)


def _walk(unpacking: Unpacking) -> Generator[Found, None, bool]:
    """Go from header to header, once to each in each state; returns whether a member is sparse."""
    data, sparse = unpacking.part.data, False
    common = _Extended()
    seen: set[tuple[int, tuple[int, ...]]] = set()
    most = _MAX_VISITS * (len(data) // BLOCK)
    waiting = [0]
    ahead = _Ahead(data)
    while waiting:
        at, extended = waiting.pop(), replace(common)
        while at + BLOCK <= len(data) and (at, extended.sizes) not in seen:
            seen.add((at, extended.sizes))
            if len(seen) > most:
                yield unpacking.part.unscanned("too-large", "TAR: it can be read in too many ways")
                return sparse
            if data[at : at + BLOCK] == _ZEROS:
                at += BLOCK
                continue
            if not is_header(data, at):
                yield from unpacking.malformed("no header where one should be")
                at = ahead.after(at)
                continue
            full = list(unpacking.full())
            if full:
                yield from full
                return sparse
            size, kind = _number(data[at + 124 : at + 136]), data[at + 156 : at + 157]
            start = at + BLOCK
            at = start + _padded(size)
            if kind in (_PAX, _PAX_FOR_ALL):
                record = data[start : start + min(size, _MAX_PAX)]
                _read_pax(record, extended)
                if kind == _PAX_FOR_ALL:
                    _read_pax(record, common)
            elif kind in _NAMES:
                extended.name = _text(data[start : start + size]) if kind == b"L" else extended.name
            else:
                sparse = sparse or extended.sparse or kind == _SPARSE
                name = extended.name or _name(data, start - BLOCK)
                short = start + size > len(data)
                content = data[start : start + max(size, *extended.sizes, 0)]
                yield from unpacking.member(name, content, "malformed" if short else "", "ends early")
                if extended.sizes:
                    at = start + _padded(extended.sizes[-1])
                ends = {start + _padded(length) for length in (size, *extended.sizes)}
                ends |= {start} if kind in _EMPTY else set()
                waiting += [end if is_header(data, end) else ahead.after(end) for end in ends - {at}]
                extended = replace(common)
        if at > len(data):
            yield unpacking.part.unscanned("malformed", "TAR: ends early")
        elif at + BLOCK > len(data) and data[at:].strip(b"\0"):
            yield from unpacking.malformed("ends within a header")
    return sparse


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


class _Ahead:
    """Where the next header stands, as GNU tar looks for it after damage; asked often, searched for once."""

    def __init__(self, data: Content) -> None:
        self._data = data
        self._from = self._found = 0

    def after(self, at: int) -> int:
        """The first header behind ``at``; the end if there is none."""
        if not self._from <= at < self._found:
            self._from, self._found = at, self._search(at)
        return self._found

    def _search(self, at: int) -> int:
        sign = at
        while (sign := self._data.find(b"ustar", sign + 1)) >= 0:
            start = sign - 257
            if start > at and start % BLOCK == 0 and is_header(self._data, start):
                return start
        return len(self._data)


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
        elif key == b"size" and (digits := value.strip()).isdigit() and len(digits) < 20:
            extended.sizes = (*extended.sizes[-_MAX_SIZES:], int(digits))
        elif key.startswith(b"GNU.sparse."):
            extended.sparse = True
            if key == b"GNU.sparse.name":
                extended.name = _text(value)
        at += int(length)
