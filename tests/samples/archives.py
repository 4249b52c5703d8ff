"""Writes ZIP archives header by header, so that a test can make them lie."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

STORED, DEFLATED = 0, 8


def deflated(data: bytes) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(data) + stream.flush()


@dataclass(frozen=True)
class Entry:
    """What one header says; the local one and the directory's may differ."""

    name: bytes
    method: int = DEFLATED
    flags: int = 0
    packed: int = 0
    size: int = 0
    crc: int = 0

    def local(self) -> bytes:
        fields = (20, self.flags, self.method, 0, 0x21, self.crc, self.packed, self.size, len(self.name), 0)
        return struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", *fields) + self.name

    def central(self, offset: int) -> bytes:
        fields = (20, 20, self.flags, self.method, 0, 0x21, self.crc, self.packed, self.size, len(self.name))
        return struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", *fields, 0, 0, 0, 0, 0, offset) + self.name


@dataclass(frozen=True)
class Item:
    """A member: both headers and the packed data. None leaves a header out."""

    local: Entry | None
    central: Entry | None
    data: bytes


def item(name: bytes, content: bytes, method: int = DEFLATED, **changed: int) -> Item:
    """An honest member, but for what is ``changed`` in both headers."""
    data = deflated(content) if method == DEFLATED else content
    entry = Entry(name, method, 0, len(data), len(content), zlib.crc32(content))
    entry = replace(entry, **changed)
    return Item(entry, entry, data)


def archive(
    items: Iterable[Item], comment: bytes = b"", prefix: bytes = b"", *, absolute: bool = False
) -> bytes:
    """The archive of those members; with ``absolute``, positions count the prefix."""
    body, directory, count = prefix, b"", 0
    shift = 0 if absolute else len(prefix)
    for member in items:
        offset = len(body) - shift
        if member.local is not None:
            body += member.local.local() + member.data
        if member.central is not None:
            directory += member.central.central(offset)
            count += 1
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, len(directory),
                      len(body) - shift, len(comment))  # fmt: skip
    return body + directory + end + comment


def plain_zip(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive as honest programs make it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive_file:
        for name, content in members.items():
            archive_file.writestr(name, content)
    return out.getvalue()


def stored_zip(members: dict[str, bytes]) -> bytes:
    """An archive whose members are not compressed."""
    return plain_zip(members, zipfile.ZIP_STORED)


def with_end64(data: bytes, offset: int, size: int, count: int, extra: bytes = b"") -> bytes:
    """The archive with a ZIP64 end record and its locator in front of the end record."""
    at = data.rindex(b"PK\x05\x06")
    record = struct.pack(
        "<4sQHHIIQQQQ", b"PK\x06\x06", 44 + len(extra), 45, 45, 0, 0, count, count, size, offset
    )
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1)
    return data[:at] + record + extra + locator + data[at:]
