"""The records of a ZIP archive (PKWARE APPNOTE 6.3), each as it stands there, believed by nobody yet."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from contentfilter.containers.zipmember import AES, Content, Member
from contentfilter.content.limits import KIB
from contentfilter.content.needles import Needles

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
DESCRIPTOR = b"PK\x07\x08"
"""Of a data descriptor; at the start of a file also the mark of an archive in several parts."""
_END64_LOCATOR, _END64 = b"PK\x06\x07", b"PK\x06\x06"
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_ENDS = Needles(END)
LOCAL_SIZE, CENTRAL_SIZE, END_SIZE = _LOCAL.size, _CENTRAL.size, _END.size

_NO_SIZE, _NO_COUNT = 0xFFFFFFFF, 0xFFFF
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
"""General purpose bits 0 (encrypted), 6 (strong encryption), 13 (masked headers)."""
_HAS_DESCRIPTOR = 0x0008
_ZIP64_FIELD, _AES_FIELD, _UNICODE_FIELD = 0x0001, 0x9901, 0x7075
_PLAIN_END64 = 44
"""Octets that a ZIP64 end record says it has, if the directory is not encrypted."""
_KNOWN_METHODS = frozenset({0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 14, 18, 19, 20, 93, 94, 95, 96, 97, 98, 99})
_MAX_NAME = 1024
MAX_ENDS = 16
"""End records that are looked at."""


@dataclass(slots=True)
class LocalHeader(Member):
    """What stands in front of a member's data.

    Arguments:
        described: the sizes may follow the data.
    """

    described: bool = False


@dataclass(frozen=True, slots=True)
class Directory:
    """Where a central directory begins, by one way of reading an end record.

    Arguments:
        start: its position.
        shift: octets that all positions in it are short by, since something stands in front of the archive.
        count: entries that it should have; -1 if nobody says.
    """

    start: int
    shift: int
    count: int


@dataclass(frozen=True, slots=True)
class EndRecord:
    """An end record, with its ZIP64 sibling.

    Arguments:
        at: its position.
        directories: each place where some program looks for the directory, and finds one.
        empty: it tells of no members.
        split: the archive has several parts.
        locked: the directory is encrypted.
        conflict: what disagrees within it, in words.
    """

    at: int
    directories: tuple[Directory, ...]
    empty: bool
    split: bool
    locked: bool
    conflict: str


def find_ends(data: Content, limit: int = MAX_ENDS) -> Iterator[int]:
    """Positions of end records, the last first, at most ``limit``."""
    for at in islice(_ENDS.places_from_end(data), limit):
        if at + END_SIZE <= len(data):
            yield at


def read_end(data: Content, at: int) -> EndRecord:
    """The end record at ``at``, in every way that it may be understood."""
    _sig, disk, first_disk, _here, count, size, offset, _comment = _END.unpack_from(data, at)
    claims, conflict = [], ""
    locked = split = False
    if (wide := _find_end64(data, at)) >= 0:
        (length,) = struct.unpack_from("<Q", data, wide + 4)
        wide_disk, wide_first, _here, wide_count, wide_size, wide_offset = struct.unpack_from(
            "<IIQQQQ", data, wide + 16
        )
        locked = length > _PLAIN_END64 and data[wide_offset : wide_offset + 4] != CENTRAL
        split = bool(wide_disk or wide_first)
        claims.append((wide, wide_count, wide_size, wide_offset))
        claimed = (
            (count, wide_count, _NO_COUNT),
            (size, wide_size, _NO_SIZE),
            (offset, wide_offset, _NO_SIZE),
        )
        if any(narrow not in (full, blank) for narrow, full, blank in claimed):
            conflict = "two end records that disagree"
            claims.append((at, count, size, offset))
    else:
        split = disk not in (0, _NO_COUNT) or first_disk not in (0, _NO_COUNT)
        claims.append((at, count, size, offset))
    found: dict[int, Directory] = {}
    for top, entries, length, start in claims:
        # The directory ends where the end record begins; or it is where that says, counted from the start.
        for begin in (top - length, start):
            if begin >= 0 and data[begin : begin + 4] == CENTRAL:
                found.setdefault(begin, Directory(begin, begin - start, entries))
    if not conflict and len(found) > 1:
        conflict = "two places for the central directory"
    elif not conflict and found and claims[0][0] - claims[0][2] not in found:
        conflict = "the central directory has not the size it claims"
    return EndRecord(at, tuple(found.values()), not count and not size, split, locked, conflict)


def _find_end64(data: Content, end: int) -> int:
    """Position of the ZIP64 end record that the locator in front of ``end`` means; -1 if there is none."""
    if data[max(0, end - 20) : max(0, end - 16)] != _END64_LOCATOR:
        return -1
    (where,) = struct.unpack_from("<Q", data, end - 12)
    near = data.rfind(_END64, max(0, end - 20 - 56 - 64 * KIB), end)
    for record in (where, near):
        if record >= 0 and data[record : record + 4] == _END64 and record + 56 <= len(data):
            return int(record)
    return -1


def read_central(data: Content, at: int, shift: int) -> tuple[Member, int]:
    """The directory's entry at ``at``, and where the next one is."""
    fields: tuple[int, ...] = _CENTRAL.unpack_from(data, at)[1:]
    _by, _needed, flags, method, time, _date, crc, packed, size = fields[:9]
    name_size, extra_size, comment_size, disk, _internal, _external, header = fields[9:]
    at += CENTRAL_SIZE
    name = bytes(data[at : at + name_size])
    extra = data[at + name_size : at + name_size + extra_size]
    if _NO_SIZE in (packed, size, header):
        size, packed, header = _zip64(extra, size, packed, header)
    member = Member(name, bool(flags & _ENCRYPTED) or method == AES, [method], packed, size, header + shift)
    member.flags, member.crc, member.time = flags, crc, time
    member.elsewhere = disk not in (0, _NO_COUNT)
    if extra_size:
        _read_extras(member, extra)
    return member, at + name_size + extra_size + comment_size


def read_local(data: Content, at: int) -> LocalHeader | None:
    """The local header at ``at``; None if there is none."""
    if not 0 <= at <= len(data) - LOCAL_SIZE or data[at : at + 4] != LOCAL:
        return None
    _sig, _needed, flags, method, time, _date, crc, packed, size, name_size, extra_size = _LOCAL.unpack_from(
        data, at
    )
    start = at + LOCAL_SIZE + name_size + extra_size
    name = bytes(data[at + LOCAL_SIZE : at + LOCAL_SIZE + name_size])
    extra = data[start - extra_size : start]
    if _NO_SIZE in (packed, size):
        size, packed, _header = _zip64(extra, size, packed, 0)
    header = LocalHeader(
        name, bool(flags & _ENCRYPTED) or method == AES, [method], packed, size, at, start, start + packed
    )
    header.flags, header.crc, header.time = flags, crc, time
    header.described = bool(flags & _HAS_DESCRIPTOR)
    if extra_size:
        _read_extras(header, extra)
    return header


def is_plausible(data: Content, header: LocalHeader | None) -> bool:
    """Whether what follows the signature could be a local header: four octets alone are met by chance.

    Any name may be; for controls in it, 7-Zip writes other characters.
    """
    return (
        header is not None
        and header.methods[0] in _KNOWN_METHODS
        and 0 < len(header.name) <= _MAX_NAME
        and header.start <= len(data)
        and any(header.name)
    )


def _read_extras(member: Member, extra: Content) -> None:
    if member.encrypted:
        member.aes = _extra_field(extra, _AES_FIELD)
    field = _extra_field(extra, _UNICODE_FIELD)
    # It counts only while the plain name is the one that it was made for.
    if len(field) > 5 and int.from_bytes(field[1:5], "little") == zlib.crc32(member.name):
        member.unicode_name = field[5:]


def _extra_field(extra: Content, wanted: int) -> bytes:
    """The first extra data field of that id (APPNOTE 4.5), without its header; empty if there is none."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == wanted:
            return bytes(extra[at + 4 : at + 4 + length])
        at += 4 + length
    return b""


def _zip64(extra: Content, size: int, packed: int, header: int) -> tuple[int, int, int]:
    """APPNOTE 4.5.3: the wide values, of those fields only that are all ones."""
    field = _extra_field(extra, _ZIP64_FIELD)
    wide = iter([int.from_bytes(field[k : k + 8], "little") for k in range(0, len(field) - 7, 8)])
    size = next(wide, size) if size == _NO_SIZE else size
    packed = next(wide, packed) if packed == _NO_SIZE else packed
    header = next(wide, header) if header == _NO_SIZE else header
    return size, packed, header
