"""ARJ archives. A part of the scanner of archives."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.containers.arj import read_arj, unpack
from contentfilter.content.part import Context, Found, Part
from contentfilter.scanners.unpacking import Unpacking


def arj_members(part: Part, context: Context) -> Iterator[Found]:
    """The members of the archive, and what is wrong with it."""
    unpacking = Unpacking(part, context, "ARJ")
    budget = context.budget
    archive = read_arj(part.data, context.options.members)
    for member in archive.members:
        full = list(unpacking.full())
        if full:
            yield from full
            break
        if member.encrypted:
            unpacking.locked(member.name)
            continue
        result = unpack(part.data, member, budget.allowance(), lambda: budget.late)
        problem = "unsupported" if member.cut and result.problem == "malformed" else result.problem
        yield from unpacking.member(member.name, result.data, problem, result.detail)
    yield from unpacking.ended()
    if archive.truncated:
        yield part.unscanned("too-large", f"more than {context.options.members} members")
    if any(member.cut for member in archive.members):
        yield part.unscanned("unsupported", "ARJ: one volume of several")
    elif archive.problem:
        yield from unpacking.malformed(archive.problem)
