"""Excel's binary records (MS-XLS, MS-XLSB): just enough for sheets, links and encryption."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

Content: TypeAlias = bytes | bytearray

_EOF, _FILEPASS, _BOUNDSHEET, _SUPBOOK, _EXTERNSHEET = 0x000A, 0x002F, 0x0085, 0x01AE, 0x0017
_BOF = frozenset({0x0009, 0x0209, 0x0409, 0x0809})
_FORMULAS = frozenset({0x0006, 0x0206, 0x0406})
_MACRO_SHEET_BOF = 0x0040
_MACRO_SHEET = 1
_MODULE_SHEET = 6
_LINK = "\x03"
_MAX_RECORDS = 1_000_000
_MAX_SHEETS, _MAX_CELLS, _MAX_FACTS = 20, 20_000, 1000
"""Macro sheets, and records of each, that are searched for a formula; what is beyond is taken to hold one."""
_SUPBOOK_XLSB = b"\xe8\x02"
_SBT_DDE = 1


@dataclass(slots=True)
class Workbook:
    """What the global records of a workbook say.

    Arguments:
        encrypted: a password is needed.
        macro_sheets: names of Excel 4 macro sheets that hold formulas.
        links: DDE and OLE links, ``application|topic``.
        modules: names of Visual Basic module sheets, as Excel 5 and 95 had them.
        cut: there are more records than are looked at.
    """

    encrypted: bool = False
    macro_sheets: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    cut: bool = False


def records(data: Content, at: int = 0) -> Iterator[tuple[int, int, int]]:
    """Type, position of the data, and its size, for each whole record from ``at`` on."""
    for _ in range(_MAX_RECORDS):
        if at + 4 > len(data):
            return
        kind, size = data[at] | data[at + 1] << 8, data[at + 2] | data[at + 3] << 8
        if at + 4 + size > len(data):
            return
        yield kind, at + 4, size
        at += 4 + size


def starts_stream(data: Content) -> bool:
    """Whether ``data`` is such a stream without a compound file around it, as Excel 2 to 5 wrote them."""
    if len(data) < 8 or data[0] != 9 or data[1] not in (0, 2, 4, 8) or data[3] != 0 or not 4 <= data[2] <= 16:
        return False
    return data[6] in (0x05, 0x06, 0x10, 0x20, 0x40, 0x00) and data[7] in (0, 1)


def read_workbook(data: Content, alone: bool = False) -> Workbook:
    """The globals of a ``Workbook`` or ``Book`` stream.

    Arguments:
        alone: there is no compound file around it, so its sheets follow one another (Excel 4 and older).
    """
    book = Workbook()
    old = data[1:2] != b"\x08" or data[4:6] == b"\x00\x05"  # before BIFF8
    sheets = 0
    for number, (kind, at, size) in enumerate(records(data)):
        book.cut = number == _MAX_RECORDS - 1
        if (kind == _EOF and not alone) or len(book.macro_sheets) + len(book.links) >= _MAX_FACTS:
            break
        if kind == _FILEPASS:
            book.encrypted = True
        elif kind in _BOF and size >= 4 and data[at + 2] | data[at + 3] << 8 == _MACRO_SHEET_BOF:
            book.macro_sheets.append("")
        elif kind == _BOUNDSHEET and size >= 8 and data[at + 5] & 0x0F == _MACRO_SHEET:
            start = int.from_bytes(data[at : at + 4], "little")
            sheets += 1
            if book.encrypted or sheets > _MAX_SHEETS or _has_formulas(data, start):
                book.macro_sheets.append(_sheet_name(data[at + 6 : at + size]))
        elif kind == _BOUNDSHEET and size >= 8 and data[at + 5] & 0x0F == _MODULE_SHEET:
            book.modules.append(_sheet_name(data[at + 6 : at + size]))
        elif kind == _BOUNDSHEET and size >= 8 and _begins_macros(data, data[at : at + 4]):
            # It says that it is something else.
            book.macro_sheets.append(_sheet_name(data[at + 6 : at + size]))
        elif kind == _SUPBOOK or (kind == _EXTERNSHEET and old):
            book.links += _link(data[at : at + min(size, 600)], kind == _SUPBOOK)
    return book


def _begins_macros(data: Content, place: Content) -> bool:
    """Whether the sheet at ``place`` begins like one of macros."""
    start = int.from_bytes(place, "little")
    head = data[start : start + 8]
    return len(head) == 8 and head[0] | head[1] << 8 in _BOF and head[6] | head[7] << 8 == _MACRO_SHEET_BOF


def _has_formulas(data: Content, start: int) -> bool:
    """Whether the sheet at ``start`` holds a formula; a damaged one is taken to."""
    for number, (kind, _at, _size) in enumerate(itertools.islice(records(data, start), _MAX_CELLS)):
        if number == 0 and kind not in _BOF:
            return True
        if kind in _FORMULAS:
            return True
        if kind == _EOF:
            return False
    return True


def _sheet_name(raw: Content) -> str:
    if len(raw) >= 2 and raw[1] in (0, 1):
        return bytes(raw[2:]).decode("utf-16-le" if raw[1] else "latin-1", "replace")
    return bytes(raw[1:]).decode("latin-1")


def _link(raw: Content, wide: bool) -> list[str]:
    """The program link in a SUPBOOK or (before BIFF8) EXTERNSHEET record, if it is one."""
    if len(raw) < 6:
        return []
    if wide:
        # MS-XLS 2.4.271: count of sheets, then an XLUnicodeString.
        width, charset = (2, "utf-16-le") if raw[4] & 1 else (1, "latin-1")
        text = bytes(raw[5 : 5 + width * (raw[2] | raw[3] << 8)]).decode(charset, "replace")
    else:
        text = bytes(raw[1 : 1 + raw[0]]).decode("latin-1")
    # MS-XLS 2.5.277: a link to a program is "application 0x03 topic"; file names begin with 0x01 or 0x02.
    return [text.replace(_LINK, "|", 1)] if _LINK in text[1:] and text[0] > _LINK else []


def xlsb_dde(head: Content) -> bool:
    """Whether an xlsb external link part begins with a DDE link (BrtBeginSupBook, MS-XLSB 2.4.221)."""
    if not head.startswith(_SUPBOOK_XLSB):
        return False
    at = len(_SUPBOOK_XLSB)
    while at < min(6, len(head) - 3) and head[at] & 0x80:  # the size, seven bits an octet
        at += 1
    return len(head) > at + 2 and head[at + 1] | head[at + 2] << 8 == _SBT_DDE
