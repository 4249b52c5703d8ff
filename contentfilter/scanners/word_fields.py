"""Word's fields (ECMA-376 part 1, 17.16): instructions that start a program, or fetch from elsewhere.

An instruction may be cut, nested, or spelt in numbers by QUOTE. Each format that has fields makes one text of
them, in which marks stand where a field begins and ends, and asks here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from contentfilter.content.part import Found, Part
from contentfilter.scanners.remote import is_remote

BEGIN, SEPARATE, END = "\x13", "\x14", "\x15"
"""A field begins, what it last resulted in follows, it ends; as in Word's binary format (MS-DOC 2.8.25)."""
MAX_TEXT = 4 << 20
"""Characters of fields in one part that are looked at."""

_DATA = re.compile("(\x13\\s*ADDIN\\s)[^\x13-\x15]+", re.IGNORECASE)
"""What programs that manage citations keep in a document, some KiB for each: Word reads nothing in it."""
_MARKS = re.compile("([\x13-\x15])")
_SUSPECT = re.compile(r"DDE|QUOTE|INCLUDETEXT|LINK|RD|\x13[\s\"]*\x13", re.IGNORECASE)
_QUOTE = re.compile(r"QUOTE((?>(?:\s+\"?\d{1,5}\"?)+))", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")
_DDE = re.compile(r"\x13[\s\"]*(DDE(?:AUTO)?(?=[\s\"\\\x15]|\Z)[^\x13\x15]{0,160})", re.IGNORECASE)
_COMPUTED = re.compile(
    r"\x13[\s\"]*(\x13[\s\"]*(?:QUOTE|REF|SET|DOCVARIABLE|DOCPROPERTY)\b[^\x13-\x15]{0,160})", re.IGNORECASE
)
_FETCH = re.compile(
    r"\x13[\s\"]*(INCLUDETEXT|LINK|RD)\s+(?:[\w.]{1,60}\s+)?\"?\s*([^\s\"\x13-\x15]{1,2000})", re.IGNORECASE
)


def judge_fields(part: Part, text: str) -> Iterator[Found]:
    """What the fields of a part give cause to, once for each kind.

    Arguments:
        text: their instructions, with the marks.
    """
    text = _DATA.sub(r"\1", text)
    if len(text) > MAX_TEXT:
        yield part.unscanned("too-large", "fields")
        text = text[:MAX_TEXT]
    if not _SUSPECT.search(text):
        return
    plain = _flat(text)
    # A field inside another is run too, and may make part of the other's name.
    for reading in (text, plain, *(_QUOTE.sub(_spelt, reading) for reading in (text, plain))):
        if match := _DDE.search(reading):
            shown = match[1].strip('" ')
            yield part.found("office-dde", f"field {shown!r}")
            break
    else:
        if match := _COMPUTED.search(text):
            yield part.found("office-dde", f"field whose name is computed: {match[1][1:].strip()!r}")
    for match in _FETCH.finditer(plain):
        target = match[2].replace("\\\\", "\\")
        if is_remote(target):
            yield part.found("office-remote-template", f"{match[1].upper()} {target[:200]}")
            return


def _flat(text: str) -> str:
    """The instructions of outer fields, those of fields inside them in their place, without results.

    A field in another's result is one of its own.
    """
    out: list[str] = []
    in_result: list[bool] = []
    for piece in _MARKS.split(text):
        if piece == BEGIN:
            if not in_result or in_result[-1]:
                out.append(BEGIN)
            in_result.append(False)
        elif piece == SEPARATE:
            if in_result:
                in_result[-1] = True
        elif piece == END:
            if in_result:
                in_result.pop()
            if not in_result or in_result[-1]:
                out.append(END)
        elif in_result and not in_result[-1]:
            out.append(piece)
    return "".join(out)


def _spelt(match: re.Match[str]) -> str:
    """What QUOTE makes of numbers."""
    return "".join(chr(int(number) & 0xFFFF) for number in _NUMBER.findall(match[1]))
