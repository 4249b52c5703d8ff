"""Images of discs in UDF (ECMA-167), with one folder level; as small as the format lets them be."""

from __future__ import annotations

import struct
from collections.abc import Mapping

SECTOR = 2048
_PARTITION = 272
"""Sector where the partition begins; blocks count from there."""


def udf(
    members: Mapping[str, bytes],
    *,
    extended: bool = False,
    long: bool = False,
    metadata: bool = False,
    front: bytes = b"",
) -> bytes:
    """An image of files, whose names may have one folder.

    Arguments:
        extended: extended file entries, as later revisions have.
        long: long allocation descriptors.
        metadata: names and entries lie in a metadata partition (revision 2.50).
        front: an image of ISO 9660 that is in the same place.
    """
    blocks: list[bytes] = [b""] * 2  # the file set, and the root's entry
    content: list[bytes] = []
    base = 400 if metadata else 0

    def stored(data: bytes) -> int:
        """Put content after all entries; returns its block in the partition."""
        at = 600 + sum(-(-len(item) // SECTOR) for item in content)
        content.append(data)
        return at

    def entry(data: bytes, kind: int, number: int) -> bytes:
        if kind == 4:
            flags, extents = 3, data
        elif long:
            flags, extents = 1, struct.pack("<IIH6x", len(data), stored(data), 0)
        else:
            flags, extents = 0, struct.pack("<II", len(data), stored(data))
            assert not metadata, "a short descriptor would count in the metadata"
        body = struct.pack("<IHHHBBIHH", 0, 4, 0, 1, 0, kind, 0, 0, flags).ljust(40, b"\0") + struct.pack(
            "<Q", len(data)
        )
        body = body.ljust(208 - 16 if extended else 168 - 16, b"\0")
        body += struct.pack("<II", 0, len(extents)) + extents
        return tagged(266 if extended else 261, body, number)

    def place(block: int) -> bytes:
        return struct.pack("<IIH6x", SECTOR, block, 1 if metadata else 0)

    def name(text: str, block: int, kind: int) -> bytes:
        raw = b"\x10" + text.encode("utf-16-be") if text else b""
        body = struct.pack("<HBB", 1, kind, len(raw)) + place(block) + struct.pack("<H", 0) + raw
        return tagged(257, body.ljust(-(-(len(body) + 16) // 4) * 4 - 16, b"\0"), block)

    folders: dict[str, list[tuple[str, int]]] = {"": []}
    for path, data in members.items():
        folder, _, base_name = path.rpartition("/")
        folders.setdefault(folder, []).append((base_name, len(blocks)))
        blocks.append(entry(data, 5, len(blocks)))
    root = name("", 1, 8 | 2)
    for folder, files in folders.items():
        listed = b"".join(name(text, block, 0) for text, block in files)
        if folder:
            root += name(folder, len(blocks), 2)
            blocks.append(entry(name("", 1, 8 | 2) + listed, 4, len(blocks)))
        else:
            root += listed
    blocks[0] = tagged(256, bytes(400 - 16) + place(1), 0)
    blocks[1] = entry(root, 4, 1)
    image = bytearray(max(len(front), (_PARTITION + 600) * SECTOR))
    image[: len(front)] = front
    for number, mark in enumerate((b"BEA01", b"NSR02", b"TEA01")):
        at = (16 + number if not front else 19 + number) * SECTOR
        image[at : at + 7] = b"\0" + mark + b"\1"
    put(image, 256, tagged(2, struct.pack("<II", 16 * SECTOR, 257), 256))
    put(
        image,
        257,
        tagged(5, bytes(6) + struct.pack("<H", 0) + bytes(164) + struct.pack("<II", _PARTITION, 10_000), 257),
    )
    maps = struct.pack("<BBHH", 1, 6, 1, 0)
    if metadata:
        maps += struct.pack("<BB2x", 2, 64) + b"\0*UDF Metadata Partition".ljust(32, b"\0")
        maps += struct.pack("<HHI", 1, 0, base - 1).ljust(28, b"\0")
        entry_of_all = struct.pack("<IHHHBBIHH", 0, 4, 0, 1, 0, 250, 0, 0, 0).ljust(40, b"\0")
        entry_of_all = (entry_of_all + struct.pack("<Q", len(blocks) * SECTOR)).ljust(152, b"\0")
        entry_of_all += struct.pack("<IIII", 0, 8, len(blocks) * SECTOR, base)
        put(image, _PARTITION + base - 1, tagged(261, entry_of_all, base - 1))
    volume = bytes(212 - 16) + struct.pack("<I", SECTOR) + bytes(32) + place(0)
    volume += struct.pack("<II", len(maps), 2 if metadata else 1)
    put(image, 258, tagged(6, volume.ljust(440 - 16, b"\0") + maps, 258))
    put(image, 259, tagged(8, b"", 259))
    for number, block in enumerate(blocks):
        put(image, _PARTITION + base + number, block)
    return bytes(image) + b"".join(item.ljust(-(-len(item) // SECTOR) * SECTOR, b"\0") for item in content)


def put(image: bytearray, sector: int, data: bytes) -> None:
    assert len(data) <= SECTOR
    image[sector * SECTOR : sector * SECTOR + len(data)] = data


def tagged(kind: int, body: bytes, location: int) -> bytes:
    """A descriptor with its tag."""
    tag = bytearray(struct.pack("<HHBBHHHI", kind, 2, 0, 0, 0, 0, 0, location))
    tag[4] = sum(tag) & 0xFF
    return bytes(tag) + body
