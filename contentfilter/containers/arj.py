"""ARJ archives (technical notes that come with ARJ 2.86): headers by our own rules, data by libarchive.

ARJ's usual compression is that of LHA's method lh7, so a member is handed to libarchive as an LHA archive.
Its "fastest" method (4) is ARJ's own and is not read.

Interface: :func:`read_arj` lists the members; :func:`unpack` gives the content of one.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from contentfilter.containers.libarchive import ArchiveError, Extract, Reader

Content: TypeAlias = bytes | bytearray

MAGIC = b"\x60\xea"
_MAX_HEADER, _LEAST_HEADER = 2600, 30
_ARCHIVE_HEADER, _FOLDER = 2, 3
_GARBLED, _VOLUME, _CONTINUES = 0x01, 0x04, 0x08
_LIKE_LHA = frozenset({1, 2, 3})
_MAX_EXTENSIONS = 100


@dataclass(frozen=True, slots=True)
class ArjMember:
    """A file: ``size`` octets of content, packed by ``method`` (0: stored) between ``start`` and ``end``."""

    name: str
    method: int
    start: int
    end: int
    size: int
    crc: int
    encrypted: bool
    cut: bool


@dataclass(slots=True)
class ArjArchive:
    """What the headers say; ``problem`` is what is wrong, in words; ``truncated``: there are more members."""

    members: list[ArjMember] = field(default_factory=list)
    problem: str = ""
    truncated: bool = False


def is_arj(data: Content) -> bool:
    """Whether an archive begins here: two octets are met by chance, a header is not."""
    size = int.from_bytes(data[2:4], "little")
    return (
        data[:2] == MAGIC
        and _LEAST_HEADER <= size <= _MAX_HEADER
        and data[10:11] == bytes((_ARCHIVE_HEADER,))
        and data[4] <= size
    )


def read_arj(data: Content, limit: int) -> ArjArchive:
    """The archive at the start of ``data``.

    Arguments:
        limit: members that are listed.
    """
    archive, at, first = ArjArchive(), 0, True
    while data[at : at + 2] == MAGIC and at + 4 <= len(data):
        size = int.from_bytes(data[at + 2 : at + 4], "little")
        if not size:
            return archive
        header, at = bytes(data[at + 4 : at + 4 + size]), at + 4 + size
        if not _LEAST_HEADER <= size <= _MAX_HEADER or len(header) < size:
            break
        if zlib.crc32(header) != int.from_bytes(data[at : at + 4], "little"):
            archive.problem = archive.problem or "a header's checksum is wrong"
        at = _after_extensions(data, at + 4)
        if first:
            first = False
            continue
        if len(archive.members) >= limit:
            archive.truncated = True
            return archive
        member = _member(header, at)
        if member is not None:
            archive.members.append(member)
            at = member.end
    archive.problem = archive.problem or "ends early"
    return archive


def _after_extensions(data: Content, at: int) -> int:
    for _ in range(_MAX_EXTENSIONS):
        size = int.from_bytes(data[at : at + 2], "little")
        at += 2
        if not size:
            break
        at += size + 4
    return at


def _member(header: bytes, at: int) -> ArjMember | None:
    flags, method, kind = header[4], header[5], header[6]
    packed, size, crc = struct.unpack_from("<III", header, 12)
    raw = header[header[0] :].split(b"\0", 1)[0]
    if kind == _FOLDER and not packed:
        return None
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        name = raw.decode("cp437")
    cut = bool(flags & (_VOLUME | _CONTINUES))
    return ArjMember(name, method, at, at + packed, size, crc, bool(flags & _GARBLED), cut)


def unpack(data: Content, member: ArjMember, limit: int, late: Callable[[], bool]) -> Extract:
    """The content of a member that is not encrypted.

    Arguments:
        limit: octets that may come out.
        late: whether to stop.
    """
    packed = bytes(data[member.start : member.end])
    if member.method == 0:
        short = len(packed) < member.end - member.start
        problem = "too-large" if len(packed) > limit else "malformed" if short else ""
        return Extract(bytearray(packed[:limit]), problem, "stored")
    if member.method not in _LIKE_LHA:
        return Extract(bytearray(), "unsupported", f"method {member.method}")
    body = b"-lh7-" + struct.pack("<IIIBB", len(packed), member.size, 0x210000, 0x20, 0) + b"\1x\0\0"
    lone = bytes((len(body), sum(body) & 0xFF)) + body + packed + b"\0"
    try:
        with Reader(lone, ("lha",)) as reader:
            for _entry in reader.entries():
                result = reader.extract(limit, late)
                # LHA has another checksum, which is wrong here; ARJ's own decides.
                if zlib.crc32(result.data) == member.crc:
                    return Extract(result.data)
                return Extract(result.data, result.problem or "malformed", "its checksum is wrong")
    except ArchiveError as error:
        return Extract(bytearray(), error.reason, error.detail)
    return Extract(bytearray(), "malformed", "no data")
