"""The header block of a mail, field by field, in the order in which they stand (RFC 5322 2.2)."""

from __future__ import annotations

import re

from contentfilter.message.parameters import decode_words
from mailbase.once import once

MAX_FIELDS = 500
"""Fields that are kept of one header."""
MAX_VALUE = 16 * 1024
"""Octets of one value."""

_NAME = re.compile(rb"([!-9;-~]{1,76})[ \t]*:[ \t]*")
_FOLD = re.compile(rb"\n(?=[ \t])")


class Field:
    """One header field.

    Arguments:
        name: lower case.
        spelling: the name as it stands.
        raw: the value, unfolded, without the line's end.
    """

    def __init__(self, name: str, spelling: bytes, raw: bytes) -> None:
        self.name = name
        self.spelling = spelling
        self.raw = raw

    def __repr__(self) -> str:
        return f"Field({self.name!r}, {self.raw!r})"

    @once
    def text(self) -> str:
        """The value as people read it: encoded words decoded (RFC 2047), raw 8-bit as UTF-8 or Latin-1."""
        try:
            text = self.raw.decode("utf-8")
        except UnicodeDecodeError:
            text = self.raw.decode("latin-1")
        return decode_words(text) if "=?" in text else text


def fields_of(block: bytes) -> tuple[Field, ...]:
    """The fields of a header block; lines that are none are left out.

    Arguments:
        block: from the first octet of the message to the empty line, which may be there or not.
    """
    found: list[Field] = []
    # With CR before it a line end would be searched for octet by octet.
    for line in _FOLD.sub(b"", block.replace(b"\r\n", b"\n")).split(b"\n"):
        if match := _NAME.match(line):
            name = match[1]
            value = line[match.end() : match.end() + MAX_VALUE].rstrip()
            found.append(Field(name.decode("ascii").lower(), name, value))
            if len(found) >= MAX_FIELDS:
                break
    return tuple(found)
