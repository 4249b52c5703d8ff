"""Keeps the records: those of the last users and systems in memory, all of them in the store.

Nothing waits for the store. What is counted while a record is on its way is counted as soon as it is there.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from mailbase.store import Column, Memory, Row, StoreError, TableSpec
from policyd.outgoing.judging import Terms, Thresholds
from policyd.outgoing.measures import Whose, whose_key
from policyd.outgoing.record import EXPIRES, Record, unpack

OUTGOING = TableSpec("outgoing", (Column("content", "BLOB"),), cached=100)
"""Key: :attr:`Whose.key`. Content: :meth:`Record.pack`."""

MAX_HELD = 2_000
"""Records in memory: some kilobytes each."""
MAX_WAITING = 1_000
"""What is to be counted in one record that is on its way; more is lost, and counted as that."""
MAX_AT_ONCE = 50
"""Records that are on their way to a shared store."""

Page: TypeAlias = "list[tuple[bytes, Row]]"
Pages: TypeAlias = Callable[[float], AsyncIterator[Page]]
"""Every row of the table: from the time, in seconds since the epoch."""


class Held:
    """A record in memory.

    Attributes:
        record: None while it is on its way.
        waiting: what is to be done with it then.
        dirty: whether the store has an older version.
        limits: its thresholds, and of which hour and terms they are.
        said: what was found odd, by measure and window, and in which hour.
        client: address of the last client.
        unread: whether the store could not be read: there may be more in it.
    """

    __slots__ = (
        "client",
        "dirty",
        "limits",
        "limits_of",
        "record",
        "said",
        "saving",
        "unread",
        "waiting",
        "whose",
    )

    def __init__(self, whose: Whose) -> None:
        self.whose = whose
        self.record: Record | None = None
        self.waiting: list[Callable[[Record], object]] = []
        self.dirty = False
        self.saving = False
        self.unread = False
        self.limits: Thresholds | None = None
        self.limits_of: tuple[int, Terms, int] | None = None
        self.said: dict[tuple[str, str], int] = {}
        self.client = ""


class Books:
    """Arguments:
    table: described by :data:`OUTGOING`.
    pages: lists it.
    shared: whether other nodes write it too: then their figures are taken in with each saving.
    behind: runs a coroutine that nobody waits for.
    seconds: the clock, seconds since the epoch.
    """

    def __init__(
        self,
        table: Memory,
        pages: Pages,
        behind: Callable[[Coroutine[Any, Any, None]], object],
        seconds: Callable[[], float],
        *,
        shared: bool,
        node: int | None = None,
    ) -> None:
        self._table = table
        self._pages = pages
        self._behind = behind
        self._seconds = seconds
        self._shared = shared
        self.node = secrets.randbits(32) if node is None else node
        """Whose entries of a record are this process' own."""
        self._held: OrderedDict[Whose, Held] = OrderedDict()
        self._dirty: dict[Whose, Held] = {}
        self._at_once = 0
        self.lost = 0
        """Events that could not be counted, and records that could not be saved."""

    def __len__(self) -> int:
        return len(self._held)

    @property
    def unsaved(self) -> bool:
        """Whether something still has to be saved."""
        return bool(self._dirty)

    def use(self, whose: Whose, work: Callable[[Held, Record], object]) -> None:
        """Do ``work`` with a record, at once if it is in memory, else as soon as it is there."""
        held = self._held.get(whose)
        if held is None:
            held = self._held[whose] = Held(whose)
            self._make_room()
            self._fetch(held)
        else:
            self._held.move_to_end(whose)
        if held.record is not None:
            work(held, held.record)
        elif len(held.waiting) < MAX_WAITING:
            held.waiting.append(lambda record: work(held, record))
        else:
            self.lost += 1

    def changed(self, held: Held) -> None:
        """The record is to be saved."""
        held.dirty = True
        self._dirty[held.whose] = held

    def save(self) -> None:
        """Bring what has changed to the store; what it does not take is tried again with the next time."""
        for whose, held in list(self._dirty.items()):
            if not self._shared and not held.unread:
                del self._dirty[whose]
                try:
                    self._put(held)
                except StoreError:
                    self.changed(held)
            elif self._at_once < MAX_AT_ONCE and not held.saving:
                del self._dirty[whose]
                self._behind(self._merge_and_put(held))

    async def finish(self) -> None:
        """Bring everything to the store, one after another; what it does not take now is lost."""
        while self._dirty:
            whose, held = self._dirty.popitem()
            await self._merge_and_put(held)
            if self._dirty.pop(whose, None) is not None:
                self.lost += 1

    async def rows(self) -> AsyncIterator[tuple[Whose, Record]]:
        """Every user and system that there is a record of; those in memory as they are there.

        Raises:
            StoreError: cannot be read now.
        """
        told = set()
        async for page in self._pages(self._seconds()):
            for key, row in page:
                whose, record = whose_key(key), _record(row)
                if whose is None or record is None:
                    continue
                told.add(whose)
                held = self._held.get(whose)
                if held is not None and held.record is not None:
                    if self._shared:
                        held.record.merge(record)
                        held.limits_of = None
                    record = held.record
                yield whose, record
        for whose, held in list(self._held.items()):
            if held.record is not None and whose not in told:
                yield whose, held.record

    def _fetch(self, held: Held) -> None:
        try:
            found = self._table.get(held.whose.key, self._seconds())
        except StoreError:
            self._missed(held)
            return
        if found is None or isinstance(found, tuple):
            self._arrived(held, found)
        else:
            self._behind(self._fetch_later(held, found))

    async def _fetch_later(self, held: Held, waiting: Awaitable[Row | None]) -> None:
        try:
            row = await waiting
        except StoreError:
            self._missed(held)
        else:
            self._arrived(held, row)

    def _missed(self, held: Held) -> None:
        # What was before is taken in once it can be read; until then as with somebody new.
        held.unread = True
        self._arrived(held, None)

    def _arrived(self, held: Held, row: Row | None) -> None:
        found = _record(row)
        held.record = Record(self._seconds()) if found is None else found
        waiting, held.waiting = held.waiting, []
        for work in waiting:
            work(held.record)

    def _put(self, held: Held) -> Awaitable[None] | None:
        assert held.record is not None
        held.dirty = False
        return self._table.put(held.whose.key, (held.record.pack(), int(self._seconds()) + EXPIRES))

    async def _merge_and_put(self, held: Held) -> None:
        assert held.record is not None
        self._at_once += 1
        held.saving = True
        try:
            found = self._table.get(held.whose.key, self._seconds())
            theirs = _record(found if found is None or isinstance(found, tuple) else await found)
            held.unread = False
            if theirs is not None:
                held.record.merge(theirs)
                held.limits_of = None
            written = self._put(held)
            if written is not None:
                await written
        except StoreError:
            self.changed(held)
        finally:
            held.saving = False
            self._at_once -= 1

    def _make_room(self) -> None:
        while len(self._held) > MAX_HELD:
            whose, held = self._held.popitem(last=False)
            if held.dirty and held.record is not None:
                self._dirty.pop(whose, None)
                self._behind(self._put_at_last(held))

    async def _put_at_last(self, held: Held) -> None:
        try:
            written = self._put(held)
            if written is not None:
                await written
        except StoreError:
            self.lost += 1


def _record(row: Row | None) -> Record | None:
    if row is None or not isinstance(row[0], bytes):
        return None
    try:
        return unpack(row[0])
    except ValueError:
        # A later version's, or damaged: begun anew.
        return None
