"""ZIP archives (PKWARE APPNOTE 6.3), read from the local headers as well as from the central directory.

Programs differ in which of the two they believe. An archive that shows one member to a scanner and another
to the victim's program does it there, so both are read, what disagrees is told, and every member that
either of them names is handed out.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from contentfilter.limits import KIB

Content: TypeAlias = bytes | bytearray

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_END64_LOCATOR, _END64, _DESCRIPTOR = b"PK\x06\x07", b"PK\x06\x06", b"PK\x07\x08"
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_TAIL = 22 + 65535
_MAX_ENDS = 8
_NO_SIZE = 0xFFFFFFFF
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
"""General purpose bits 0 (encrypted), 6 (strong encryption), 13 (masked headers)."""
_HAS_DESCRIPTOR = 0x0008
_KNOWN_METHODS = frozenset({0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 14, 18, 19, 93, 94, 95, 96, 97, 98, 99})
STORED, DEFLATED, BZIP2, LZMA, XZ, AES = 0, 8, 12, 14, 95, 99
_STEP = 64 * KIB


@dataclass(slots=True)
class Member:
    """One member, as the directory or its local header has it.

    Arguments:
        name: raw file name.
        encrypted: a password is needed, says one of the two headers.
        methods: compression methods, those that are claimed.
        packed: octets of packed data, as claimed.
        size: octets when expanded, as claimed.
        header: position of the local header.
        start: position of the data; -1 if there is no local header.
        end: position after the last octet that may belong to it.
    """

    name: bytes
    encrypted: bool
    methods: list[int]
    packed: int
    size: int
    header: int
    start: int = -1
    end: int = 0

    @property
    def text_name(self) -> str:
        """The name for people; which charset it is in is anybody's guess."""
        try:
            return self.name.decode("utf-8")
        except UnicodeDecodeError:
            return self.name.decode("cp437")

    @property
    def is_folder(self) -> bool:
        return self.name.endswith(b"/") and not self.size and self.packed <= 2


@dataclass(slots=True)
class Expanded:
    """Data of a member.

    Arguments:
        data: what came out.
        whole: nothing is missing at the end.
        problem: why something is; ``too-large``, ``malformed`` or ``unsupported``.
    """

    data: Content
    whole: bool = True
    problem: str = ""


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
        at_start = data.startswith((LOCAL, END, b"PK00" + LOCAL, b"PK\x07\x08" + LOCAL))
        ends = _end_records(data)
        if not at_start and not ends and not _plausible_local(data, data.find(LOCAL)):
            return None
        archive = cls(data)
        claimed = archive._read_directories(ends, limit)
        archive._read_locals(claimed, limit)
        if not archive.members and not at_start and not claimed:
            return None
        archive.members.sort(key=lambda member: member.header)
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
                if 0 <= record and data[record : record + 4] == _END64 and record + 56 <= len(data):
                    count, size, offset = struct.unpack_from("<QQQ", data, record + 32)
                    top = record
                    break
        # Data may stand in front of the archive; then all offsets are short by the same amount.
        start = top - size
        if not (0 <= start and data[start : start + 4] == CENTRAL):
            start = offset
            if data[start : start + 4] != CENTRAL:
                return count == 0 and size == 0
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
        fields = _CENTRAL.unpack_from(self.data, at)
        _sig, _by, _needed, flags, method, _time, _date, _crc, packed, size = fields[:10]
        name_size, extra_size, comment_size, _disk, _internal, _external, header = fields[10:]
        at += _CENTRAL.size
        name = bytes(self.data[at : at + name_size])
        extra = self.data[at + name_size : at + name_size + extra_size]
        if _NO_SIZE in (packed, size, header):
            size, packed, header = _zip64(extra, size, packed, header)
        header += shift
        member = Member(name, bool(flags & _ENCRYPTED) or method == AES, [method], packed, size, header)
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
        previous = found.setdefault(member.header, member)
        if previous is not member:
            self._note("two directory entries for one member")
            previous.encrypted |= member.encrypted
            previous.methods += [method for method in member.methods if method not in previous.methods]

    # Local headers that no directory mentions.

    def _read_locals(self, claimed: dict[int, Member], limit: int) -> None:
        data, at = self.data, 0
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
        data = self.data
        while (at := data.find(LOCAL, at, stop)) >= 0:
            local = _read_local(data, at)
            if local is None or not _plausible_local(data, at):
                at += 4
                continue
            if len(self.members) >= limit:
                self.truncated = True
                return
            if listed:
                self._note(f"{local.text_name!r:.80} is not in the central directory")
            if local.described and not local.packed:
                # The size follows the data: up to the next record is the most it can be.
                ends = [data.find(mark, local.start, stop) for mark in (_DESCRIPTOR, LOCAL, CENTRAL)]
                local.packed = min((end for end in ends if end >= 0), default=stop) - local.start
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
        if member.start < 0:
            yield Expanded(b"", False, "malformed")
            return
        data, start, end = self.data, member.start, min(member.end, len(self.data))
        short = member.end > len(data)
        for method in dict.fromkeys(member.methods):
            if method == STORED:
                stop = min(end, start + limit)
                problem = "malformed" if short else "too-large" if stop < end else ""
                yield Expanded(data[start:stop], not problem, problem)
                if member.packed != member.size and not member.encrypted:
                    other = _inflate(data, start, len(data), limit)
                    if other.data:
                        self._note(f"{member.text_name!r:.80} is called stored and is compressed")
                        yield other
            elif method == DEFLATED:
                result = _inflate(data, start, end, limit)
                if not result.whole and result.problem == "malformed" and not short:
                    longer = _inflate(data, start, len(data), limit)
                    if len(longer.data) > len(result.data):
                        self._note(f"{member.text_name!r:.80} is longer than it claims")
                        result = longer
                if not result.data and result.problem and member.packed == member.size:
                    # Called compressed, and it isn't: some programs take it as it is.
                    yield Expanded(data[start : min(end, start + limit)], False, "malformed")
                yield result
            elif method in (BZIP2, LZMA, XZ):
                yield _expand_other(data[start:end], method, limit)
            else:
                yield Expanded(b"", False, "unsupported")


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
    _sig, _needed, flags, method, _time, _date, _crc, packed, size, name_size, extra_size = _LOCAL.unpack_from(
        data, at
    )
    start = at + _LOCAL.size + name_size + extra_size
    name = bytes(data[at + _LOCAL.size : at + _LOCAL.size + name_size])
    if _NO_SIZE in (packed, size):
        size, packed, _header = _zip64(data[start - extra_size : start], size, packed, 0)
    encrypted = bool(flags & _ENCRYPTED) or method == AES
    return _Local(
        name, encrypted, [method], packed, size, at, start, start + packed, bool(flags & _HAS_DESCRIPTOR)
    )


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


def _zip64(extra: Content, size: int, packed: int, header: int) -> tuple[int, int, int]:
    """APPNOTE 4.5.3: the wide values, of those fields only that are all ones."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            values = [
                int.from_bytes(extra[k : k + 8], "little") for k in range(at + 4, min(at + 4 + length, len(extra)) - 7, 8)
            ]
            wide = iter(values)
            size = next(wide, size) if size == _NO_SIZE else size
            packed = next(wide, packed) if packed == _NO_SIZE else packed
            header = next(wide, header) if header == _NO_SIZE else header
            break
        at += 4 + length
    return size, packed, header


def _inflate(data: Content, start: int, end: int, limit: int) -> Expanded:
    """Raw deflate; what came out before damage is kept, since programs that repair keep it too."""
    view = memoryview(data)
    stream = zlib.decompressobj(-15)
    if end - start <= _STEP:
        try:
            out = stream.decompress(view[start:end], limit)
        except zlib.error:
            pass
        else:
            return _ended(stream.eof, out, limit, bool(stream.unconsumed_tail))
        stream = zlib.decompressobj(-15)
    result, step = bytearray(), _STEP if end - start > _STEP else 256
    try:
        for at in range(start, end, step):
            result += stream.decompress(view[at : min(at + step, end)], limit - len(result) or 1)
            if stream.eof or stream.unconsumed_tail or len(result) > limit:
                break
    except zlib.error:
        return Expanded(result[:limit], False, "malformed")
    return _ended(stream.eof, result[:limit], limit, bool(stream.unconsumed_tail) or len(result) > limit)


def _ended(eof: bool, data: Content, limit: int, more: bool) -> Expanded:
    if eof:
        return Expanded(data)
    return Expanded(data, False, "too-large" if more and len(data) >= limit else "malformed")


def _expand_other(packed: Content, method: int, limit: int) -> Expanded:
    stream: bz2.BZ2Decompressor | lzma.LZMADecompressor
    try:
        if method == BZIP2:
            stream = bz2.BZ2Decompressor()
        elif method == XZ:
            stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=256 * 1024 * KIB)
        else:
            # APPNOTE 5.8.8: version, size of the properties, properties; then a raw LZMA1 stream.
            if len(packed) < 9:
                return Expanded(b"", False, "malformed")
            byte, dictionary = packed[4], int.from_bytes(packed[5:9], "little")
            lc, rest = byte % 9, byte // 9
            chain = [
                {
                    "id": lzma.FILTER_LZMA1,
                    "dict_size": min(max(dictionary, 4096), 64 * 1024 * KIB),
                    "lc": lc,
                    "lp": rest % 5,
                    "pb": rest // 5,
                }
            ]
            stream = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)
            packed = packed[9:]
        data = stream.decompress(packed, limit)
    except (lzma.LZMAError, OSError, EOFError, ValueError):
        return Expanded(b"", False, "malformed")
    if stream.eof:
        return Expanded(data)
    return Expanded(data, False, "too-large" if len(data) >= limit else ("" if method == LZMA else "malformed"))
