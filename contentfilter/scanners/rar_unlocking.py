"""The locked members of a RAR archive. A part of the scanner of archives.

A member that opens is put in its place in a copy of the archive, and is then expanded like any other.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from contentfilter.containers.noise import is_noise
from contentfilter.containers.rar import RarArchive, RarMember
from contentfilter.containers.rarlock import (
    Lock,
    decrypt,
    plain_headers,
    read_header_lock,
    read_lock,
    unpadded,
)
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.passwords.passwords import Password
from contentfilter.scanners.unlocking import DEFAULT, ENCRYPTED, TOLD


@dataclass(slots=True)
class Unlocked:
    """What opened.

    Arguments:
        part: the archive, with plain data in place of what opened.
        told: members that opened with a password from the mail.
        by_default: members that opened with the empty one.
    """

    part: Part
    told: int = 0
    by_default: int = 0
    _keys: dict[tuple[Lock, str], tuple[bytes, bytes] | None] = field(default_factory=dict)

    def findings(self, shut: bool) -> Iterator[Found]:
        """To be told at the end.

        Arguments:
            shut: other members stayed locked, which is told elsewhere.
        """
        if self.told and not shut:
            yield self.part.found(ENCRYPTED, f"RAR: {self.told} members, {TOLD}")
        if self.by_default:
            yield self.part.found(DEFAULT, f"RAR: {self.by_default} members open with the empty password")


def unlock_members(part: Part, archive: RarArchive, context: Context) -> Unlocked:
    """Open what can be opened of ``archive``; its list of members is changed accordingly."""
    unlocked = Unlocked(part)
    if not any(member.encrypted for member in archive.members):
        return unlocked
    data: bytearray | None = None
    for number, member in enumerate(archive.members):
        lock = read_lock(archive.version, member.lock) if member.encrypted and not member.cut else None
        if lock is None:
            continue
        opened = _open(part.data, archive.version, member, lock, context, unlocked)
        if opened is None:
            continue
        password, content = opened
        data = bytearray(part.data) if data is None else data
        data[member.start : member.start + len(content)] = content
        end = member.start + (min(member.size, len(content)) if not member.method else len(content))
        crc = None if lock.tweaked else member.crc
        archive.members[number] = replace(member, encrypted=False, end=end, crc=crc)
        if password.told:
            unlocked.told += 1
        else:
            unlocked.by_default += 1
    if data is not None:
        unlocked.part = Part(part.path, data, part.depth, part.inside)
    return unlocked


def unlock_directory(part: Part, archive: RarArchive, context: Context) -> Iterator[Found]:
    """The archive without the lock of its headers, if a password opens it; its members are locked as well."""
    lock = read_header_lock(archive.lock) if archive.version == 5 else None
    if lock is None:
        return
    for password in context.passwords.attempts(lock.cost):
        if (key := lock.key(password.text)) is None:
            continue
        context.passwords.opened(password)
        yield part.found(*((ENCRYPTED, f"RAR: {TOLD}") if password.told else (DEFAULT, "RAR: its directory")))
        yield part.piece("what a password opens", plain_headers(part.data, archive.body, key[0]))
        return


def _open(
    data: Content, version: int, member: RarMember, lock: Lock, context: Context, unlocked: Unlocked
) -> tuple[Password, bytes] | None:
    packed = data[member.start : member.end]
    if version == 4 and member.method:
        # Only the content, expanded, would tell whether a password is right.
        return None
    for password in context.passwords.attempts(lock.cost):
        known = (replace(lock, start=b""), password.text)
        if known not in unlocked._keys:
            unlocked._keys[known] = lock.key(password.text)
        key = unlocked._keys[known]
        if key is None:
            continue
        content = decrypt((key[0], lock.start or key[1]), packed)
        if version == 5 and member.method:
            content = unpadded(content)
        if version == 4 and (zlib.crc32(content[: member.size]) != member.crc or is_noise(content)):
            continue
        context.passwords.opened(password)
        return password, content
    return None
