"""ZIP archives (PKWARE APPNOTE 6.3), read from the local headers as well as from the central directory.

Programs differ in which of the two they believe. An archive that shows one member to a scanner and another
to the victim's program does it there, so both are read, what disagrees is told, and every member that
either of them names is handed out.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from contentfilter.containers.zipmember import AES, DEFLATED, STORED, Content, Expanded, Member, expand
from contentfilter.limits import KIB

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_END64_LOCATOR, _END64, _DESCRIPTOR = b"PK\x06\x07", b"PK\x06\x06", b"PK\x07\x08"
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_TAIL = 22 + 65535
_MAX_ENDS = 8
_MAX_TRIED = 100_000
"""Signatures of local headers that are looked at outside the directory."""
_NO_SIZE = 0xFFFFFFFF
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
"""General purpose bits 0 (encrypted), 6 (strong encryption), 13 (masked headers)."""
_HAS_DESCRIPTOR = 0x0008
_AES_FIELD = 0x9901
_KNOWN_METHODS = frozenset({0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 14, 18, 19, 93, 94, 95, 96, 97, 98, 99})
_STEP = 64 * KIB
_STARTS = (LOCAL, END, b"PK00" + LOCAL, _DESCRIPTOR + LOCAL)
_FOREIGN = (
    *(b"\xd0\xcf\x11\xe0", b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"{\\rt"),
    *(b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"MSCF\0\0\0\0", b"!<arch>\n", b"0707", b"xar!"),
    *(b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"LZIP"),
)
_TAR, _ISO = (257, b"ustar"), (0x8001, b"CD001")


@dataclass(slots=True)
class ZipArchive:
    """The members of one archive, each at most once, and what is wrong with it.

    Arguments:
        data: the archive.
        members: in the order of their position.
        problems: disagreements and damage, in words; empty for a sane archive.
        truncated: there are more members than were asked for.
    """

    data: Content
    members: list[Member] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    truncated: bool = False

    @classmethod
    def find(cls, data: Content, limit: int) -> ZipArchive | None:
        """The archive in ``data``: at its start, or anywhere (self-extracting, appended to something else).

        Arguments:
            limit: members that are looked at.

        Returns:
            None if there is no archive.
        """
        at_start = data.startswith(_STARTS)
        foreign = data.startswith(_FOREIGN) or any(data[at : at + 5] == mark for at, mark in (_TAR, _ISO))
        ends = _end_records(data)
        if foreign:
            # Other formats hold whole or half ZIP files as pieces; here only one that can be opened counts.
            ends = [end for end in ends if _opens(data, end)]
            if not ends:
                return None
        elif not at_start and not ends and not _plausible_local(data, data.find(LOCAL)):
            return None
        archive = cls(data)
        claimed = archive._read_directories(ends, limit)
        archive._read_locals(claimed, limit, 0 if at_start or not claimed else min(claimed))
        if not archive.members and not at_start and not claimed:
            return None
        archive.members.sort(key=lambda member: member.header)
        if foreign:
            archive.problems.clear()
        return archive

    def _note(self, problem: str) -> None:
        if problem not in self.problems and len(self.problems) < 20:
            self.problems.append(problem)

    # Central directory.

    def _read_directories(self, ends: list[int], limit: int) -> dict[int, Member]:
        """Members by the position of their local header, from every end record that counts."""
        found: dict[int, Member] = {}
        for rank, end in enumerate(ends):
            if rank and any(member.header <= end < member.end for member in found.values()):
                continue  # the end record of an archive that lies in this one, stored
            before = len(found)
            if not self._read_directory(end, found, limit) and not rank:
                self._note("no central directory where the end record says")
            if rank and len(found) > before:
                self._note("several end records")
        if not ends:
            self._note("no end record")
        return found

    def _read_directory(self, end: int, found: dict[int, Member], limit: int) -> bool:
        data = self.data
        _sig, _disk, _start_disk, _here, count, size, offset, _comment = _END.unpack_from(data, end)
        top = end
        if data[max(0, end - 20) : max(0, end - 16)] == _END64_LOCATOR:
            (where,) = struct.unpack_from("<Q", data, end - 12)
            near = data.rfind(_END64, max(0, end - 20 - 56 - _STEP), end)
            for record in (where, near):
                if record >= 0 and data[record : record + 4] == _END64 and record + 56 <= len(data):
                    count, size, offset = struct.unpack_from("<QQQ", data, record + 32)
                    top = record
                    break
        # Data may stand in front of the archive; then all offsets are short by the same amount.
        start = top - size
        if start < 0 or data[start : start + 4] != CENTRAL:
            start = offset
            if data[start : start + 4] != CENTRAL:
                return not count and not size
            self._note("the central directory has not the size it claims")
        shift = start - offset
        at, seen = start, 0
        while data[at : at + 4] == CENTRAL and at + _CENTRAL.size <= len(data):
            if len(found) >= limit:
                self.truncated = True
                return True
            at = self._read_central(at, shift, found)
            seen += 1
        if seen & 0xFFFF != count & 0xFFFF:
            self._note("the central directory has not the members it claims")
        return True

    def _read_central(self, at: int, shift: int, found: dict[int, Member]) -> int:
        fields: tuple[int, ...] = _CENTRAL.unpack_from(self.data, at)[1:]
        _by, _needed, flags, method, time, _date, crc, packed, size = fields[:9]
        name_size, extra_size, comment_size, _disk, _internal, _external, header = fields[9:]
        at += _CENTRAL.size
        name = bytes(self.data[at : at + name_size])
        extra = self.data[at + name_size : at + name_size + extra_size]
        if _NO_SIZE in (packed, size, header):
            size, packed, header = _zip64(extra, size, packed, header)
        header += shift
        locked = bool(flags & _ENCRYPTED) or method == AES
        member = Member(name, locked, [method], packed, size, header, flags=flags, crc=crc, time=time)
        member.aes = extra_field(extra, _AES_FIELD) if locked else b""
        self._join_local(member, found)
        return at + name_size + extra_size + comment_size

    def _join_local(self, member: Member, found: dict[int, Member]) -> None:
        """Read the local header that the directory points at, and compare."""
        local = _read_local(self.data, member.header)
        if local is None:
            self._note(f"no local header of {member.text_name!r:.80}")
        else:
            described = member.packed != local.packed or member.size != local.size
            if local.name != member.name:
                self._note(f"two names, {member.text_name!r:.80} and {local.text_name!r:.80}")
            if local.methods != member.methods:
                self._note(f"two methods for {member.text_name!r:.80}")
                member.methods += local.methods
            if local.encrypted != member.encrypted:
                self._note(f"encrypted or not: {member.text_name!r:.80}")
                member.encrypted = True
            if described and (local.packed or local.size) and not local.described:
                self._note(f"two sizes for {member.text_name!r:.80}")
                member.packed = max(member.packed, local.packed)
            member.start = local.start
            member.end = local.start + member.packed
            member.flags, member.time = local.flags, local.time
            member.crc = member.crc or local.crc
            member.aes = local.aes or member.aes
        previous = found.setdefault(member.header, member)
        if previous is not member:
            self._note("two directory entries for one member")
            previous.encrypted |= member.encrypted
            previous.methods += [method for method in member.methods if method not in previous.methods]

    # Local headers that no directory mentions.

    def _read_locals(self, claimed: dict[int, Member], limit: int, at: int) -> None:
        """Walk from ``at`` on; what stands before an archive, such as a self-extractor, is none of it."""
        data = self.data
        for member in sorted(claimed.values(), key=lambda member: member.header):
            if member.start >= 0:
                if member.header < at:
                    self._note("members overlap")
                elif member.header - at >= _LOCAL.size:
                    self._search(at, member.header, bool(claimed), limit)
                at = max(at, member.end)
            self.members.append(member)
        directory = data.find(CENTRAL, min(at, len(data))) if claimed else -1
        stop = directory if directory >= 0 else len(data)
        if not self.truncated:
            self._search(at, stop, bool(claimed), limit)

    def _search(self, at: int, stop: int, listed: bool, limit: int) -> None:
        """Local headers from ``at`` up to ``stop``."""
        data, tried = self.data, 0
        following = dict.fromkeys((_DESCRIPTOR, LOCAL, CENTRAL), -1)
        while (at := data.find(LOCAL, at, stop)) >= 0:
            tried += 1
            if len(self.members) >= limit or tried > _MAX_TRIED:
                self.truncated = True
                return
            local = _read_local(data, at)
            if local is None or not _plausible_local(data, at):
                at += 4
                continue
            if listed:
                self._note(f"{local.text_name!r:.80} is not in the central directory")
            if local.described and not local.packed:
                # The size follows the data: up to the next record is the most it can be.
                for mark, place in following.items():
                    if place < local.start:
                        place = data.find(mark, local.start, stop)
                        following[mark] = place if place >= 0 else stop
                local.packed = min(following.values()) - local.start
            local.end = min(local.start + local.packed, len(data))
            self.members.append(local)
            at = max(at + 4, local.start, local.end if local.end <= stop else 0)

    # Content.

    def peek(self, member: Member, size: int = 64) -> bytes:
        """The first octets of a member; empty if they cannot be read."""
        if member.start < 0 or member.encrypted:
            return b""
        if member.methods[0] == STORED:
            return bytes(self.data[member.start : min(member.start + size, member.end)])
        if member.methods[0] == DEFLATED:
            try:
                packed = self.data[member.start : min(member.end, member.start + 16 * size + 512)]
                return zlib.decompressobj(-15).decompress(packed, size)
            except zlib.error:
                return b""
        return b""

    def expand(self, member: Member, limit: int) -> Iterator[Expanded]:
        """The content of a member in every way its headers may be understood.

        Arguments:
            limit: octets that each reading may have.
        """
        return expand(self.data, member, limit, self._note)


def _end_records(data: Content) -> list[int]:
    """Positions of end records, the last first."""
    found: list[int] = []
    at = data.rfind(END)
    floor = max(0, at - _TAIL)
    while at >= floor and at >= 0 and len(found) < _MAX_ENDS:
        if at + _END.size <= len(data):
            found.append(at)
        at = data.rfind(END, floor, at) if at else -1
    return found


@dataclass(slots=True)
class _Local(Member):
    described: bool = False


def _read_local(data: Content, at: int) -> _Local | None:
    if not 0 <= at <= len(data) - _LOCAL.size or data[at : at + 4] != LOCAL:
        return None
    _sig, _needed, flags, method, time, _date, crc, packed, size, name_size, extra_size = _LOCAL.unpack_from(
        data, at
    )
    start = at + _LOCAL.size + name_size + extra_size
    name = bytes(data[at + _LOCAL.size : at + _LOCAL.size + name_size])
    if _NO_SIZE in (packed, size):
        size, packed, _header = _zip64(data[start - extra_size : start], size, packed, 0)
    encrypted = bool(flags & _ENCRYPTED) or method == AES
    aes = extra_field(data[start - extra_size : start], _AES_FIELD) if encrypted else b""
    return _Local(
        *(name, encrypted, [method], packed, size, at, start, start + packed, flags, crc, time, aes),
        described=bool(flags & _HAS_DESCRIPTOR),
    )


def _opens(data: Content, end: int) -> bool:
    """Whether the end record at ``end`` leads to a directory, and that to a local header."""
    _sig, _disk, _start_disk, _here, count, size, offset, _comment = _END.unpack_from(data, end)
    start = end - size
    if not count or start < 0 or data[start : start + 4] != CENTRAL or start + _CENTRAL.size > len(data):
        return False
    header = _CENTRAL.unpack_from(data, start)[-1] + start - offset
    return _plausible_local(data, header)


def _plausible_local(data: Content, at: int) -> bool:
    """Whether what follows the signature could be a local header: four octets alone are met by chance."""
    local = _read_local(data, at)
    return (
        local is not None
        and local.methods[0] in _KNOWN_METHODS
        and 0 < len(local.name) <= 1024
        and local.start <= len(data)
        and not any(byte < 32 for byte in local.name)
    )


def extra_field(extra: Content, wanted: int) -> bytes:
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
    field = extra_field(extra, 1)
    wide = iter([int.from_bytes(field[k : k + 8], "little") for k in range(0, len(field) - 7, 8)])
    size = next(wide, size) if size == _NO_SIZE else size
    packed = next(wide, packed) if packed == _NO_SIZE else packed
    header = next(wide, header) if header == _NO_SIZE else header
    return size, packed, header
