"""Writes OLE compound files (MS-CFB) and VBA projects (MS-OVBA), small and plain."""

from __future__ import annotations

import struct
from typing import TypeAlias

Tree: TypeAlias = dict[str, "bytes | Tree"]

_FREE, _END, _FAT, _NONE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF
_SECTOR, _MINI, _CUTOFF = 512, 64, 4096


def compound_file(tree: Tree) -> bytes:
    """A compound file with the streams (bytes) and storages (dicts) of ``tree``."""
    names, kinds, parents, contents = ["Root Entry"], [5], [-1], [b""]

    def add(parent: int, branch: Tree) -> None:
        for name, value in branch.items():
            number = len(names)
            names.append(name)
            parents.append(parent)
            kinds.append(1 if isinstance(value, dict) else 2)
            contents.append(b"" if isinstance(value, dict) else value)
            if isinstance(value, dict):
                add(number, value)

    add(0, tree)
    sectors: list[bytes] = []
    fat: list[int] = []

    def store(data: bytes) -> int:
        if not data:
            return _END
        first, count = len(sectors), -(-len(data) // _SECTOR)
        for part in range(count):
            sectors.append(data[part * _SECTOR : (part + 1) * _SECTOR].ljust(_SECTOR, b"\0"))
            fat.append(first + part + 1 if part < count - 1 else _END)
        return first

    mini, minifat, starts = b"", [], [0] * len(names)
    for number, data in enumerate(contents):
        if kinds[number] == 2 and data and len(data) < _CUTOFF:
            first, count = len(minifat), -(-len(data) // _MINI)
            minifat += [first + part + 1 for part in range(count - 1)] + [_END]
            mini += data.ljust(count * _MINI, b"\0")
            starts[number] = first
        elif kinds[number] == 2:
            starts[number] = store(data)
    starts[0] = store(mini)
    minifat_start = store(
        struct.pack(f"<{len(minifat)}I", *minifat).ljust(-(-len(minifat) // 128) * 512, b"\xff")
    )
    children: dict[int, list[int]] = {}
    for number, parent in enumerate(parents):
        children.setdefault(parent, []).append(number)
    links = dict.fromkeys(range(len(names)), (_NONE, _NONE))

    def balance(numbers: list[int]) -> int:
        if not numbers:
            return _NONE
        middle = len(numbers) // 2
        links[numbers[middle]] = (balance(numbers[:middle]), balance(numbers[middle + 1 :]))
        return numbers[middle]

    directory = b""
    for number, name in enumerate(names):
        below = sorted(children.get(number, ()), key=lambda n: (len(names[n]), names[n].upper()))
        first_child = balance(below)
        contents[number] = contents[number] if number else mini
        directory += _entry(name, kinds[number], first_child, starts[number], len(contents[number]))
    entries = [bytearray(directory[at : at + 128]) for at in range(0, len(directory), 128)]
    for number, (left, right) in links.items():
        struct.pack_into("<II", entries[number], 68, left, right)
    directory = b"".join(entries)
    directory_start = store(directory + b"\0" * (-len(directory) % _SECTOR))
    fat_count = 1
    while fat_count * 128 < len(sectors) + fat_count:
        fat_count += 1
    fat_start = len(sectors)
    fat += [_FAT] * fat_count
    fat += [_FREE] * (fat_count * 128 - len(fat))
    table = struct.pack(f"<{len(fat)}I", *fat)
    sectors += [table[at : at + _SECTOR] for at in range(0, len(table), _SECTOR)]
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16)
    header += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIIII", 0, fat_count, directory_start, 0, _CUTOFF, minifat_start,
                          -(-len(minifat) // 128), _END, 0, fat_start)  # fmt: skip
    header += struct.pack(f"<{fat_count - 1}I", *range(fat_start + 1, fat_start + fat_count))
    return header.ljust(_SECTOR, b"\xff") + b"".join(sectors)


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    raw = name.encode("utf-16-le")
    return raw.ljust(64, b"\0") + struct.pack(
        "<HBBIII16sIQQIQ", len(raw) + 2, kind, 1, _NONE, _NONE, child, bytes(16), 0, 0, 0, start, size
    )


def vba_compress(source: bytes) -> bytes:
    """A compressed container (MS-OVBA 2.4.1), without copy tokens but for runs of one octet."""
    out = b"\x01"
    for at in range(0, len(source), 4096):
        chunk, body, place = source[at : at + 4096], b"", 0
        while place < len(chunk):
            flags, tokens = 0, b""
            for bit in range(8):
                if place >= len(chunk):
                    break
                run = 0
                while place and run < 18 and chunk[place + run : place + run + 1] == chunk[place - 1 : place]:
                    run += 1
                if run >= 3:
                    tokens += struct.pack("<H", run - 3)
                    flags |= 1 << bit
                    place += run
                else:
                    tokens += chunk[place : place + 1]
                    place += 1
            body += bytes((flags,)) + tokens
        if len(body) >= 4096:
            out += struct.pack("<H", 0x3FFF) + chunk.ljust(4096, b"\0")
        else:
            out += struct.pack("<H", 0xB000 | (len(body) - 1)) + body
    return out


def vba_storage(modules: dict[str, str], cache: bytes = b"\x01\x16\x03\x00") -> Tree:
    """A ``VBA`` storage with those modules; ``cache`` stands before each module's source."""
    directory = struct.pack("<HIIHI", 0x0001, 4, 1, 0x0002, 4) + struct.pack("<I", 0x409)
    directory += struct.pack("<HI", 0x0009, 4) + bytes(6)
    storage: Tree = {"_VBA_PROJECT": b"\xcc\x61\xff\xff\x00\x00\x00"}
    for name in modules:
        raw, wide = name.encode("cp1252"), name.encode("utf-16-le")
        directory += struct.pack("<HI", 0x0019, len(raw)) + raw
        directory += struct.pack("<HI", 0x001A, len(raw)) + raw + struct.pack("<HI", 0x0032, len(wide)) + wide
        directory += struct.pack("<HII", 0x0031, 4, len(cache)) + struct.pack("<HI", 0x002B, 0)
    storage["dir"] = vba_compress(directory + struct.pack("<HI", 0x0010, 0))
    for name, code in modules.items():
        header = f'Attribute VB_Name = "{name}"\r\n'
        storage[name] = cache + vba_compress((header + code).encode("cp1252"))
    return storage
