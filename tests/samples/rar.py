"""RAR archives, versions 4 and 5, header by header: stored, or compressed without making anything smaller."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Literal

MARK4, MARK5 = b"Rar!\x1a\x07\0", b"Rar!\x1a\x07\1\0"


@dataclass(frozen=True)
class File:
    """A member.

    Arguments:
        packed: compressed, and not stored.
        solid: continues the compression of the one before.
        service: kept beside a file: a comment, a stream.
        part: continues ``before`` from another volume, or ``after`` in one.
    """

    name: str
    content: bytes
    packed: bool = False
    solid: bool = False
    encrypted: bool = False
    service: bool = False
    part: Literal["", "before", "after"] = ""
    crc: int | None = None

    @property
    def checksum(self) -> int:
        return zlib.crc32(self.content) if self.crc is None else self.crc


def rar5(*files: File, volume: bool = False, header_lock: bool = False, end: bool = True) -> bytes:
    """An archive of version 5."""
    solid = any(item.solid for item in files)
    out = MARK5
    if header_lock:
        out += block5(4, 0, number(0) + number(0) + bytes([15]) + bytes(16))
        return out + bytes(range(256))
    out += block5(1, 0, number((1 if volume else 0) | (4 if solid else 0)))
    for item in files:
        data = squeezed5(item.content) if item.packed else item.content
        info = (3 << 7 if item.packed else 0) | (0x40 if item.solid else 0)
        name = item.name.encode()
        fields = number(4) + number(len(item.content)) + number(0x81A4)
        fields += struct.pack("<I", item.checksum) + number(info) + number(1) + number(len(name)) + name
        extra = b""
        if item.encrypted:
            record = number(1) + number(0) + number(0) + bytes([15]) + bytes(32)
            extra = number(len(record)) + record
        flags = {"": 0, "before": 8, "after": 16}[item.part]
        out += block5(3 if item.service else 2, flags, fields, extra, data)
    return out + (block5(5, 0, number(1 if volume else 0)) if end else b"")


def block5(kind: int, flags: int, fields: bytes, extra: bytes = b"", data: bytes | None = None) -> bytes:
    """One block with its checksum, and its data."""
    flags |= (1 if extra else 0) | (2 if data is not None else 0)
    head = number(kind) + number(flags)
    head += number(len(extra)) if extra else b""
    head += number(len(data)) if data is not None else b""
    head += fields + extra
    head = number(len(head)) + head
    return struct.pack("<I", zlib.crc32(head)) + head + (data or b"")


def number(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def rar4(
    *files: File, volume: bool = False, header_lock: bool = False, version: int = 29, end: bool = True
) -> bytes:
    """An archive of version 4."""
    flags = (1 if volume else 0) | (8 if any(item.solid for item in files) else 0)
    out = MARK4 + block4(0x73, flags | (0x80 if header_lock else 0), bytes(6))
    if header_lock:
        return out + bytes(range(256))
    for item in files:
        data = squeezed4(item.content) if item.packed else item.content
        flags = {"": 0, "before": 1, "after": 2}[item.part] | 0x8000
        flags |= (4 if item.encrypted else 0) | (16 if item.solid else 0) | (0x400 if item.encrypted else 0)
        name = item.name.encode()
        method = 0x33 if item.packed else 0x30
        entry = struct.pack("<IIBIIBBHI", len(data), len(item.content), 3, item.checksum, 0x21 << 16,
                            version, method, len(name), 0x81A4)  # fmt: skip
        entry += name + (bytes(8) if item.encrypted else b"")
        out += block4(0x7A if item.service else 0x74, flags, entry) + data
    return out + (block4(0x7B, 0x4000, b"") if end else b"")


def block4(kind: int, flags: int, body: bytes) -> bytes:
    head = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
    return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head


def _zeros(rest: int) -> str:
    """That so many symbols have no code, in runs of 11 to 138; "11" is the code for such a run."""
    out = ""
    while rest > 0:
        run = 138 if rest >= 149 else rest if rest <= 138 else rest - 11
        out += "11" + f"{run - 11:07b}"
        rest -= run
    return out


def _bits(literals: bytes, symbols: int) -> str:
    """Tables, the octets as literals, and the end mark (256).

    Each octet is its own code of eight bits; but 255 shares its code with the end mark, so both have nine.
    """
    # How long the codes for lengths are: for 8 one bit, for 9 and for a run of zeros two.
    out = "".join(f"{ {8: 1, 9: 2, 19: 2}.get(symbol, 0):04b}" for symbol in range(20))
    out += "0" * 255 + "10" * 2 + _zeros(symbols - 257)
    code = [f"{octet:08b}" for octet in range(255)] + ["111111110"]
    return out + "".join(code[octet] for octet in literals)


def squeezed5(content: bytes) -> bytes:
    """``content`` as version 5 compresses it, in one block of literals."""
    bits = _bits(content, 306 + 64 + 16 + 44)
    last = len(bits) % 8 or 8
    body = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    flags = 0xC0 | (2 << 3) | (last - 1)
    size = struct.pack("<I", len(body))[:3]
    return bytes([flags, 0x5A ^ flags ^ size[0] ^ size[1] ^ size[2]]) + size + body


def squeezed4(content: bytes) -> bytes:
    """The same for RAR 3 and 4."""
    bits = "00" + _bits(content, 299 + 60 + 17 + 28) + "111111111" + "00"
    size = -(-len(bits) // 8)
    return int(bits.ljust(size * 8, "0"), 2).to_bytes(size, "big") + bytes(8)
