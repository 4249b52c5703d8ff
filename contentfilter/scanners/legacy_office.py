"""Word's and Excel's binary formats: Excel 4 macros, DDE links and DDE fields."""

from __future__ import annotations

import re
from collections.abc import Iterator

from contentfilter.containers.biff import Workbook, read_workbook, starts_stream
from contentfilter.limits import MIB
from contentfilter.part import Context, Found, Part

_MAX_STREAM = 64 * MIB
_WORD = "worddocument"
_EXCEL = ("workbook", "book")
_FIELD = re.compile(rb'\x13[ \t"]{0,20}(DDE(?:AUTO)?)[ \t"]([^\x13-\x15]{0,200})', re.IGNORECASE)
_WIDE_FIELD = re.compile(
    rb'\x13\x00(?:[ \t"]\x00){0,20}(D\x00D\x00E\x00(?:A\x00U\x00T\x00O\x00)?)[ \t"]\x00'
    rb"((?:[^\x13-\x15]\x00){0,200})",
    re.IGNORECASE,
)


class LegacyOffice:
    """Finds ``office-xlm-macro`` and ``office-dde``."""

    name = "legacy-office"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if starts_stream(part.data):
            yield from _workbook(part, read_workbook(part.data), old=True)
            return
        file = context.cfb
        if file is None:
            return
        for stream in file.streams:
            if stream.key in _EXCEL:
                # A file for both Excel 95 and 97 holds both streams, and its modules in a VBA project too.
                old = stream.key == "book" and not any(other.key == "workbook" for other in file.streams)
                yield from _workbook(part, read_workbook(file.read(stream, _MAX_STREAM)), old)
            elif stream.key == _WORD:
                yield from _fields(part, file.read(stream, _MAX_STREAM))


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


def _fields(part: Part, data: bytes | bytearray) -> Iterator[Found]:
    """Field codes stand between 0x13 and 0x14 or 0x15 (MS-DOC 2.8.25), in either width of characters."""
    if b"DDE" in data or b"dde" in data or b"Dde" in data:
        for match in _FIELD.finditer(data):
            yield part.found("office-dde", f"field {bytes(match[0][1:]).decode('latin-1')!r:.200}")
            break
    for match in _WIDE_FIELD.finditer(data):
        yield part.found("office-dde", f"field {bytes(match[0][2:]).decode('utf-16-le', 'replace')!r:.200}")
        break
