"""An archive while its members are handed out: the bounds, the locked members, the bomb; and the way through
those that libarchive opens."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.containers.formats import Format
from contentfilter.containers.libarchive import ArchiveError, Reader
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.scanners.compressed import bare_name

_LISTED = 20
"""Locked members that are named one by one."""


class Unpacking:
    """Finds ``archive-bomb`` and ``archive-encrypted``.

    Arguments:
        part: the archive.
        kind: what it is, for people.
    """

    def __init__(self, part: Part, context: Context, kind: str) -> None:
        self.part = part
        self.budget = context.budget
        self.kind = kind
        self._locked: list[str] = []
        self._lock_count = 0
        self._count = 0
        self._expanded = 0

    def full(self) -> Iterator[Found]:
        """Asked before each member: yields why there can be no more; nothing if there can."""
        self._count += 1
        if self._count > self.budget.options.members:
            yield self.part.unscanned("too-large", f"more than {self._count - 1} members")
        elif self.budget.late:
            yield self.part.unscanned("timed-out", "the rest of the archive")
        elif bomb := self.budget.is_bomb(len(self.part.data), self._expanded) or not self.budget.allowance():
            if bomb:
                detail = f"{len(self.part.data)} octets hold more than {self._expanded}"
                yield self.part.found("archive-bomb", detail)
            yield self.part.unscanned("too-large", "the rest of the archive")

    def member(self, name: str, data: Content, problem: str = "", detail: str = "") -> Iterator[Found]:
        """What came out of one member.

        Arguments:
            problem: why it is not all; ``encrypted`` goes to the locked ones.
            detail: in words.
        """
        self._expanded += len(data)
        if problem == "encrypted":
            self.locked(name)
        elif problem:
            yield self.part.child(name, b"").unscanned(problem, f"{self.kind}: {detail}")
        if data:
            yield self.part.child(name, data)

    def locked(self, name: str = "") -> None:
        """Count a member that needs a password; without a name, the directory does."""
        self._lock_count += 1
        if len(self._locked) < _LISTED:
            self._locked.append(name)

    @property
    def any_locked(self) -> bool:
        return self._lock_count > 0

    def malformed(self, detail: str) -> Iterator[Found]:
        """It cannot be opened, or not to its end."""
        yield self.part.found("archive-malformed", f"{self.kind}: {detail}")
        yield self.part.unscanned("malformed", f"{self.kind}: {detail}")

    def ended(self) -> Iterator[Found]:
        """To be told at the end, however it came: what was locked."""
        if not self._lock_count:
            return
        first = self._locked[0]
        what = f"{self._lock_count} members, {first!r:.100}" if first else "its directory"
        yield self.part.found("archive-encrypted", f"{self.kind}: {what}")
        for name in self._locked:
            yield self.part.child(name, b"").unscanned("encrypted", f"{self.kind} member")


def members(
    unpacking: Unpacking, wanted: Format, data: Content, start: int, options: str = ""
) -> Iterator[Found]:
    """The members of an archive that libarchive opens.

    Arguments:
        wanted: the format.
        data: the archive, as a rule the part's own octets.
        start: where in ``data`` it begins.
        options: for libarchive, beside the format's own.
    """
    options = ",".join(filter(None, (wanted.options, options)))
    try:
        with Reader(data, wanted.formats, wanted.filters, start=start, options=options) as reader:
            yield from _entries(reader, unpacking, wanted.single)
    except ArchiveError as error:
        if error.reason == "encrypted":
            unpacking.locked()
        elif error.reason == "malformed":
            yield from unpacking.malformed(error.detail)
        else:
            yield unpacking.part.unscanned(error.reason, f"{wanted.kind}: {error.detail}")


def _entries(reader: Reader, unpacking: Unpacking, single: bool) -> Iterator[Found]:
    budget, part = unpacking.budget, unpacking.part
    for entry in reader.entries():
        full = list(unpacking.full())
        if full:
            yield from full
            return
        if entry.encrypted:
            unpacking.locked(entry.name)
        elif not entry.folder:
            result = reader.extract(budget.allowance(), lambda: budget.late)
            # libarchive applies a filter as often as it fits.
            name = bare_name(part, all_layers=True) if single else entry.name
            if result.problem == "too-large" and budget.is_bomb(len(part.data), len(result.data)):
                detail = f"{len(part.data)} octets hold more than {len(result.data)}"
                yield part.child(name, b"").found("archive-bomb", detail)
            yield from unpacking.member(name, result.data, result.problem, result.detail)
