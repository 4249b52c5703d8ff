"""Lessons that several nodes share: what each says in a roster, so that all train the same model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from mailbase.store import Row
from mailbase.store.redis.roster import Roster


class LessonShelf:
    """:class:`policyd.learning.lessons.Shelf` in a roster.

    Arguments:
        roster: described by :data:`policyd.learning.lessons.LESSONS`.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    async def load(self, now: float) -> Mapping[bytes, Row]:
        """See :class:`policyd.learning.lessons.Shelf`."""
        await self._roster.refresh()
        return {key: row for key, row in self._roster.rows.items() if float(row[-1]) > now}

    async def put(self, rows: Mapping[bytes, Row]) -> None:
        """See :class:`policyd.learning.lessons.Shelf`."""
        await self._roster.put_all(rows)

    async def delete(self, keys: Iterable[bytes]) -> None:
        """See :class:`policyd.learning.lessons.Shelf`."""
        await self._roster.delete_all(keys)

    def watch(self, changed: Callable[[], object]) -> None:
        """See :class:`policyd.learning.lessons.Shelf`."""
        self._roster.changed = lambda rows: changed()
