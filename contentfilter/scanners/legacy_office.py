"""Word's and Excel's binary formats: old macros, DDE links and fields, templates from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from contentfilter.containers.biff import Workbook, read_workbook, starts_stream
from contentfilter.containers.word_binary import WordDocument
from contentfilter.content.limits import MIB
from contentfilter.content.part import Context, Found, Part
from contentfilter.scanners.remote import is_remote
from contentfilter.scanners.word_fields import judge_fields
from mailbase.vocabulary import Finding

_MAX_STREAM = 64 * MIB
_WORD = "worddocument"
_EXCEL = ("workbook", "book")
_BEGINNINGS = (b"\t\0", b"\t\2", b"\t\4", b"\t\x08")
"""The record that begins a workbook, of any version (MS-XLS 2.4.21)."""
_FIELD = re.compile(
    rb'\x13[ \t"]{0,20}(?:DDE|QUOTE|INCLUDETEXT|LINK[ \t]|RD[ \t]'
    rb'|\x13[ \t"\x13]{0,20}(?:REF|SET|DOC|QUOTE|DDE))',
    re.IGNORECASE,
)
_WIDE_FIELD = re.compile(
    rb'\x13\0(?:[ \t"]\0){0,20}(?:D\0D\0E|Q\0U\0O\0T|I\0N\0C\0L\0U\0D\0E\0T|L\0I\0N\0K\0[ \t]|R\0D\0[ \t]'
    rb'|\x13\0(?:[ \t"\x13]\0){0,20}(?:R\0E\0F|S\0E\0T|D\0O\0C|Q\0U\0O|D\0D\0E))',
    re.IGNORECASE,
)
"""Fields of note, in either width of characters."""
_WINDOW, _OVERLAP = 8192, 2048
"""Octets that are read from where a field begins, and those read again, since the end may cut one."""


class LegacyOffice:
    """Finds ``office-macro``, ``office-xlm-macro``, ``office-dde`` and ``office-remote-template``."""

    name = "legacy-office"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if starts_stream(part.data):
            yield from _workbook(part, read_workbook(part.data, alone=True), old=True)
            return
        file = context.cfb
        if file is None:
            return
        for stream in file.streams:
            if stream.key in _EXCEL:
                # A file for both Excel 95 and 97 holds both streams, and its modules in a VBA project too.
                old = stream.key == "book" and not any(other.key == "workbook" for other in file.streams)
                data = file.read(stream, _MAX_STREAM)
                if not data.startswith(_BEGINNINGS):
                    yield part.unscanned("malformed", "workbook without a beginning")
                yield from _workbook(part, read_workbook(data), old)
            elif stream.key == _WORD:
                yield from _word(part, WordDocument(file, stream))


def _workbook(part: Part, book: Workbook, old: bool) -> Iterator[Found]:
    if book.encrypted:
        return
    if book.cut:
        yield part.unscanned("too-large", "records of a workbook")
    if book.macro_sheets:
        yield part.found("office-xlm-macro", f"sheet {book.macro_sheets[0]!r:.60}")
    if book.modules and old:
        yield part.unscanned("unsupported", "Visual Basic modules of Excel 5 or 95")
    for link in book.links[:3]:
        yield part.found("office-dde", f"link {link!r:.200}")


def _word(part: Part, document: WordDocument) -> Iterator[Found]:
    if document.damaged:
        yield part.unscanned("malformed", "Word document without a beginning")
    if document.has_word_basic():
        yield part.found("office-macro", "WordBasic")
    if is_remote(template := document.template()):
        yield part.found("office-remote-template", f"template {template[:200]}")
    seen = set()
    for text in _windows(document):
        for found in judge_fields(part, text):
            if isinstance(found, Finding):
                if found.name in seen:
                    continue
                seen.add(found.name)
            yield found
        if "office-dde" in seen:
            return


def _windows(document: WordDocument) -> Iterator[str]:
    """Texts in which there are fields of note, wherever they stand."""
    data = document.data
    for source, pattern, charset in (
        (data, _FIELD, "latin-1"),
        (data, _WIDE_FIELD, "utf-16-le"),
        (document.text().encode("utf-16-le", "replace"), _WIDE_FIELD, "utf-16-le"),
    ):
        at = 0
        while match := pattern.search(source, at):
            yield bytes(source[match.start() : match.start() + _WINDOW]).decode(charset, "replace")
            at = max(match.end(), match.start() + _WINDOW - _OVERLAP)
