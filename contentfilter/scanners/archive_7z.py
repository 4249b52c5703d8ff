"""7z archives: judged by their own headers, expanded by libarchive. A part of the scanner of archives."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from contentfilter.containers.formats import Located
from contentfilter.containers.inflate64 import MAX_SIZE
from contentfilter.containers.sevenzip import SevenZip, packed_streams, read_7z, repaired, write_7z
from contentfilter.containers.sevenzip_deflate64 import uses_deflate64, with_deflate
from contentfilter.containers.sevenzip_filters import is_filtered, without_filter
from contentfilter.containers.sevenzip_streams import Folder, SevenZipError
from contentfilter.content.limits import MIB
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.scanners.seven_zip_unlocking import FolderUnlocking, unlock_header
from contentfilter.scanners.unpacking import Unpacking, members

MAX_DICTIONARY = 256 * MIB
"""Octets of memory that unpacking may take; 7-Zip itself takes 64 MiB at its strongest setting."""
_EMPTY = 32
"""Octets of an archive without members."""


def seven_zip_members(part: Part, context: Context, located: Located) -> Iterator[Found]:
    """The members of the archive that begins there, and what is wrong with it."""
    unpacking = Unpacking(part, context, located.format.kind)
    data, start = part.data, located.start
    if (whole := repaired(data, start)) is not None:
        data, start = whole, 0
        yield part.found("archive-malformed", "7z: its start header is wiped")
    directory = SevenZip()
    try:
        directory = read_7z(data, start)
        if not directory.main.folders and not directory.header.folders and len(data) > start + _EMPTY:
            yield from unpacking.malformed("nothing leads to its content")
    except SevenZipError as error:
        if error.reason == "malformed":
            yield from unpacking.malformed(error.detail)
        else:
            yield part.unscanned(error.reason, f"7z: {error.detail}")
    folders = directory.main.folders + directory.header.folders
    memory = max((folder.memory for folder in folders), default=0)
    if memory > MAX_DICTIONARY:
        yield part.unscanned("too-large", f"7z: needs {memory // MIB} MiB of memory")
    elif directory.locked:
        yield from unlock_header(data, start, directory, unpacking, context)
    elif any(
        folder.encrypted or uses_deflate64(folder) or is_filtered(folder) for folder in directory.main.folders
    ):
        yield from _open_folders(data, directory, unpacking, located, context)
    else:
        yield from members(unpacking, located.format, data, start)
    yield from unpacking.ended()


def _open_folders(
    data: Content, directory: SevenZip, unpacking: Unpacking, located: Located, context: Context
) -> Iterator[Found]:
    """What is not encrypted, or opens, without what is: libarchive stops at a folder it cannot decrypt, or
    expand."""
    streams = directory.main
    unlocking = FolderUnlocking(context)
    plain = []
    for folder in streams.folders:
        packed = packed_streams(data, streams, folder)
        if not folder.encrypted:
            plain.append((folder, packed))
        elif (opened := unlocking.open(folder, packed)) is not None:
            plain.append(opened)
        else:
            for entry in folder.files:
                unpacking.locked(entry.name)
    yield from unlocking.findings(unpacking.part, unpacking.any_locked)
    if any(uses_deflate64(folder) for folder, _packed in plain):
        room = min(MAX_SIZE, context.budget.allowance())
        plain, problems = _rewritten(plain, uses_deflate64, with_deflate, room, context)
        for problem in problems:
            yield unpacking.part.unscanned(problem, "7z: Deflate64")
    if any(is_filtered(folder) for folder, _packed in plain):
        room = context.budget.allowance()
        plain, problems = _rewritten(plain, is_filtered, without_filter, room, context)
        for problem in problems:
            yield unpacking.part.unscanned(problem, "7z: a filter")
    if plain:
        yield from members(unpacking, located.format, write_7z(plain), 0)


def _rewritten(
    folders: list[tuple[Folder, list[bytes]]],
    concerns: Callable[[Folder], bool],
    rewrite: Callable[..., tuple[Folder, list[bytes], str]],
    room: int,
    context: Context,
) -> tuple[list[tuple[Folder, list[bytes]]], list[str]]:
    """The folders as libarchive can expand them, and what is wrong with some.

    Arguments:
        concerns: whether a folder has what libarchive does not undo.
        rewrite: :func:`with_deflate`, :func:`without_filter`.
        room: octets that all of them may come to.
    """
    budget, problems, out = context.budget, set[str](), []
    for folder, packed in folders:
        if concerns(folder):
            folder, packed, problem = rewrite(folder, packed, room, lambda: budget.late)
            room = max(0, room - sum(map(len, packed)))
            problems.add(problem)
        out.append((folder, packed))
    return out, sorted(filter(None, problems))
