"""RAR archives, versions 4 (RAR 1.5 to 4) and 5: their headers read by our own rules.

Interface: :func:`read_rar` lists what is in an archive; :func:`write_rar` writes members anew as an archive
that libarchive expands. libarchive alone gives up at the first header that is odd, knows no encryption of
single members in RAR 5, opens no solid RAR 4, and passes over the streams that RAR keeps beside files. So the
headers are ours, and what must be expanded is given to it member by member (those of a solid run together).

Source: RAR 5 archive format (rarlab.com/technote.htm); for RAR 4 the technote that came with it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

Content: TypeAlias = bytes | bytearray

MAGIC4, MAGIC5 = b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"

_MAX_HEADER = 2 << 20
"""Octets of one RAR 5 header, as its format has it."""
_MAX_EXTRAS = 100
_MAX_OTHERS = 10_000
"""Blocks that are no files."""

# RAR 4: block types, and flags of the archive, of all blocks, of files.
_MAIN4, _FILE4, _SERVICE4, _END4 = 0x73, 0x74, 0x7A, 0x7B
_VOLUME4, _SOLID4, _LOCKED4 = 0x0001, 0x0008, 0x0080
_BEFORE4, _AFTER4, _PASSWORD4, _FOLLOWS4, _LARGE4, _UNICODE4 = 0x0001, 0x0002, 0x0004, 0x0010, 0x0100, 0x0200
_WINDOW4, _MORE4 = 0x00E0, 0x8000
_UNSUMMED4 = {_MAIN4: 0x0002, _FILE4: 0x0008} | dict.fromkeys(range(0x75, 0x7A), 0xFFFF)
"""By block type, flags of those that RAR 2 wrote with more in them than their checksum covers."""
_BLOCK4 = struct.Struct("<HBHH")
_ENTRY4 = struct.Struct("<IIBIIBBHI")
# RAR 5: block types, flags of blocks, of the archive, of files; extra records.
_MAIN5, _FILE5, _SERVICE5, _CRYPT5, _END5 = 1, 2, 3, 4, 5
_EXTRA5, _DATA5, _BEFORE5, _AFTER5 = 0x01, 0x02, 0x08, 0x10
_VOLUME5, _SOLID5 = 0x01, 0x04
_FOLDER5, _TIME5, _CRC5 = 0x01, 0x02, 0x04
_EXTRA_CRYPT, _EXTRA_LINK = 1, 5

_NO_CONTENT = frozenset({"RR", "QO"})
"""Service records that hold no content: what repairs an archive, and copies of its headers."""


class RarError(Exception):
    """Not to be read as a RAR archive."""


@dataclass(slots=True)
class RarMember:
    """A file in the archive, or what RAR keeps beside one (comments, streams of NTFS).

    Arguments:
        name: with the folders.
        start: position of the packed data.
        end: position behind it.
        size: octets when expanded, as claimed.
        crc: CRC-32 of the content, None if there is another checksum or none.
        method: 0 if stored.
        packing: what the expander must be told: in RAR 5 the compression information, in RAR 4 version,
            method and flags of the window.
        encrypted: its data is.
        cut: it continues from, or in, another volume.
        follows: it needs what was expanded before (solid).
        folder: a directory, or a link.
        service: kept beside a file.
        lock: the encryption record of RAR 5, or the salt of RAR 4, for who has a password.
    """

    name: str
    start: int
    end: int
    size: int
    crc: int | None
    method: int
    packing: tuple[int, ...]
    encrypted: bool = False
    cut: bool = False
    follows: bool = False
    folder: bool = False
    service: bool = False
    lock: bytes = b""


@dataclass(slots=True)
class RarArchive:
    """What the headers say.

    Arguments:
        version: 4 or 5.
        members: in their order.
        locked: the headers themselves are encrypted, so that nothing more can be seen.
        lock: the encryption header of RAR 5.
        body: where what that locks begins.
        volume: one of several.
        problem: what is wrong, in words; empty for a sane archive.
        truncated: there are more members than were asked for, or very many blocks that are none.
    """

    version: int
    members: list[RarMember] = field(default_factory=list)
    locked: bool = False
    lock: bytes = b""
    body: int = 0
    volume: bool = False
    problem: str = ""
    truncated: bool = False

    def runs(self) -> list[list[RarMember]]:
        """The members that can be expanded, grouped so that each needs only those before it in its group."""
        runs: list[list[RarMember]] = []
        files: list[RarMember] = []
        for member in self.members:
            if member.service:
                runs.append([member])
            elif member.follows and files:
                files.append(member)
            else:
                files = [member]
                runs.append(files)
        return runs


def read_rar(data: Content, start: int, limit: int) -> RarArchive:
    """The archive whose signature stands at ``start``.

    Arguments:
        limit: members that are listed.

    Raises:
        RarError: there is no such signature.
    """
    if data[start : start + len(MAGIC5)] == MAGIC5:
        return _Reader5(data, limit).read(start + len(MAGIC5))
    if data[start : start + len(MAGIC4)] == MAGIC4:
        return _Reader4(data, limit).read(start + len(MAGIC4))
    raise RarError("no RAR archive")


class _Reader4:
    def __init__(self, data: Content, limit: int) -> None:
        self._data = data
        self._limit = limit
        self._archive = RarArchive(4)

    def read(self, at: int) -> RarArchive:
        data, archive = self._data, self._archive
        seen, others = False, 0
        while at < len(data):
            if at + _BLOCK4.size > len(data):
                return self._ended("ends within a header")
            crc, kind, flags, size = _BLOCK4.unpack_from(data, at)
            if size < _BLOCK4.size or not 0x72 <= kind <= 0x7F:
                return self._ended("no header where one should be")
            if at + size > len(data):
                return self._ended("ends within a header")
            if not flags & _UNSUMMED4.get(kind, 0) and zlib.crc32(data[at + 2 : at + size]) & 0xFFFF != crc:
                archive.problem = archive.problem or "a header's checksum is wrong"
            more = int.from_bytes(data[at + 7 : at + 11], "little") if flags & _MORE4 and size >= 11 else 0
            if kind == _MAIN4:
                archive.volume = bool(flags & _VOLUME4)
                seen = True
                others += 1
                if flags & _LOCKED4:
                    archive.locked = True
                    return archive
            elif kind in (_FILE4, _SERVICE4):
                if len(archive.members) >= self._limit:
                    archive.truncated = True
                    return archive
                more = self._member(at, size, kind, flags)
            elif kind == _END4:
                break
            else:
                others += 1
            if others > _MAX_OTHERS:
                archive.truncated = True
                return archive
            at += size + more
        if not seen:
            archive.problem = "no archive header"
        return archive

    def _ended(self, problem: str) -> RarArchive:
        self._archive.problem = problem
        return self._archive

    def _member(self, at: int, size: int, kind: int, flags: int) -> int:
        """Read a file's header; returns how many octets of data follow it."""
        data = self._data
        if size < _BLOCK4.size + _ENTRY4.size:
            self._archive.problem = "a file's header is too short"
            return 0
        fields = _ENTRY4.unpack_from(data, at + _BLOCK4.size)
        packed, unpacked, _os, crc, _time, version, method, name_size, _attributes = fields
        name_at = at + _BLOCK4.size + _ENTRY4.size
        if flags & _LARGE4:
            packed += int.from_bytes(data[name_at : name_at + 4], "little") << 32
            unpacked += int.from_bytes(data[name_at + 4 : name_at + 8], "little") << 32
            name_at += 8
        start = at + size
        self._archive.members.append(
            RarMember(
                _name4(bytes(data[name_at : min(name_at + name_size, start)]), bool(flags & _UNICODE4)),
                start,
                start + packed,
                unpacked,
                crc,
                max(0, method - 0x30),
                (version, method, flags & _WINDOW4),
                encrypted=bool(flags & _PASSWORD4),
                cut=bool(flags & (_BEFORE4 | _AFTER4)),
                follows=bool(flags & _FOLLOWS4) and kind == _FILE4,
                folder=flags & _WINDOW4 == _WINDOW4 and not packed,
                service=kind == _SERVICE4,
                lock=bytes(data[name_at + name_size : name_at + name_size + 8]) if flags & 0x0400 else b"",
            )
        )
        if start + packed > len(data):
            self._archive.problem = "ends within a file"
        return int(packed)


def _name4(raw: bytes, unicode: bool) -> str:
    """A name; it may be there twice, in some old charset and as what differs from that in UTF-16."""
    plain, _, packed = raw.partition(b"\0")
    if unicode and packed:
        name = _unpacked_name(plain, packed)
    else:
        try:
            name = plain.decode("utf-8")
        except UnicodeDecodeError:
            name = plain.decode("cp437")
    return name.replace("\\", "/")


def _unpacked_name(plain: bytes, packed: bytes) -> str:
    """Two bits tell where each character is taken from: Latin-1, the usual page, in full, or copied."""
    out = bytearray()
    units = iter(packed)
    page = next(units, 0)
    flags = left = 0
    try:
        while True:
            if not left:
                flags, left = next(units), 8
            left -= 2
            match flags >> left & 3:
                case 0:
                    out += bytes((next(units), 0))
                case 1:
                    out += bytes((next(units), page))
                case 2:
                    out += bytes((next(units), next(units)))
                case _:
                    count = next(units)
                    shift, high = (next(units), page) if count & 0x80 else (0, 0)
                    at = len(out) // 2
                    for octet in plain[at : at + (count & 0x7F) + 2]:
                        out += bytes((octet + shift & 0xFF, high))
    except StopIteration:
        return out.decode("utf-16-le", "replace")


class _Reader5:
    def __init__(self, data: Content, limit: int) -> None:
        self._data = data
        self._limit = limit
        self._archive = RarArchive(5)

    def read(self, at: int) -> RarArchive:
        archive = self._archive
        seen, others = False, 0
        while at < len(self._data):
            try:
                block = Block5(self._data, at)
            except (IndexError, ValueError):
                archive.problem = "no header where one should be"
                return archive
            if not block.sound:
                archive.problem = archive.problem or "a header's checksum is wrong"
            try:
                if block.kind == _MAIN5:
                    seen = True
                    others += 1
                    archive.volume = bool(block.number() & _VOLUME5)
                elif block.kind == _CRYPT5:
                    archive.locked = True
                    archive.lock = block.rest()
                    archive.body = block.end
                    return archive
                elif block.kind in (_FILE5, _SERVICE5):
                    if len(archive.members) >= self._limit:
                        archive.truncated = True
                        return archive
                    self._member(block)
                elif block.kind == _END5:
                    break
                else:
                    others += 1
            except (IndexError, ValueError):
                archive.problem = "a header ends early"
                others += 1
            if others > _MAX_OTHERS:
                archive.truncated = True
                return archive
            at = block.end + block.data_size
        if not seen:
            archive.problem = archive.problem or "no archive header"
        return archive

    def _member(self, block: Block5) -> None:
        flags = block.number()
        size = block.number()
        block.number()  # attributes
        if flags & _TIME5:
            block.take(4)
        crc = int.from_bytes(block.take(4), "little") if flags & _CRC5 else None
        packing = block.number()
        block.number()  # operating system
        name = block.take(block.number()).decode("utf-8", "replace")
        lock, link = _extras(block.extra())
        end = block.end + block.data_size
        self._archive.members.append(
            RarMember(
                name,
                block.end,
                end,
                size,
                crc,
                packing >> 7 & 7,
                (packing,),
                encrypted=bool(lock),
                cut=bool(block.flags & (_BEFORE5 | _AFTER5)),
                follows=bool(packing & 0x40) and block.kind == _FILE5,
                folder=(bool(flags & _FOLDER5) or link) and not block.data_size,
                service=block.kind == _SERVICE5,
                lock=lock,
            )
        )
        if end > len(self._data):
            self._archive.problem = "ends within a file"


class Block5:
    """The header of one block, taken field by field.

    Raises:
        IndexError: it ends early.
        ValueError: it cannot be one.
    """

    def __init__(self, data: Content, at: int) -> None:
        crc = int.from_bytes(data[at : at + 4], "little")
        size, self._at = read_number(data, at + 4, len(data))
        self.end = self._at + size
        if not 0 < size <= _MAX_HEADER or self.end > len(data):
            raise ValueError("size of a header")
        self._data = data
        self.sound = zlib.crc32(memoryview(data)[at + 4 : self.end]) == crc
        self.kind = self.number()
        self.flags = self.number()
        self._extra_size = self.number() if self.flags & _EXTRA5 else 0
        self.data_size = self.number() if self.flags & _DATA5 else 0

    def number(self) -> int:
        value, self._at = read_number(self._data, self._at, self.end)
        return value

    def take(self, size: int) -> bytes:
        if self._at + size > self.end:
            raise IndexError("field")
        raw = bytes(self._data[self._at : self._at + size])
        self._at += size
        return raw

    def rest(self) -> bytes:
        return self.take(self.end - self._at)

    def extra(self) -> bytes:
        return bytes(self._data[max(self._at, self.end - self._extra_size) : self.end])


def read_number(data: Content, at: int, end: int) -> tuple[int, int]:
    """A number of variable length (seven bits an octet, the lowest first), and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise IndexError("number")
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
    raise ValueError("number")


def _extras(area: bytes) -> tuple[bytes, bool]:
    """Of the extra records: the one on encryption, and whether one says that it is a link."""
    lock, link, at = b"", False, 0
    for _ in range(_MAX_EXTRAS):
        if at >= len(area):
            break
        size, body = read_number(area, at, len(area))
        kind, inner = read_number(area, body, len(area))
        if kind == _EXTRA_CRYPT:
            lock = area[inner : body + size] or b"?"
        link = link or kind == _EXTRA_LINK
        at = body + max(size, 1)
    return lock, link


def write_rar(version: int, members: Iterable[tuple[RarMember, bytes | memoryview]]) -> bytes:
    """An archive of members with their packed data, plain and whole, as ``version`` has it.

    Arguments:
        members: if there are several, each needs those before it (solid).
    """
    listed = list(members)
    solid = len(listed) > 1
    if version == 4:
        out = [MAGIC4, _block4(_MAIN4, _SOLID4 if solid else 0, bytes(6))]
        for number, (member, packed) in enumerate(listed):
            unpack_version, method, window = member.packing
            if window == _WINDOW4:
                window = 0
            flags = _MORE4 | _LARGE4 | window | (_FOLLOWS4 if member.follows and number else 0)
            sizes = (len(packed), member.size & 0xFFFFFFFF)
            entry = _ENTRY4.pack(*sizes, 3, member.crc or 0, 0x21 << 16, unpack_version, method, 1, 0x81A4)
            entry += struct.pack("<II", 0, member.size >> 32 & 0xFFFFFFFF) + b"x"
            out += [_block4(_FILE4, flags, entry), bytes(packed)]
        return b"".join((*out, _block4(_END4, 0x4000, b"")))
    out = [MAGIC5, _block5(_MAIN5, 0, _number(_SOLID5 if solid else 0))]
    for member, packed in listed:
        entry = _number(0 if member.crc is None else _CRC5) + _number(member.size) + _number(0x81A4)
        entry += b"" if member.crc is None else member.crc.to_bytes(4, "little")
        entry += _number(member.packing[0]) + _number(1) + _number(1) + b"x"
        out += [_block5(_FILE5, len(packed), entry), bytes(packed)]
    return b"".join((*out, _block5(_END5, 0, _number(0))))


def _block4(kind: int, flags: int, body: bytes) -> bytes:
    rest = struct.pack("<BHH", kind, flags, _BLOCK4.size + len(body)) + body
    return struct.pack("<H", zlib.crc32(rest) & 0xFFFF) + rest


def _block5(kind: int, data_size: int, body: bytes) -> bytes:
    flags = _number(_DATA5) + _number(data_size) if kind == _FILE5 else _number(0)
    rest = _number(kind) + flags + body
    rest = _number(len(rest)) + rest
    return zlib.crc32(rest).to_bytes(4, "little") + rest


def _number(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def holds_content(member: RarMember) -> bool:
    """Whether there is anything in it that some program would take out."""
    return not member.folder and not (member.service and member.name in _NO_CONTENT)
