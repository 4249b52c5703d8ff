"""Visio's binary drawings (versions 4 to 2010): the OLE files in their streams, a VBA project among them.

A drawing is one stream, ``VisioDocument``, with a tree of pointers to streams of its own, most of them
compressed. There is no specification; this follows libvisio (VSDParser, VSD5Parser, VSDInternalStream).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from contentfilter.containers.cfb import MAGIC as OLE
from contentfilter.content.limits import MIB

Content: TypeAlias = bytes | bytearray

MAGIC = b"Visio (TM) Drawing\r\n\0"
_VERSION_AT, _TRAILER_AT = 0x1A, 0x24
_OLD = 5
"""The last version with short pointers."""
_POINTER, _OLD_POINTER = struct.Struct("<I4xIIH"), struct.Struct("<BxBx4xII")
_OLD_TABLES = {0x14: 0x82, 0x15: 0x42, 0x18: 0x2E, 0x1A: 0x12, 0x1D: 0x1E, 0x1E: 0x36, 0x4E: 0x1E}
"""Where the number of pointers stands in a stream of that type, in old versions."""
_COMPRESSED = 2
_HAS_POINTERS = 5
"""The upper half of a format."""
_HEAD = 256
"""Octets in which an OLE file begins, behind a length and the like."""
_WINDOW, _FIRST = 4096, 18
"""Back references name a place in a ring, whose first octet has this one before the text begins."""
_MAX_STREAMS = 20_000
MAX_EXPANDED = 64 * MIB
"""Octets that are taken out of the streams of one drawing: those may overlap."""


@dataclass(frozen=True, slots=True)
class _Pointer:
    kind: int
    form: int
    start: int
    size: int


@dataclass(slots=True)
class Drawing:
    """The stream of a drawing.

    Arguments:
        data: it.
        damaged: its pointers lead nowhere.
        cut: there is more than is looked at.
        room: octets that may still be taken out of it.
    """

    data: Content
    room: int = MAX_EXPANDED
    damaged: bool = False
    cut: bool = False
    _old: bool = field(default=False, init=False)

    def files(self, limit: int) -> Iterator[Content]:
        """The OLE files in it.

        Arguments:
            limit: octets of each, at most.
        """
        data = self.data
        self._old = len(data) > _VERSION_AT and data[_VERSION_AT] <= _OLD
        trailer = self._pointer(data, _TRAILER_AT)
        if trailer is None:
            self.damaged = True
            return
        stack, seen = [trailer], {trailer.start}
        while stack:
            pieces: list[_Pointer] = []
            for child in self._children(stack.pop()):
                if child.start in seen:
                    continue
                if len(seen) > _MAX_STREAMS or self.room <= 0:
                    self.cut = True
                    return
                seen.add(child.start)
                if OLE in self._content(child, _HEAD):
                    if pieces:
                        yield self._joined(pieces, limit)
                    pieces = [child]
                elif child.form >> 4 == _HAS_POINTERS:
                    stack.append(child)
                elif pieces:
                    pieces.append(child)
            if pieces:
                yield self._joined(pieces, limit)
        self.cut |= self.room <= 0
        # The trailer alone is no drawing.
        self.damaged |= len(seen) == 1

    def _joined(self, pieces: list[_Pointer], limit: int) -> Content:
        """A file, which goes on in the streams that follow the one where it begins."""
        file = bytearray()
        for piece in pieces:
            content = self._content(piece, limit - len(file) + _HEAD)
            # What is compressed has a length in front.
            file += content[4:] if piece.form & _COMPRESSED else content
        return file[file.find(OLE) :][:limit]

    def _children(self, pointer: _Pointer) -> Iterator[_Pointer]:
        content = self._content(pointer, MAX_EXPANDED)
        skipped = 4 if pointer.form & _COMPRESSED else 0
        if self._old:
            table = _OLD_TABLES.get(pointer.kind, 0x1E if pointer.kind > 0x45 else 0x0A)
            at = skipped + table + 2
            count = int.from_bytes(content[at - 2 : at], "little")
            size = _OLD_POINTER.size
        else:
            at = skipped + int.from_bytes(content[skipped : skipped + 4], "little") + 8
            count = int.from_bytes(content[at - 8 : at - 4], "little")
            size = _POINTER.size
        for number in range(min(count, len(content) // size)):
            child = self._pointer(content, at + number * size)
            if child is not None and child.kind and child.size:
                yield child

    def _pointer(self, data: Content, at: int) -> _Pointer | None:
        form = _OLD_POINTER if self._old else _POINTER
        if at + form.size > len(data):
            return None
        if self._old:
            kind, bits, start, size = _OLD_POINTER.unpack_from(data, at)
        else:
            kind, start, size, bits = _POINTER.unpack_from(data, at)
        return _Pointer(kind, bits, start, size)

    def _content(self, pointer: _Pointer, limit: int) -> Content:
        raw = self.data[pointer.start : pointer.start + min(pointer.size, limit)]
        if not pointer.form & _COMPRESSED:
            self.room -= len(raw)
            return raw
        content, spent = expanded(raw, min(limit, self.room), self.room)
        self.room -= spent
        return content


def _group(flags: int) -> tuple[Callable[[bytes, int], tuple[Any, ...]], int]:
    """What takes the octets and places of a group apart, and how many octets they are."""
    layout, run = "<", 0
    for bit in range(8):
        if flags >> bit & 1:
            run += 1
            continue
        layout += f"{run}sH" if run else "H"
        run = 0
    form = struct.Struct(layout + (f"{run}s" if run else ""))
    return form.unpack_from, form.size


_GROUPS = [_group(flags) for flags in range(256)]
_GROUP_COST = 64
"""What a group with places counts for: each is looked up, whatever comes of it."""
_MOST_OCTETS = 16
"""Octets of a group at most, behind its flags."""
_PLACES = [((pair & 0xFF | pair >> 4 & 0xF00) + _FIRST, (pair >> 8 & 15) + 3) for pair in range(1 << 16)]
"""Place and length, by the two octets that say them."""


def _there(items: Iterable[Any], size: int) -> Iterator[Any]:
    """What of a group lies in its first ``size`` octets."""
    for item in items:
        length = 2 if type(item) is int else len(item)
        if size < length:
            if type(item) is not int:
                yield item[:size]
            return
        yield item
        size -= length


def expand(packed: Content, limit: int) -> bytearray:
    """What LZSS with a ring of 4 KiB made small: eight flags, then an octet for each that is set, else a
    place in the ring and a length.

    Arguments:
        limit: octets that come out at most.
    """
    return expanded(packed, limit, _GROUP_COST * (len(packed) + 1))[0]


def expanded(packed: Content, limit: int, room: int) -> tuple[bytearray, int]:
    """As :func:`expand`, and how much of ``room`` was spent: groups of flags count, too.

    Arguments:
        room: where it is used up, the rest is left out.
    """
    # The ring is the end of the output, with the zeros that it holds at the beginning.
    out = bytearray(_WINDOW)
    at, end, full, done = 0, len(packed), _WINDOW + limit, _WINDOW
    padded = bytes(packed) + bytes(_MOST_OCTETS)
    spent = 0
    while at < end and done < full and spent < room:
        if padded[at] == 0xFF and at + 8 < end:
            out += padded[at + 1 : at + 9]
            at += 9
            done += 8
            continue
        spent += _GROUP_COST
        unpack, size = _GROUPS[padded[at]]
        items: Iterable[Any] = unpack(padded, at + 1)
        at += 1 + size
        if at > end:
            # Cut off within the group: what is not there is left out, and half a place as well.
            items = _there(items, end - at + size)
        for item in items:
            if type(item) is int:
                place, length = _PLACES[item]
                back = (done - place) % _WINDOW or _WINDOW
                start = done - back
                if back >= length:
                    out += out[start : start + length]
                else:
                    out += (out[start:] * (length // back + 1))[:length]
                done += length
            else:
                out += item
                done += len(item)
    return out[_WINDOW:full], max(len(out) - _WINDOW, spent)
