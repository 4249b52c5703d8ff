"""Hangul's documents (``.hwp``, ``.hwpx``): locks, scripts, and the files in them.

A locked ``.hwpx`` is told like a locked OpenDocument, :mod:`contentfilter.scanners.open_document`.
"""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.containers import hangul
from contentfilter.containers.cfb import CompoundFile
from contentfilter.content.part import Context, Found, Part

_SCRIPTS_IN_PACKAGE = frozenset({"headerscripts", "sourcescripts"})


class Hangul:
    """Finds ``office-encrypted`` and ``office-macro``; hands out the files."""

    name = "hangul"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if (file := context.cfb) is not None:
            yield from _document(part, file, context)
        elif hangul.old_lock(part.data):
            yield part.found("office-encrypted", "Hangul")
            yield part.unscanned("encrypted", "Hangul")
        elif part.name.lower() in _SCRIPTS_IN_PACKAGE and (code := hangul.script(part.data)):
            yield part.found("office-macro", f"script of Hangul, {code!r}")


def _document(part: Part, file: CompoundFile, context: Context) -> Iterator[Found]:
    if kind := hangul.lock_of(file):
        yield part.found("office-encrypted", kind)
        yield part.unscanned("encrypted", kind)
        return
    hidden = hangul.hides_scripts(file)
    if hidden:
        yield part.unscanned("unsupported", "scripts of a Hangul document for passing on")
    for path, content in hangul.packed(file, max(context.budget.allowance(), 1)):
        if context.budget.exhausted:
            yield part.unscanned("too-large", "files in a Hangul document")
            return
        if not hangul.is_script(path):
            yield part.piece(path, content, path)
        elif not hidden and (code := hangul.script(content)):
            yield part.found("office-macro", f"script of Hangul, {code!r}")
