"""RAR archives: found by their own headers, expanded by libarchive. A part of the scanner of archives."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.containers.formats import Located
from contentfilter.containers.libarchive import ArchiveError, Reader
from contentfilter.containers.rar import RarArchive, RarMember, holds_content, read_rar, write_rar
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.scanners.rar_unlocking import unlock_directory, unlock_members
from contentfilter.scanners.unpacking import Unpacking

_FORMATS = {4: "rar", 5: "rar5"}
_RAR3 = 29
"""Version from which on libarchive knows the compression."""


def rar_members(part: Part, context: Context, located: Located) -> Iterator[Found]:
    """The members of the archive that begins there, and what is wrong with it."""
    kind = located.format.kind
    archive = read_rar(part.data, located.start, context.options.members)
    unlocked = unlock_members(part, archive, context)
    unpacking = Unpacking(unlocked.part, context, kind)
    yield from _all(archive, unpacking)
    if archive.locked:
        opened = False
        for item in unlock_directory(part, archive, context):
            opened = True
            yield item
        if not opened:
            unpacking.locked()
    yield from unlocked.findings(unpacking.any_locked)
    yield from unpacking.ended()
    if archive.truncated:
        what = "members" if len(archive.members) >= context.options.members else "blocks"
        yield part.unscanned("too-large", f"more than {context.options.members} {what}")
    if archive.problem:
        yield from unpacking.malformed(archive.problem)
    elif archive.volume and any(member.cut for member in archive.members):
        yield part.unscanned("unsupported", f"{kind}: one volume of several")


def _all(archive: RarArchive, unpacking: Unpacking) -> Iterator[Found]:
    for run in archive.runs():
        packed: list[RarMember] = []
        for member in filter(holds_content, run):
            full = list(unpacking.full())
            if full:
                yield from full
                return
            if member.encrypted:
                unpacking.locked(_name(member))
            elif member.cut:
                # What there is of a stored one may still show what it is.
                yield from unpacking.member(
                    _name(member),
                    b"" if member.method else _octets(unpacking, member)[: unpacking.budget.allowance()],
                )
            elif not member.method:
                yield from _stored(unpacking, member)
            packed.append(member)
        yield from _packed(archive.version, packed, unpacking)


def _stored(unpacking: Unpacking, member: RarMember) -> Iterator[Found]:
    content = _octets(unpacking, member)
    if len(content) > unpacking.budget.allowance():
        content = content[: unpacking.budget.allowance()]
        yield from unpacking.member(_name(member), content, "too-large", "more than is looked at")
    else:
        short = len(content) < member.end - member.start
        yield from unpacking.member(_name(member), content, "malformed" if short else "", "ends early")


def _packed(version: int, run: list[RarMember], unpacking: Unpacking) -> Iterator[Found]:
    """Expand what is compressed of one run; a member that is not there breaks those that need it."""
    wanted = [member for member in run if member.method and not member.encrypted and not member.cut]
    if not wanted:
        return
    whole = [member for member in run if not member.encrypted and not member.cut]
    why = "needs a member before it"
    if version == 4 and wanted[0].packing[0] < _RAR3:
        whole, why = [], "compressed by RAR 2 or older"
    elif version == 4:
        # libarchive expands no member of RAR 4 that needs one before it.
        whole = [member for member in wanted if not member.follows]
    elif len(whole) < len(run):
        whole = whole[: next(n for n, member in enumerate(run) if member not in whole)]
    if whole:
        yield from _expanded(version, whole, unpacking)
    for member in wanted:
        if member not in whole:
            yield from unpacking.member(_name(member), b"", "unsupported", why)


def _expanded(version: int, run: list[RarMember], unpacking: Unpacking) -> Iterator[Found]:
    view = memoryview(unpacking.part.data)
    lone = write_rar(version, ((member, view[member.start : member.end]) for member in run))
    at = 0
    try:
        with Reader(lone, (_FORMATS[version],)) as reader:
            for member, _entry in zip(run, reader.entries(), strict=False):
                result = reader.extract(unpacking.budget.allowance(), lambda: unpacking.budget.late)
                at += 1
                if member.method:
                    yield from unpacking.member(_name(member), result.data, result.problem, result.detail)
    except ArchiveError as error:
        for member in run[at:]:
            yield from unpacking.member(_name(member), b"", error.reason, error.detail)
        return
    for member in run[at:]:
        yield from unpacking.member(_name(member), b"", "malformed", "cannot be reached")


def _octets(unpacking: Unpacking, member: RarMember) -> Content:
    return unpacking.part.data[member.start : member.end]


def _name(member: RarMember) -> str:
    return f"{member.name} (service)" if member.service else member.name
