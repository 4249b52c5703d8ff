"""OLE compound files (MS-CFB): the directory and its streams.

Every stream in the directory is listed, whether the tree reaches it or not. Damage costs the streams that
it hits and no others; a chain that runs in circles ends at the stream's size.
"""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass, field
from typing import TypeAlias

Content: TypeAlias = bytes | bytearray

MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")
_BETA_MAGIC = bytes.fromhex("0e11fc0dd0cf110e")
_MAX_REGULAR = 0xFFFFFFFA
_NO_STREAM, _END_OF_CHAIN = 0xFFFFFFFF, 0xFFFFFFFE
_MAX_ENTRIES = 65_536
_READ_OVER = 16
"""How many times its own size may be read out of a file whose streams share sectors."""
STORAGE, STREAM, ROOT = 1, 2, 5


class CompoundError(ValueError):
    """It begins like a compound file and cannot be read as one."""


@dataclass(slots=True, eq=False)
class Entry:
    """A storage or stream.

    Arguments:
        name: as stored.
        kind: STORAGE, STREAM or ROOT.
        start: first sector.
        size: octets of the stream, as claimed.
        clsid: of a storage, 16 octets.
        parent: the storage it lies in; None for the root and for what the tree does not reach.
    """

    name: str
    kind: int
    start: int
    size: int
    clsid: bytes
    parent: Entry | None = None

    @property
    def key(self) -> str:
        """The name as names are compared (MS-CFB 2.6.4: without regard to case)."""
        return self.name.lower()

    @property
    def path(self) -> str:
        """Names from the root down, joined by slashes."""
        names: list[str] = []
        entry = self
        while entry.parent is not None and len(names) < 32:
            names.append(entry.name)
            entry = entry.parent
        return "/".join(reversed(names)) or self.name


@dataclass(slots=True)
class CompoundFile:
    """An OLE compound file.

    Arguments:
        entries: all storages and streams, the root first.
        damaged: something in it does not fit together.
    """

    entries: list[Entry] = field(default_factory=list)
    damaged: bool = False
    _data: Content = b""
    _sector: int = 512
    _mini: int = 64
    _cutoff: int = 4096
    _fat: array[int] = field(default_factory=lambda: array("I"))
    _minifat: array[int] = field(default_factory=lambda: array("I"))
    _ministream: Content = b""
    _room: int = 0

    @classmethod
    def find(cls, data: Content) -> CompoundFile | None:
        """The compound file that ``data`` begins with; None if it is something else.

        Raises:
            CompoundError: damaged beyond reading.
        """
        if not data.startswith((MAGIC, _BETA_MAGIC)):
            return None
        if len(data) < 1024:
            raise CompoundError("shorter than a header and one sector")
        file = cls(_data=data, _room=_READ_OVER * len(data))
        file._read_header()
        return file

    def _read_header(self) -> None:
        data = self._data
        shift = int.from_bytes(data[30:32], "little")
        self._sector = 1 << shift if shift in (9, 12) else 512
        self.damaged = shift not in (9, 12)
        head = _words(data[44:76])
        (
            _fat_count,
            first_directory,
            _transaction,
            self._cutoff,
            first_mini,
            _minis,
            first_difat,
            difat_count,
        ) = head
        self._cutoff = self._cutoff if 0 < self._cutoff <= 1 << 20 else 4096
        places = _words(data[76:512])
        limit, at = len(data) // self._sector + 1, first_difat
        for _ in range(min(difat_count, limit)):
            sector = self._sector_at(at)
            if len(sector) < self._sector:
                break
            words = _words(sector)
            places.extend(words[:-1])
            at = words[-1]
        for place in places[:limit]:
            if place < _MAX_REGULAR:
                part = self._sector_at(place)
                self._fat.extend(_words(part[: len(part) & ~3]))
        directory = self._chain(first_directory, _MAX_ENTRIES * 128, self._fat)
        self._read_directory(directory)
        root = self.entries[0]
        self._minifat = _words(self._chain(first_mini, len(data), self._fat))
        self._ministream = self._chain(root.start, min(root.size, len(data)), self._fat)

    def _sector_at(self, number: int) -> Content:
        at = (number + 1) * self._sector
        return self._data[at : at + self._sector]

    def _chain(self, start: int, size: int, table: array[int]) -> Content:
        """The octets of a chain of sectors, at most ``size``; neighbours are copied at once."""
        mini = table is self._minifat
        unit = self._mini if mini else self._sector
        source, shift = (self._ministream, 0) if mini else (self._data, 1)
        out = bytearray()
        at, count = start, -(-min(size, len(self._data)) // unit)
        while count > 0 and at < _MAX_REGULAR:
            first = at
            run = 1
            at = table[at] if at < len(table) else _NO_STREAM
            while at == first + run and run < count:
                run += 1
                at = table[at] if at < len(table) else _NO_STREAM
            begin = (first + shift) * unit
            piece = source[begin : begin + run * unit]
            out += piece
            count -= run
            if len(piece) < run * unit:
                # Only the last sector of a stream may be short, where the file ends.
                self.damaged |= count > 0 or not piece
                return out[:size]
        self.damaged |= count > 0 and at != _END_OF_CHAIN
        return out[:size]

    def _read_directory(self, directory: Content) -> None:
        raw: list[tuple[Entry, int, int, int] | None] = []
        for at in range(0, len(directory) - 127, 128):
            record = directory[at : at + 128]
            kind = record[66]
            if kind not in (STORAGE, STREAM, ROOT):
                raw.append(None)
                continue
            name_size = int.from_bytes(record[64:66], "little")
            name = bytes(record[: min(max(name_size - 2, 0), 62) & ~1]).decode("utf-16-le", "replace")
            left, right, child = _words(record[68:80])
            start, low, high = _words(record[116:128])
            size = low | (high << 32 if self._sector == 4096 else 0)
            entry = Entry(name, kind, start, size, bytes(record[80:96]))
            raw.append((entry, left, right, child))
            self.entries.append(entry)
        if not raw or raw[0] is None:
            raise CompoundError("no root entry")
        # Parents, by walking the trees; an entry belongs to the first that claims it.
        root = raw[0][0]
        stack, seen = [(raw[0][3], root)], {0}
        while stack:
            number, parent = stack.pop()
            if number >= len(raw) or number in seen:
                continue
            seen.add(number)
            item = raw[number]
            if item is None:
                self.damaged = True
                continue
            entry, left, right, child = item
            entry.parent = parent
            stack += [(left, parent), (right, parent)]
            if entry.kind != STREAM:
                stack.append((child, entry))

    @property
    def streams(self) -> list[Entry]:
        """All streams, reached by the tree or not."""
        return [entry for entry in self.entries if entry.kind == STREAM]

    @property
    def root(self) -> Entry:
        return self.entries[0]

    def read(self, entry: Entry, limit: int = 1 << 32) -> Content:
        """The octets of a stream, at most ``limit``; fewer than its size where the file is damaged."""
        size = min(entry.size, limit)
        mini = entry.size < self._cutoff
        if self._room <= 0:
            self.damaged = True
            return b""
        data = self._chain(entry.start, size, self._minifat if mini else self._fat)
        self._room -= len(data)
        if len(data) < min(size, entry.size):
            self.damaged = True
        return data


def _words(data: Content) -> array[int]:
    """Little-endian 32-bit words; a rest that is no whole word is dropped."""
    words = array("I")
    words.frombytes(bytes(data[: len(data) & ~3]))
    if sys.byteorder == "big":
        words.byteswap()
    return words
