"""The lessons there are: what each says is in memory, what was seen in the mail lies in the store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from mailbase.statistics.lesson import lesson_id
from mailbase.store import Column, Memory, Row, Table, TableSpec

LESSONS = TableSpec(
    "lessons",
    (
        Column("spam", "INTEGER"),
        Column("learned", "INTEGER"),
        Column("source", "TEXT"),
        Column("run", "TEXT"),
        Column("before", "TEXT"),
    ),
    cached=16,
)
"""Key: the lesson's id. The columns are a Lesson."""
TOKENS = TableSpec("lesson_tokens", (Column("packed", "BLOB"),), cached=16, opaque=True)
"""Key: the same. The lesson itself, packed."""
SOURCES = ("command", "spamtrap", "total")
"""Who says so: somebody by command, a spamtrap, the extreme of a total."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """Arguments:
    spam: what the mail was said to be.
    learned: when, in seconds since the epoch.
    source: one of :data:`SOURCES`.
    run: of the command, or the day.
    before: what it was said to be before, for when this is undone: empty, or kind, time, source and run.
    expires: when it is forgotten.
    """

    spam: bool
    learned: int
    source: str
    run: str
    before: str
    expires: int

    @property
    def row(self) -> Row:
        """As a row of :data:`LESSONS`."""
        return int(self.spam), self.learned, self.source, self.run, self.before, self.expires

    @classmethod
    def of(cls, row: Row) -> Lesson:
        """The reverse.

        Raises:
            ValueError: it is none.
        """
        spam, learned, source, run, before, expires = row
        return cls(bool(spam), int(learned), str(source), str(run), str(before), int(expires))

    @property
    def earlier(self) -> Lesson | None:
        """What was said before; None if nothing was."""
        kind, _, rest = self.before.partition(" ")
        learned, _, rest = rest.partition(" ")
        source, _, run = rest.partition(" ")
        if not learned.isdigit():
            return None
        return replace(self, spam=kind == "spam", learned=int(learned), source=source, run=run, before="")

    @property
    def summary(self) -> str:
        """What :attr:`before` of its successor says."""
        return f"{'spam' if self.spam else 'ham'} {self.learned} {self.source} {self.run}"


class Shelf(Protocol):
    """Keeps rows of :data:`LESSONS`; this node's own answers at once, one that nodes share later.

    Raises (all methods but :meth:`watch`, at once or when awaited):
        StoreError: neither an answer nor a place to remember at the moment.
    """

    def load(self, now: float) -> Mapping[bytes, Row] | Awaitable[Mapping[bytes, Row]]:
        """All that have not expired."""

    def put(self, rows: Mapping[bytes, Row]) -> Awaitable[None] | None:
        """Keep these."""

    def delete(self, keys: Iterable[bytes]) -> Awaitable[None] | None:
        """Forget these."""

    def watch(self, changed: Callable[[], object]) -> None:
        """Call ``changed`` whenever another node has changed one."""


class StoreShelf:
    """The :class:`Shelf` in this node's store."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def load(self, now: float) -> dict[bytes, Row]:
        """See :class:`Shelf`."""
        return dict(self._table.scan(now))

    def put(self, rows: Mapping[bytes, Row]) -> None:
        """See :class:`Shelf`."""
        for key, row in rows.items():
            self._table.put(key, row)

    def delete(self, keys: Iterable[bytes]) -> None:
        """See :class:`Shelf`."""
        for key in keys:
            self._table.delete(key)

    def watch(self, changed: Callable[[], object]) -> None:
        """See :class:`Shelf`. Nobody else changes it."""


@dataclass(frozen=True, slots=True)
class Learned:
    """Arguments:
    new: lessons that were not known.
    changed: that were said to be the other.
    known: that were known as this; they are kept longer now.
    """

    new: int = 0
    changed: int = 0
    known: int = 0


class Lessons:
    """Arguments:
    shelf: of what each says.
    tokens: described by :data:`TOKENS`.
    seconds: the clock, seconds since the epoch.
    changed: called when a model would be another one now.

    Attributes:
        all: by id.
        most: lessons kept, half of them of each kind; replaced at a reload.
        keep: seconds until one is forgotten; likewise.
        loaded: whether they have been read.
    """

    def __init__(
        self,
        shelf: Shelf,
        tokens: Memory,
        seconds: Callable[[], float],
        changed: Callable[[], object],
        most: int = 10_000,
        keep: float = 365 * 86400.0,
    ) -> None:
        self._shelf = shelf
        self._tokens = tokens
        self._seconds = seconds
        self._changed = changed
        self.all: dict[bytes, Lesson] = {}
        self.most = most
        self.keep = keep
        self.loaded = False

    async def load(self) -> None:
        """Read them; others may have changed them.

        Raises:
            StoreError: cannot be read now; what was known stays.
        """
        rows = self._shelf.load(self._seconds())
        found = await rows if isinstance(rows, Awaitable) else rows
        lessons = {}
        for key, row in found.items():
            try:
                lessons[key] = Lesson.of(row)
            except ValueError:
                continue
        before = {key: lesson.spam for key, lesson in self.all.items()}
        self.all = lessons
        self.loaded = True
        if before != {key: lesson.spam for key, lesson in lessons.items()}:
            self._changed()

    async def learn(self, packed: Sequence[bytes], spam: bool, source: str, run: str) -> Learned:
        """Learn mails; from a command also the opposite of what was learned before.

        Raises:
            StoreError: cannot be remembered.
        """
        now = int(self._seconds())
        expires = int(now + self.keep)
        new, changed, known = 0, 0, 0
        rows: dict[bytes, Lesson] = {}
        for lesson in packed:
            key = lesson_id(lesson)
            old = rows.get(key) or self.all.get(key)
            if old is not None and old.expires <= now:
                old = None
            if old is not None and old.source == "command" != source:
                # What somebody has looked at is not unsaid by a machine.
                known += old.spam is spam
                continue
            if old is None:
                new += 1
                rows[key] = Lesson(spam, now, source, run, "", expires)
            elif old.spam is spam and (old.source == source or source != "command"):
                known += 1
                rows[key] = replace(old, expires=expires)
            else:
                changed += old.spam is not spam
                known += old.spam is spam
                rows[key] = Lesson(spam, now, source, run, old.summary, expires)
            await _done(self._tokens.put(key, (lesson, expires)))
        await self._put(rows)
        await self._forget_surplus()
        if new or changed:
            self._changed()
        return Learned(new, changed, known)

    async def undo(self, keys: Iterable[bytes]) -> int:
        """Make as if these had not been learned the last time; returns how many there were.

        Raises:
            StoreError: cannot be remembered.
        """
        gone, back = [], {}
        for key in keys:
            lesson = self.all.get(key)
            if lesson is None:
                continue
            if (earlier := lesson.earlier) is not None:
                back[key] = earlier
            else:
                gone.append(key)
        await self._put(back)
        await self._delete(gone)
        if gone or back:
            self._changed()
        return len(gone) + len(back)

    async def forget(self, keys: Iterable[bytes]) -> int:
        """Forget these for good; returns how many there were.

        Raises:
            StoreError: cannot be remembered.
        """
        gone = [key for key in keys if key in self.all]
        await self._delete(gone)
        if gone:
            self._changed()
        return len(gone)

    async def forget_expired(self) -> None:
        """Let go of what has expired; the store does so by itself."""
        now = self._seconds()
        gone = [key for key, lesson in self.all.items() if lesson.expires <= now]
        for key in gone:
            del self.all[key]
        if gone:
            self._changed()

    async def packed(self) -> AsyncIterator[tuple[bool, bytes]]:
        """What is to be learned, in the order of the ids.

        Raises:
            StoreError: cannot be read now.
        """
        now = self._seconds()
        for key in sorted(self.all):
            lesson = self.all.get(key)
            if lesson is None or lesson.expires <= now:
                continue
            row = self._tokens.get(key, now)
            found = await row if isinstance(row, Awaitable) else row
            if found is not None and isinstance(found[0], bytes):
                yield lesson.spam, found[0]

    async def _forget_surplus(self) -> None:
        for spam in (True, False):
            of_kind = [key for key, lesson in self.all.items() if lesson.spam is spam]
            surplus = len(of_kind) - self.most // 2
            if surplus > 0:
                # What a machine learned goes first.
                of_kind.sort(key=lambda key: (self.all[key].source == "command", self.all[key].expires))
                await self._delete(of_kind[:surplus])

    async def _put(self, lessons: Mapping[bytes, Lesson]) -> None:
        if lessons:
            await _done(self._shelf.put({key: lesson.row for key, lesson in lessons.items()}))
            self.all.update(lessons)

    async def _delete(self, keys: Sequence[bytes]) -> None:
        if not keys:
            return
        await _done(self._shelf.delete(keys))
        for key in keys:
            self.all.pop(key, None)
            await _done(self._tokens.delete(key))


async def _done(waiting: Awaitable[object] | None) -> None:
    if waiting is not None:
        await waiting
