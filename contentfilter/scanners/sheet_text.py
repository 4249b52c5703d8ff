"""Tables as text, and HTML that a spreadsheet opens: DDE formulas, Excel 4 macros in SYLK, queries of other
machines."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from contentfilter.content import references
from contentfilter.content.limits import KIB, MIB
from contentfilter.content.needles import Needles
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.scanners.remote import is_remote

_BINARY_SEARCHED = 4 * MIB
"""Octets of what does not begin like text that are searched."""
_LINK = re.compile(
    rb"\|(?<=[\w.]\|)\s{0,20}(?:'[^'\x00-\x08\n-\x1f\x7f]{1,500}'|&(?:#39|apos);[^\x00-\x08\n-\x1f\x7f]{1,500}?"
    rb"&(?:#39|apos);|[\w .:\\/$()&-]{1,200})![\w$'\"]"
)
"""The link of a DDE formula, ``program|topic!item``, from its bar on: a rare character is found fast."""
_FIELD = re.compile(
    rb"(?:(?<![^\r\n,;\t'>])[ ]{0,20}[=+@-][\w ().:$&<>=*/^+%,-]{0,200}"
    rb"|\"\s{0,20}[=+@-][^\x00-\x1f\x7f\"]{0,200})"
    rb"(?<![\w.])\"?[A-Za-z][\w.]{0,60}\Z"
)
"""The formula's field up to the bar; it begins after a line end, a separator, a tag or a quote. What may
stand in it is kept narrow: octets that are no text at all look like almost everything now and then."""
_BEFORE = 300
"""Octets before the bar that are looked at."""
_LINKS = 100_000
"""Links that are looked at; 4 MiB of random octets have a thousand."""
_FUNCTION = re.compile(rb"(?<![^\r\n,;\t\"'>])\s{0,20}=\s{0,20}DDE\s{0,20}\(\s{0,20}[\"'&]", re.IGNORECASE)
_CALL = re.compile(rb"dde(?<=[=\s]dde)\s{0,20}\(\s{0,20}[\"'&]")
_NAME = Needles(*map(bytes, itertools.product(b"=\t\n\v\f\r ", b"dD", b"dD", b"eE")))
"""The name and what stands before it: in most contents nowhere."""
_AROUND = 80
"""Octets before and after the name that are looked at."""
_NO_TEXT = bytes((*range(0x09), *range(0x0E, 0x1B), *range(0x1C, 0x20)))
_SYLK_MACRO = re.compile(rb"(?:\A|\n)O;(?:[^\r\n]*;)?E(?:;|\r|\n|\Z)")
_SYLK_NAME = re.compile(rb"(?:\A|\n)NN;N(?:auto_|AUTO_|Auto_)")
_SYLK_FORMULA = re.compile(rb"(?<!;)(?:;;)*;E", re.IGNORECASE)
"""Two semicolons are one, of a text."""
_LINE_END = re.compile(rb"[\r\n]")
_QUERY = re.compile(rb"\s{0,100}WEB\r?\n\d{1,9}\r?\n\s{0,100}([^\r\n]{1,2000})", re.IGNORECASE)
_CONNECTION = re.compile(
    rb"\s{0,100}(?:XLODBC\r?\n|QueryType=|\[oledb\]|<html\b.{0,2000}\bodc:OfficeDataConnection\b)",
    re.IGNORECASE | re.DOTALL,
)
"""Queries (.dqy, .oqy, .rqy) and connections (.udl, .odc) to databases."""
_SOURCE = re.compile(
    rb"\b(?:data source|server|dbq)\s{0,9}=\s{0,9}[\"']?([^;\"'<>\r\n]{1,300})",
    re.IGNORECASE,
)
_HERE = re.compile(
    rb"(?:\.|\(local(?:db)?\)|localhost|127\.0\.0\.1|\$workbook\$|[a-z]:)(?:[\\/,;].*)?",
    re.IGNORECASE | re.DOTALL,
)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MAX_WIDE = 32 * MIB


class SheetText:
    """Finds ``office-dde``, ``office-xlm-macro`` and ``office-remote-template``."""

    name = "sheet-text"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            data = bytes(data[:_MAX_WIDE]).decode("utf-16", "replace").encode("utf-8", "replace")
        elif b"\0" in data[:256]:
            return
        if data.startswith(_BYTE_ORDER_MARK):
            # Not otherwise: that would copy it all.
            data = data.removeprefix(_BYTE_ORDER_MARK)
        sylk = data.startswith(b"ID;")
        if sylk and (_SYLK_MACRO.search(data) or _SYLK_NAME.search(data)):
            yield part.found("office-xlm-macro", "SYLK")
        if (query := _QUERY.match(data)) and is_remote(target := query[1].decode("latin-1")):
            yield part.found("office-remote-template", f"web query {target[:200]}")
        if source := _source(data):
            yield part.found("office-remote-template", f"connection to {source[:200]}")
        yield from _formulas(part, data, sylk)


def _source(data: Content) -> str:
    """The database elsewhere that a file of a connection or query leads to; empty if it is none."""
    if not _CONNECTION.match(data):
        return ""
    for match in _SOURCE.finditer(data[: 64 * KIB]):
        source = match[1].strip()
        if source and not _HERE.fullmatch(source):
            return source.decode("latin-1")
    return ""


def _formulas(part: Part, data: Content, sylk: bool) -> Iterator[Found]:
    end = len(data)
    if end > _BINARY_SEARCHED:
        head = data[: 4 * KIB]
        end = _BINARY_SEARCHED if len(head.translate(None, _NO_TEXT)) < len(head) else end
    if data.find(b"|", 0, end) >= 0:
        for number, link in enumerate(_LINK.finditer(data, 0, end)):
            if number == _LINKS:
                yield part.unscanned("too-large", "links in a table")
                return
            bar = link.start()
            before = data[max(0, bar - _BEFORE) : bar]
            match = _FIELD.search(before)
            if field := match[0] if match else _sylk_field(before) if sylk else b"":
                yield part.found("office-dde", f"formula {_shown(field + link[0])!r}")
                return
    for number, at in enumerate(_calls(data, end)):
        if number == _LINKS:
            yield part.unscanned("too-large", "links in a table")
            return
        if function := _FUNCTION.search(data, max(0, at - _AROUND), at + _AROUND):
            shown = _shown(data[function.start() : function.start() + 200])
            yield part.found("office-dde", f"formula {shown!r}")
            return


def _sylk_field(before: Content) -> Content:
    """A cell's formula in SYLK up to the bar, ``;Eprogram``: it needs no equals sign; empty if none."""
    line = _LINE_END.split(before)[-1]
    ends = [match.end() for match in _SYLK_FORMULA.finditer(line)]
    return line[ends[-1] :] if ends else b""


def _calls(data: Content, end: int) -> Iterator[int]:
    """Where the function is called, in letters of any case."""
    for start in range(0, end, MIB):
        # What stands before the name belongs to it.
        first, last = max(0, start - 1), min(end, start + MIB + _AROUND)
        if not _NAME.stand_in(data, first, last):
            continue
        # One case first, so that the name can be looked for as it is: four times as fast.
        for call in _CALL.finditer(data[first:last].lower()):
            if first + call.start() < start + MIB:
                yield first + call.start()


def _shown(raw: Content) -> str:
    return references.unescaped(bytes(raw).decode("latin-1")).strip(' "\r\n\t,;>')[:180]
