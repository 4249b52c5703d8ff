"""Writes compound files ([MS-CFB]), the container of .doc and of VBA projects; enough for sample documents.

Version 3: sectors of 512 octets, short streams in the mini stream. Up to 109 FAT sectors (about 7 MB).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Tree: TypeAlias = "Mapping[str, bytes | Tree]"
"""A storage: names to streams (bytes) or further storages."""

SECTOR = 512
MINI_SECTOR = 64
MINI_CUTOFF = 4096
"""Streams shorter than this live in the mini stream."""
END, FREE, FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
NONE = 0xFFFFFFFF
STORAGE, STREAM, ROOT = 1, 2, 5


@dataclass(slots=True)
class _Entry:
    name: str
    kind: int
    data: bytes = b""
    children: list[int] = field(default_factory=list)
    left: int = NONE
    right: int = NONE
    child: int = NONE
    start: int = 0
    size: int = 0


def compound_file(tree: Tree) -> bytes:
    """A compound file that holds ``tree``."""
    entries = [_Entry("Root Entry", ROOT)]
    _collect(entries, 0, tree)
    for entry in entries:
        entry.child = _balanced(
            entries, sorted(entry.children, key=lambda index: _order(entries[index].name))
        )
    mini, mini_fat = _mini_stream(entries)
    body: list[bytes] = []
    fat: list[int] = []
    for entry in entries:
        if entry.kind == STREAM and entry.size >= MINI_CUTOFF:
            entry.start = _chain(body, fat, entry.data)
    entries[0].start, entries[0].size = _chain(body, fat, mini), len(mini)
    mini_fat_data = b"".join(struct.pack("<I", link) for link in mini_fat)
    mini_fat_start = _chain(body, fat, mini_fat_data, b"\xff")
    directory_start = _chain(body, fat, _directory(entries))
    fat_sectors = 1
    while fat_sectors * SECTOR // 4 < len(fat) + fat_sectors:
        fat_sectors += 1
    if fat_sectors > 109:
        raise ValueError("too large for this writer")
    fat_at = len(fat)
    fat += [FAT] * fat_sectors
    fat += [FREE] * (fat_sectors * SECTOR // 4 - len(fat))
    table = b"".join(struct.pack("<I", link) for link in fat)
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16)
    header += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIIII", 0, fat_sectors, directory_start, 0, MINI_CUTOFF, mini_fat_start,
                          _sectors(len(mini_fat_data)), END, 0, fat_at)  # fmt: skip
    header += b"".join(struct.pack("<I", fat_at + index) for index in range(1, fat_sectors))
    return header.ljust(SECTOR, b"\xff") + b"".join(body) + table


def _collect(entries: list[_Entry], parent: int, tree: Tree) -> None:
    for name, value in tree.items():
        index = len(entries)
        entries[parent].children.append(index)
        if isinstance(value, bytes):
            entries.append(_Entry(name, STREAM, value, size=len(value)))
        else:
            entries.append(_Entry(name, STORAGE))
            _collect(entries, index, value)


def _order(name: str) -> tuple[int, str]:
    return len(name), name.upper()


def _balanced(entries: list[_Entry], indexes: list[int]) -> int:
    """Siblings form a search tree ([MS-CFB] 2.6.4); returns its root."""
    if not indexes:
        return NONE
    middle = len(indexes) // 2
    top = indexes[middle]
    entries[top].left = _balanced(entries, indexes[:middle])
    entries[top].right = _balanced(entries, indexes[middle + 1 :])
    return top


def _mini_stream(entries: list[_Entry]) -> tuple[bytes, list[int]]:
    data = b""
    links: list[int] = []
    for entry in entries:
        if entry.kind == STREAM and entry.size < MINI_CUTOFF:
            entry.start = END
            if count := -(-entry.size // MINI_SECTOR):
                entry.start = len(links)
                links += [*range(entry.start + 1, entry.start + count), END]
                data += entry.data.ljust(count * MINI_SECTOR, b"\0")
    return data, links


def _sectors(size: int) -> int:
    return -(-size // SECTOR)


def _chain(body: list[bytes], fat: list[int], data: bytes, filler: bytes = b"\0") -> int:
    """Append ``data`` as sectors; returns the first one's number."""
    count = _sectors(len(data))
    if not count:
        return END
    start = len(fat)
    fat += [*range(start + 1, start + count), END]
    body.append(data.ljust(count * SECTOR, filler))
    return start


def _directory(entries: list[_Entry]) -> bytes:
    records = []
    for entry in entries:
        name = (entry.name + "\0").encode("utf-16-le")
        records.append(
            name.ljust(64, b"\0")
            + struct.pack("<HBBIII", len(name), entry.kind, 1, entry.left, entry.right, entry.child)
            + bytes(36)
            + struct.pack("<IQ", entry.start, entry.size)
        )
    empty = bytes(68) + struct.pack("<III", NONE, NONE, NONE) + bytes(48)
    return b"".join(records) + empty * (-len(records) % 4)
