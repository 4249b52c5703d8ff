"""Exceptions by command that several nodes share."""

from __future__ import annotations

from collections.abc import Callable

from mailbase.store.redis.roster import Roster
from policyd.exceptions.book import row_of, rules_in
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
        return [rule for rule in rules_in(self._roster.rows.items()) if rule.until > now]

    async def put(self, rule: Rule) -> None:
        """See :class:`policyd.exceptions.book.Shelf`."""
        await self._roster.put(rule.key.encode("utf-8"), row_of(rule))

    async def delete(self, key: str) -> None:
        """See :class:`policyd.exceptions.book.Shelf`."""
        await self._roster.delete(key.encode("utf-8"))

    def watch(self, changed: Callable[[], object]) -> None:
        """See :class:`policyd.exceptions.book.Shelf`."""
        self._roster.changed = lambda rows: changed()
