"""Exceptions by command that several nodes share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from mailbase.store.redis.roster import Roster
from policyd.exceptions.book import row_of, rule_from_row
from policyd.exceptions.rule import Rule


class RosterShelf:
    """:class:`policyd.exceptions.book.Shelf` in a roster.

    Arguments:
        roster: described by :data:`policyd.exceptions.book.EXCEPTIONS`.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    async def load(self, now: float) -> list[Rule]:
        """See :class:`policyd.exceptions.book.Shelf`."""
        await self._roster.refresh()
        rules = []
        for key, row in self._roster.rows.items():
            with contextlib.suppress(ValueError):  # a later version's: one must not hide the others
                rules.append(rule_from_row(key, row))
        return [rule for rule in rules if rule.until > now]

    async def put(self, rule: Rule) -> None:
        """See :class:`policyd.exceptions.book.Shelf`."""
        await self._roster.put(rule.key.encode("utf-8"), row_of(rule))

    async def delete(self, key: str) -> None:
        """See :class:`policyd.exceptions.book.Shelf`."""
        await self._roster.delete(key.encode("utf-8"))

    def watch(self, changed: Callable[[], object]) -> None:
        """See :class:`policyd.exceptions.book.Shelf`."""
        self._roster.changed = lambda rows: changed()
