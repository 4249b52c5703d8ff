"""The file system of DVDs and of most .iso and .img files from Windows (UDF, ECMA-167 and OSTA UDF 2.60).

libarchive reads ISO 9660 alone. A disc image may carry both file systems, with other files in each, and
Windows shows those of UDF.

Interface: :func:`find_udf` tells whether there is one; :class:`Udf` goes through its files. Partitions that
are written once (with a virtual allocation table) are not read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

Content: TypeAlias = bytes | bytearray

SECTOR = 2048
_RECOGNITION = 16 * SECTOR
_MAX_RECOGNITION = 64
_ANCHORS = (256, 512)
_MAX_DESCRIPTORS = 64
_MAX_MAPS = 16
_MAX_EXTENTS = 200_000
"""In the whole image."""
_MAX_NAMES = 16 << 20
"""Octets of names in the whole image."""
_ANCHOR, _PARTITION, _VOLUME, _END, _FILE_SET, _NAME, _ENTRY, _EXTENDED = 2, 5, 6, 8, 256, 257, 261, 266
_SHORT, _LONG, _EMBEDDED = 0, 1, 3
_IS_FOLDER, _IS_DELETED, _IS_PARENT = 0x02, 0x04, 0x08


class UdfError(Exception):
    """Not to be read.

    Arguments:
        reason: ``malformed`` or ``unsupported``.
        detail: in words.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Extent:
    """A run of octets in the image; ``at`` is -1 where nothing is recorded and zeros are read."""

    at: int
    size: int


@dataclass(frozen=True, slots=True)
class UdfFile:
    """A file.

    Arguments:
        name: with its folders.
        size: octets, as claimed.
        extents: where they lie.
    """

    name: str
    size: int
    extents: tuple[Extent, ...]


@dataclass(slots=True)
class _Map:
    """A partition as the volume numbers it: where it starts, or the file that has its blocks (metadata)."""

    start: int
    inside: tuple[Extent, ...] = ()


def find_udf(data: Content) -> bool:
    """Whether the volume recognition sequence names UDF."""
    if data[_RECOGNITION + 1 : _RECOGNITION + 6] not in (b"CD001", b"BEA01"):
        return False
    ends = _RECOGNITION + _MAX_RECOGNITION * SECTOR
    at = data.find(b"NSR0", _RECOGNITION, ends)
    while at >= 0:
        if at % SECTOR == 1:
            return True
        at = data.find(b"NSR0", at + 1, ends)
    return False


@dataclass(slots=True)
class Udf:
    """The file system of an image.

    Arguments:
        data: the image.
        problems: damage that was met on the way, in words.
    """

    data: Content
    problems: list[str] = field(default_factory=list)
    _maps: list[_Map] = field(default_factory=list)
    _root: tuple[int, int] = (0, 0)
    _block: int = SECTOR
    _extents_left: int = _MAX_EXTENTS
    _names_left: int = _MAX_NAMES

    @classmethod
    def open(cls, data: Content) -> Udf:
        """Read what leads to the root.

        Raises:
            UdfError: it cannot be found.
        """
        image = cls(data)
        sectors = len(data) // SECTOR
        for sector in (*_ANCHORS, sectors - 1, sectors - 257):
            at = sector * SECTOR
            if sector > 0 and image._tag(at) == _ANCHOR:
                size, location = struct.unpack_from("<II", data, at + 16)
                image._read_volume(location * SECTOR, size // SECTOR)
                return image
        raise UdfError("malformed", "no anchor")

    def files(self, limit: int) -> Iterator[UdfFile]:
        """All files.

        Arguments:
            limit: folders that are gone into.
        """
        seen: set[tuple[int, int]] = set()
        waiting = [("", self._root)]
        while waiting:
            path, place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            if len(seen) > limit or not self._names_left:
                self._note("too many folders")
                return
            folder = self._entry(path, place)
            if folder is None:
                continue
            content = self.content(folder, self._names_left)
            self._names_left -= len(content)
            for name, where, is_folder in self._names(content):
                child = f"{path}/{name}" if path else name
                if is_folder:
                    waiting.append((child, where))
                elif (found := self._entry(child, where)) is not None:
                    yield found

    def content(self, file: UdfFile, limit: int) -> bytearray:
        """The octets of a file, as many as ``limit`` allows."""
        out = bytearray()
        wanted = min(file.size, limit)
        for extent in file.extents:
            size = min(extent.size, wanted - len(out))
            if size <= 0:
                break
            out += self.data[extent.at : extent.at + size] if extent.at >= 0 else bytes(size)
        return out

    def _note(self, problem: str) -> None:
        if problem not in self.problems and len(self.problems) < 20:
            self.problems.append(problem)

    def _tag(self, at: int) -> int:
        """The id of the descriptor there; -1 if none is (ECMA-167 3/7.2: its own checksum must hold)."""
        tag = self.data[at : at + 16] if at >= 0 else b""
        if len(tag) < 16 or (sum(tag) - tag[4]) & 0xFF != tag[4]:
            return -1
        return int.from_bytes(tag[:2], "little")

    def _read_volume(self, at: int, count: int) -> None:
        starts: dict[int, int] = {}
        volume = -1
        for _ in range(min(count, _MAX_DESCRIPTORS)):
            kind = self._tag(at)
            if kind == _PARTITION and at + 196 <= len(self.data):
                (number,) = struct.unpack_from("<H", self.data, at + 22)
                (starts[number],) = struct.unpack_from("<I", self.data, at + 188)
            elif kind == _VOLUME:
                volume = at
            elif kind == _END:
                break
            at += SECTOR
        if volume < 0 or volume + SECTOR > len(self.data):
            raise UdfError("malformed", "no logical volume")
        (self._block,) = struct.unpack_from("<I", self.data, volume + 212)
        if self._block not in (512, 1024, 2048, 4096):
            raise UdfError("malformed", "size of a block")
        self._read_maps(volume, starts)
        _size, block, number = struct.unpack_from("<IIH", self.data, volume + 248)
        at = self._position(block, number)
        if self._tag(at) != _FILE_SET or at + 416 > len(self.data):
            raise UdfError("malformed", "no file set")
        _size, block, number = struct.unpack_from("<IIH", self.data, at + 400)
        self._root = (block, number)

    def _read_maps(self, volume: int, starts: dict[int, int]) -> None:
        (count,) = struct.unpack_from("<I", self.data, volume + 268)
        at = volume + 440
        metadata: list[tuple[int, int, int]] = []
        for index in range(min(count, _MAX_MAPS)):
            kind, size = self.data[at], self.data[at + 1]
            entry = self.data[at : at + size]
            if kind == 1 and size >= 6:
                number = int.from_bytes(entry[4:6], "little")
            elif kind == 2 and size >= 48:
                number = int.from_bytes(entry[38:40], "little")
                if b"Virtual" in entry[4:36]:
                    raise UdfError("unsupported", "a partition that is written once")
                if b"Metadata" in entry[4:36]:
                    metadata.append((index, number, int.from_bytes(entry[40:44], "little")))
            else:
                raise UdfError("malformed", "partition map")
            if number not in starts:
                raise UdfError("malformed", "no such partition")
            self._maps.append(_Map(starts[number] * self._block))
            at += size
        for index, number, block in metadata:
            plain = next(
                (n for n, known in enumerate(self._maps) if known.start == starts[number] * self._block), 0
            )
            file = self._entry("metadata", (block, plain))
            if file is None:
                raise UdfError("malformed", "no metadata")
            self._maps[index].inside = file.extents

    def _position(self, block: int, number: int) -> int:
        """Where a block of a partition lies; -1 if nowhere."""
        if number >= len(self._maps):
            return -1
        known = self._maps[number]
        if not known.inside:
            return known.start + block * self._block
        left = block * self._block
        for extent in known.inside:
            if left < extent.size:
                return extent.at + left if extent.at >= 0 else -1
            left -= extent.size
        return -1

    def _entry(self, name: str, place: tuple[int, int]) -> UdfFile | None:
        """What the entry at that block tells of a file."""
        data, at = self.data, self._position(*place)
        kind = self._tag(at)
        head = {_ENTRY: 168, _EXTENDED: 208}.get(kind)
        if head is None or at + head + 8 > len(data):
            self._note(f"no entry of {name!r:.80}")
            return None
        (flags,) = struct.unpack_from("<H", data, at + 34)
        (size,) = struct.unpack_from("<Q", data, at + 56)
        extended, allocated = struct.unpack_from("<II", data, at + head)
        start = at + head + 8 + extended
        end = min(start + allocated, at + self._block, len(data))
        if flags & 7 == _EMBEDDED:
            return UdfFile(name, size, (Extent(start, min(allocated, max(0, end - start))),))
        if flags & 7 not in (_SHORT, _LONG):
            self._note(f"extents of {name!r:.80}")
            return None
        return UdfFile(name, size, tuple(self._extents(start, end, flags & 7, place[1])))

    def _extents(self, at: int, end: int, kind: int, number: int) -> Iterator[Extent]:
        step = 16 if kind == _LONG else 8
        while self._extents_left > 0:
            self._extents_left -= 1
            if at + step > end:
                return
            raw, block = struct.unpack_from("<II", self.data, at)
            where = int.from_bytes(self.data[at + 8 : at + 10], "little") if kind == _LONG else number
            size, state = raw & 0x3FFFFFFF, raw >> 30
            if not size:
                return
            if state == 3:
                # The list goes on in a block of its own (ECMA-167 4/14.5).
                at = self._position(block, where)
                if self._tag(at) != 258 or at + 24 > len(self.data):
                    self._note("a list of extents that breaks off")
                    return
                end = min(at + 24 + int.from_bytes(self.data[at + 20 : at + 24], "little"), len(self.data))
                at += 24
                continue
            position = self._position(block, where) if state == 0 else -1
            if state == 0 and not 0 <= position <= len(self.data) - size:
                self._note("content beyond the end")
            yield Extent(position, size)
            at += step
        self._note("too many extents")

    def _names(self, content: bytearray) -> Iterator[tuple[str, tuple[int, int], bool]]:
        """Name, place of the entry, and whether it is a folder, of each in a folder's content."""
        at = 0
        while at + 38 <= len(content):
            if int.from_bytes(content[at : at + 2], "little") != _NAME:
                self._note("a folder that breaks off")
                return
            kind, length = content[at + 18], content[at + 19]
            _size, block, number = struct.unpack_from("<IIH", content, at + 20)
            used = int.from_bytes(content[at + 36 : at + 38], "little")
            start = at + 38 + used
            if not kind & (_IS_DELETED | _IS_PARENT):
                yield _text(content[start : start + length]), (block, number), bool(kind & _IS_FOLDER)
            at = at + (38 + used + length + 3 & ~3)


def _text(raw: bytearray) -> str:
    """A name: the first octet says how many bits a character has (OSTA UDF 2.1.1)."""
    if raw[:1] == b"\x10":
        return raw[1:].decode("utf-16-be", "replace")
    return raw[1:].decode("latin-1")
