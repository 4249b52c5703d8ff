"""7z archives header by header, so that a test can lock them, or make them lie."""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

COPY = (b"\0", b"")
LZMA2 = (b"\x21", bytes([24]))
AES = (b"\x06\xf1\x07\x01", bytes([0x53, 0x0F]) + bytes(16))


def huge(size: int) -> tuple[bytes, bytes]:
    """LZMA with a dictionary of that many octets."""
    return b"\x03\x01\x01", b"\x5d" + struct.pack("<I", size)


@dataclass(frozen=True)
class File:
    """A member in a folder of its own: its name, what is stored of it, and the coders, innermost last.

    Arguments:
        between: octets that go from one coder to the next; as many as are stored if 0.
    """

    name: str
    packed: bytes
    size: int
    coders: Sequence[tuple[bytes, bytes]] = (COPY,)
    between: int = 0


def stored(name: str, content: bytes) -> File:
    return File(name, content, len(content))


def compressed(name: str, content: bytes) -> File:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 16 << 20}]
    return File(name, lzma.compress(content, lzma.FORMAT_RAW, filters=filters), len(content), (LZMA2,))


def locked(name: str, size: int = 100) -> File:
    """As a password protects it; the octets are any."""
    return File(name, bytes(range(16)) * 8, size, (AES, LZMA2))


def seven_zip(*files: File, packed_header: Sequence[tuple[bytes, bytes]] = (), start: bytes = b"") -> bytes:
    """An archive.

    Arguments:
        packed_header: coders of a header that is compressed (or encrypted).
        start: instead of the start header.
    """
    body = b"".join(item.packed for item in files)
    header = b"\x01\x04" + _streams(files, 0) + _names(files) + b"\0"
    if packed_header:
        packed = header
        if packed_header[-1] == LZMA2:
            packed = compressed("", header).packed
        whole = File("", packed, len(header), packed_header)
        header = b"\x17" + _streams([whole], len(body))
        body += packed
    fields = struct.pack("<QQI", len(body), len(header), zlib.crc32(header))
    head = struct.pack("<I", zlib.crc32(fields)) + fields
    return b"7z\xbc\xaf\x27\x1c\0\4" + (start or head) + body + header


def number(value: int) -> bytes:
    if value < 0x80:
        return bytes([value])
    if value < 0x4000:
        return bytes([0x80 | value >> 8, value & 0xFF])
    return b"\xff" + struct.pack("<Q", value)


def _streams(files: Sequence[File], at: int) -> bytes:
    out = b"\x06" + number(at) + number(len(files)) + b"\x09"
    out += b"".join(number(len(item.packed)) for item in files) + b"\0"
    out += b"\x07\x0b" + number(len(files)) + b"\0"
    for item in files:
        out += number(len(item.coders))
        for method, properties in item.coders:
            out += bytes([len(method) | (0x20 if properties else 0)]) + method
            out += number(len(properties)) + properties if properties else b""
        # Each coder but the first takes what the one before it gives.
        out += b"".join(number(n + 1) + number(n) for n in range(len(item.coders) - 1))
    out += b"\x0c"
    for item in files:
        out += b"".join(
            number(item.size if n == len(item.coders) - 1 else item.between or len(item.packed))
            for n in range(len(item.coders))
        )
    return out + b"\0\x08\0\0"


def _names(files: Sequence[File]) -> bytes:
    names = b"\0" + b"".join(item.name.encode("utf-16-le") + b"\0\0" for item in files)
    return b"\x05" + number(len(files)) + b"\x11" + number(len(names)) + names + b"\0"
