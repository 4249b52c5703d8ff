"""The locked members of a ZIP archive. A part of the scanner of ZIP archives."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from contentfilter.containers.ziplock import cost, open_member
from contentfilter.containers.zipmember import Content, Expanded, Member
from contentfilter.content.part import Context, Found, Part
from contentfilter.passwords.passwords import Password
from contentfilter.scanners.unlocking import DEFAULT, ENCRYPTED, TOLD, try_passwords

_LISTED = 20
"""Locked members that are named one by one."""
_CHARSETS = ("utf-8", "cp1252", "cp850")


def locked_members(
    part: Part, members: list[Member], context: Context, child: Callable[[Member, Content], Part]
) -> Iterator[Found]:
    """What opens of ``members``, and what is found about those that do not.

    Arguments:
        child: makes the part that a member is.
    """
    told = by_default = 0
    shut: list[Member] = []
    for member in members:
        opened = _open(part.data, member, context)
        if opened is None:
            shut.append(member)
            continue
        password, result = opened
        if password.told:
            told += 1
        else:
            by_default += 1
        inner = child(member, result.data)
        if result.problem:
            yield inner.unscanned(result.problem, "ZIP member")
        if result.data:
            yield inner
    if shut:
        yield part.found(ENCRYPTED, f"{len(shut)} members, {shut[0].text_name!r:.100}")
    elif told:
        yield part.found(ENCRYPTED, f"{told} members, {TOLD}")
    if by_default:
        yield part.found(DEFAULT, f"{by_default} members open with the empty password")
    for member in shut[:_LISTED]:
        yield child(member, b"").unscanned("encrypted", "ZIP member")


def _open(data: Content, member: Member, context: Context) -> tuple[Password, Expanded] | None:
    budget = context.budget

    def open_with(password: bytes) -> Expanded | None:
        return open_member(data, member, password, budget.allowance(), lambda: budget.late)

    return try_passwords(context, cost(member), open_with, _CHARSETS)
