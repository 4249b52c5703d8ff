"""How far the rollover of a key is, and what comes next. Pure.

A round: a new key under the selector that is free; its record is published; domains move, each when
contentfilter has seen its CNAME and the record for long enough; when nobody has signed with the old key for
long enough, it goes, and its selector is free for the next round.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from contentfilter.signing.public import PublicKey
from contentfilter.signing.standing import Standings


@dataclass(frozen=True, slots=True)
class NoKey:
    """There is no key of this kind yet."""


@dataclass(frozen=True, slots=True)
class NoRoom:
    """Every selector has a key, and there is only one: a rollover takes a second selector."""


@dataclass(frozen=True, slots=True)
class Begin:
    """A new key can be made.

    Arguments:
        selector: for it.
        old: the key that it will replace.
    """

    selector: str
    old: PublicKey


@dataclass(frozen=True, slots=True)
class Moving:
    """Domains still sign with the old key.

    Arguments:
        old: that key.
        new: its successor.
        domains: which ones.
        moved: how many sign with the new one already.
    """

    old: PublicKey
    new: PublicKey
    domains: tuple[str, ...]
    moved: int


@dataclass(frozen=True, slots=True)
class Keep:
    """Nobody signs with the old key any more, but mail signed with it is on its way.

    Arguments:
        until: seconds since the epoch.
    """

    old: PublicKey
    until: float


@dataclass(frozen=True, slots=True)
class MayGo:
    """The old key is not needed any more."""

    old: PublicKey


Stage: TypeAlias = NoKey | NoRoom | Begin | Moving | Keep | MayGo


def stage(
    keys: Sequence[PublicKey],
    selectors: Sequence[str],
    domains: Iterable[str],
    standings: Standings,
    keep: float,
    now: float,
) -> Stage:
    """Where the rollover stands.

    Arguments:
        keys: of one kind, the newest first.
        selectors: of that kind, as configured.
        domains: that may be signed for.
        standings: what contentfilter has seen.
        keep: seconds that a record stays after the last mail that was signed with its key.
        now: seconds since the epoch.
    """
    if not keys:
        return NoKey()
    new, *older = keys
    if not older:
        taken = selectors.index(new.selector) if new.selector in selectors else -1
        free = [*selectors[taken + 1 :], *selectors[: max(taken, 0)]]
        return Begin(free[0], new) if free else NoRoom()
    old = older[-1]
    successors = [key for key in keys if key is not old]
    held, moved = [], 0
    for domain in domains:
        if any(standings.usable(domain, key, now) for key in successors):
            moved += 1
        elif standings.since(domain, old) is not None:
            held.append(domain)
    if held or not moved:
        return Moving(old, new, tuple(held), moved)
    until = (standings.last_used(old) or 0.0) + keep
    return Keep(old, until) if until > now else MayGo(old)
