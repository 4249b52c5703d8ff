"""Archives that libarchive opens: 7z, RAR, CAB, ISO 9660, LHA, cpio, ar, XAR, RPM, and compressed files that
Python has no library for. See :mod:`contentfilter.containers.formats` for how they are told."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.containers.formats import Located, find_formats
from contentfilter.containers.libarchive import ArchiveError, Entry, Reader
from contentfilter.part import Context, Found, Part
from contentfilter.scanners.compressed import bare_name

_LISTED = 20
"""Locked members that are named one by one."""


class Archives:
    """Finds ``archive-encrypted``, ``archive-malformed``, ``archive-bomb``; hands out the members."""

    name = "archives"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        for located in find_formats(part.data):
            if context.budget.exhausted:
                yield part.unscanned("too-large", located.format.kind)
                return
            yield from _Opened(part, context, located).members()


class _Opened:
    """One archive, gone through once."""

    def __init__(self, part: Part, context: Context, located: Located) -> None:
        self._part = part
        self._budget = context.budget
        self._located = located
        self._kind = located.format.kind
        self._locked: list[str] = []
        self._count = 0
        self._expanded = 0

    def members(self) -> Iterator[Found]:
        """What is in it, and what is wrong with it."""
        wanted = self._located.format
        try:
            with Reader(self._part.data, wanted.formats, wanted.filters, start=self._located.start) as reader:
                yield from self._entries(reader)
        except ArchiveError as error:
            if error.reason == "encrypted":
                self._locked.append("")
            elif error.reason == "malformed":
                yield self._part.found("archive-malformed", f"{self._kind}: {error.detail}")
            if error.reason != "encrypted":
                yield self._part.unscanned(error.reason, f"{self._kind}: {error.detail}")
        yield from self._told_locks()

    def _entries(self, reader: Reader) -> Iterator[Found]:
        for entry in reader.entries():
            self._count += 1
            if self._count > self._budget.options.members:
                yield self._part.unscanned("too-large", f"more than {self._count - 1} members")
                return
            if self._budget.late:
                yield self._part.unscanned("timed-out", "the rest of the archive")
                return
            if entry.encrypted:
                self._locked.append(entry.name)
            elif not entry.folder:
                yield from self._entry(reader, entry)
                if not self._budget.allowance() or self._budget.is_bomb(len(self._part.data), self._expanded):
                    if self._budget.is_bomb(len(self._part.data), self._expanded):
                        detail = f"{len(self._part.data)} octets hold more than {self._expanded}"
                        yield self._part.found("archive-bomb", detail)
                    yield self._part.unscanned("too-large", "the rest of the archive")
                    return

    def _entry(self, reader: Reader, entry: Entry) -> Iterator[Found]:
        result = reader.extract(self._budget.allowance(), lambda: self._budget.late)
        self._expanded += len(result.data)
        name = bare_name(self._part.path) if self._located.format.single else entry.name
        child = self._part.child(name, result.data)
        if result.problem == "encrypted":
            self._locked.append(entry.name)
        elif result.problem:
            yield child.unscanned(result.problem, f"{self._kind}: {result.detail}")
        if result.data:
            yield child

    def _told_locks(self) -> Iterator[Found]:
        if not self._locked:
            return
        first = self._locked[0]
        what = f"{len(self._locked)} members, {first!r:.100}" if first else "its directory"
        yield self._part.found("archive-encrypted", f"{self._kind}: {what}")
        for name in self._locked[:_LISTED]:
            yield self._part.child(name, b"").unscanned("encrypted", f"{self._kind} member")
