"""ZIP archives (PKWARE APPNOTE 6.3), read from the local headers as well as from the central directory.

Programs differ in which of the two they believe. An archive that shows one member to a scanner and another
to the victim's program does it there, so both are read, what disagrees is told, and every member that
either of them names is handed out. Several end records, directories and places for a header are each read.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from contentfilter.containers.zipexpand import expand
from contentfilter.containers.zipmember import DEFLATED, STORED, Content, Expanded, Member
from contentfilter.containers.ziprecords import (
    CENTRAL,
    CENTRAL_SIZE,
    DESCRIPTOR,
    END,
    LOCAL,
    LOCAL_SIZE,
    MAX_ENDS,
    Directory,
    EndRecord,
    LocalHeader,
    find_ends,
    is_plausible,
    read_central,
    read_end,
    read_local,
)
from contentfilter.content.needles import Needles

_SPANNED, _SINGLE = DESCRIPTOR + LOCAL, b"PK00" + LOCAL
"""How the first of several parts begins, and an archive that was to have several and has one."""
_STARTS = (LOCAL, END, _SINGLE, _SPANNED)
_FOREIGN = (
    *(b"\xd0\xcf\x11\xe0", b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"{\\rt"),
    *(b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"MSCF\0\0\0\0", b"!<arch>\n", b"0707", b"xar!"),
    *(b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"LZIP"),
)
_FOREIGN_INSIDE = ((257, b"ustar"), (0x8001, b"CD001"))
_MAX_TRIED = 100_000
"""Signatures of local headers that are looked at outside the directory."""
_MAX_DECOYS = 1000
_LOCALS = Needles(LOCAL)
_MAX_PROBLEMS = 20


@dataclass(slots=True)
class ZipArchive:
    """The members of one archive, each at most once, and what is wrong with it.

    Arguments:
        data: the archive.
        members: in the order of their position.
        problems: disagreements and damage, in words; empty for a sane archive.
        truncated: there are more members than were asked for.
        split: it is one of several parts, or needs another one.
        locked: its directory is encrypted.
    """

    data: Content
    members: list[Member] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    truncated: bool = False
    split: bool = False
    locked: bool = False

    @classmethod
    def find(cls, data: Content, limit: int) -> ZipArchive | None:
        """The archive in ``data``: at its start, or anywhere (self-extracting, appended to something else).

        Arguments:
            limit: members that are looked at.

        Returns:
            None if there is no archive.
        """
        at_start = data.startswith(_STARTS)
        if not at_start and data.find(b"PK") < 0:
            return None
        foreign = not at_start and _is_foreign(data)
        if foreign:
            # Other formats hold whole or half ZIP files as pieces; here only one that can be opened counts.
            ends = _that_open(data)
            if not ends:
                return None
        else:
            ends = [read_end(data, at) for at in find_ends(data)]
            if not at_start and not ends and not _has_local(data):
                return None
        archive = cls(data)
        claimed = archive._read_directories(ends, limit)
        archive._read_locals(claimed, limit, at_start)
        if not archive.members and not at_start and not claimed and not archive.locked:
            return None
        archive.members.sort(key=lambda member: member.header)
        archive.split = archive.split or data.startswith(_SPANNED) or any(end.split for end in ends)
        if foreign:
            archive.problems.clear()
        return archive

    def _note(self, problem: str) -> None:
        if problem not in self.problems and len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(problem)

    # Central directory.

    def _read_directories(self, ends: list[EndRecord], limit: int) -> dict[int, Member]:
        """Members by the position of their local header, from every end record that counts."""
        found: dict[int, Member] = {}
        for rank, end in enumerate(ends):
            if rank and any(member.header <= end.at < member.end for member in found.values()):
                continue  # the end record of an archive that lies in this one, stored
            before = len(found)
            for directory in end.directories:
                self._read_directory(directory, found, limit)
            if end.conflict:
                self._note(end.conflict)
            if end.locked:
                self.locked = True
            elif not end.directories and not end.empty and not rank:
                self._note("no central directory where the end record says")
            if rank and len(found) > before:
                self._note("several end records")
        if not ends:
            self._note("no end record")
        return found

    def _read_directory(self, directory: Directory, found: dict[int, Member], limit: int) -> None:
        data, at, seen = self.data, directory.start, 0
        while data[at : at + 4] == CENTRAL and at + CENTRAL_SIZE <= len(data):
            if len(found) >= limit:
                self.truncated = True
                return
            member, at = read_central(data, at, directory.shift)
            seen += 1
            if directory.shift and read_local(data, member.header) is None:
                # Something stands in front, and this entry counts it already.
                member.header -= directory.shift
            self._join_local(member, found)
        if seen & 0xFFFF != directory.count & 0xFFFF:
            self._note("the central directory has not the members it claims")

    def _join_local(self, member: Member, found: dict[int, Member]) -> None:
        """Read the local header that the directory points at, and compare."""
        local = read_local(self.data, member.header)
        if local is None:
            if member.elsewhere:
                self.split = True
            else:
                self._note(f"no local header of {member.text_name!r:.80}")
        else:
            self._compare(member, local)
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
            previous.end = max(previous.end, member.end)
            for name in (member.text_name, *member.other_names.values()):
                previous.also_called(name)

    def _compare(self, member: Member, local: LocalHeader) -> None:
        if local.name != member.name:
            self._note(f"two names, {member.text_name!r:.80} and {local.text_name!r:.80}")
            member.also_called(local.text_name)
        if member.unicode_name and _suffix(member.unicode_name) != _suffix(member.name):
            self._note(f"two names, {member.text_name!r:.80} and {member.name!r:.80}")
            member.also_called(member.plain_name)
        if local.methods != member.methods:
            self._note(f"two methods for {member.text_name!r:.80}")
            member.methods += local.methods
        if local.encrypted != member.encrypted:
            self._note(f"encrypted or not: {member.text_name!r:.80}")
            member.encrypted = True
        if member.packed != local.packed or member.size != local.size:
            if (local.packed or local.size) and not local.described:
                self._note(f"two sizes for {member.text_name!r:.80}")
            member.packed = max(member.packed, local.packed)
        if local.crc and member.crc and local.crc != member.crc and not local.described:
            self._note(f"two checksums for {member.text_name!r:.80}")

    # Local headers that no directory mentions.

    def _read_locals(self, claimed: dict[int, Member], limit: int, at_start: bool) -> None:
        """Walk over what the directories do not name.

        What stands in front of an archive that does not begin with its first member, such as a
        self-extractor, is searched as well, but not found wanting.
        """
        data, listed = self.data, bool(claimed)
        at = 0
        for member in sorted(claimed.values(), key=lambda member: member.header):
            if member.start >= 0:
                in_front = not at and not at_start
                if at and member.header < at:
                    self._note("members overlap")
                elif member.header - at >= LOCAL_SIZE:
                    self._search(at, member.header, listed, limit, stray=in_front)
                at = max(at, member.end)
            self.members.append(member)
        directory = data.find(CENTRAL, min(at, len(data))) if listed else -1
        stop = directory if directory >= 0 else len(data)
        if not self.truncated:
            self._search(at, stop, listed, limit)

    def _search(self, at: int, stop: int, listed: bool, limit: int, *, stray: bool = False) -> None:
        """Local headers from ``at`` up to ``stop``."""
        data, tried = self.data, 0
        following = dict.fromkeys((DESCRIPTOR, LOCAL, CENTRAL), -1)
        while (at := data.find(LOCAL, at, stop)) >= 0:
            tried += 1
            if len(self.members) >= limit or tried > _MAX_TRIED:
                self.truncated = True
                return
            local = read_local(data, at)
            if local is None or not is_plausible(data, local):
                at += 4
                continue
            if listed and not stray:
                self._note(f"{local.text_name!r:.80} is not in the central directory")
            local.stray = stray
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

    def expand(
        self, member: Member, limit: int, late: Callable[[], bool] = lambda: False
    ) -> Iterator[Expanded]:
        """The content of a member in every way its headers may be understood.

        Arguments:
            limit: octets that each reading may have.
            late: whether to stop.
        """
        return expand(self.data, member, limit, self._note, late)


def _is_foreign(data: Content) -> bool:
    return data.startswith(_FOREIGN) or any(data[at : at + len(mark)] == mark for at, mark in _FOREIGN_INSIDE)


def _that_open(data: Content) -> list[EndRecord]:
    """The end records that lead to a directory, and any entry of that to a local header; not endlessly many.

    The first entry need not: programs pass over one that leads nowhere, or has no name. Beyond a thousand
    that lead nowhere the rest are taken for some that do: whoever writes so many wants nobody to look.
    """
    opening: list[EndRecord] = []
    left = _MAX_DECOYS
    for at in find_ends(data, _MAX_DECOYS):
        end = read_end(data, at)
        opens = False
        for directory in end.directories:
            at = directory.start
            while not opens and data[at : at + 4] == CENTRAL and at + CENTRAL_SIZE <= len(data):
                member, at = read_central(data, at, directory.shift)
                places = (member.header, member.header - directory.shift)
                left -= 1
                opens = left < 0 or any(read_local(data, place) is not None for place in places)
        if opens:
            opening.append(end)
            if len(opening) == MAX_ENDS:
                break
    return opening


def _has_local(data: Content) -> bool:
    """Whether there is a local header anywhere; a few signatures that are none do not end the search."""
    return any(_plausible_at(data, at) for at in islice(_LOCALS.places(data), _MAX_DECOYS))


def _plausible_at(data: Content, at: int) -> bool:
    return is_plausible(data, read_local(data, at))


def _suffix(name: bytes) -> bytes:
    return name.rpartition(b".")[2].lower()
