"""Microsoft cabinets. A part of the scanner of archives."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.containers.cabinet import CabinetError, Unpacked, read_cabinet, unpack
from contentfilter.containers.formats import Located
from contentfilter.content.part import Context, Found, Part
from contentfilter.scanners.unpacking import Unpacking


def cabinet_members(part: Part, context: Context, located: Located) -> Iterator[Found]:
    """The files of the cabinet that begins there, and what is wrong with it."""
    unpacking = Unpacking(part, context, located.format.kind)
    budget = context.budget
    try:
        cabinet = read_cabinet(part.data, located.start, context.options.members)
    except CabinetError as error:
        yield from unpacking.malformed(str(error))
        return
    current, unpacked = -1, Unpacked(bytearray())
    for file in sorted(cabinet.files, key=lambda file: -1 if file.folder is None else file.folder):
        full = list(unpacking.full())
        if full:
            yield from full
            return
        if file.folder is None:
            continue
        if file.folder != current:
            current = file.folder
            # Files are cut out of it, so it may be longer than one of them.
            needed = max(item.offset + item.size for item in cabinet.files if item.folder == current)
            limit = min(needed, 2 * context.options.member_size, budget.options.expanded - budget.expanded)
            unpacked = unpack(part.data, cabinet, cabinet.folders[current], limit, lambda: budget.late)
            if unpacked.problem == "too-large" and budget.is_bomb(len(part.data), len(unpacked.data)):
                yield part.found("archive-bomb", f"{len(part.data)} octets hold {limit} and more")
            if not budget.take_work(len(unpacked.data)):
                yield part.unscanned("too-large", "the rest of the archive")
                return
        content = unpacked.data[file.offset : file.offset + file.size]
        problem, detail = "", ""
        if len(content) > budget.allowance():
            content, problem, detail = content[: budget.allowance()], "too-large", "more than is looked at"
        elif len(content) < file.size:
            problem, detail = unpacked.problem or "malformed", unpacked.detail or "ends early"
        yield from unpacking.member(file.name, content, problem, detail)
    if cabinet.truncated:
        yield part.unscanned("too-large", f"more than {context.options.members} members")
    if cabinet.problem:
        yield from unpacking.malformed(cabinet.problem)
    elif cabinet.split and any(file.folder is None for file in cabinet.files):
        yield part.unscanned("unsupported", f"{located.format.kind}: one of several cabinets")
