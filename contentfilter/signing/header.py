"""The header section as Postfix reads it: where it ends, and the fields in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from contentfilter.signing.transit import Unforeseeable

MAX_HEADER = 1 << 18
"""Octets of a header section."""

_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")


@dataclass(frozen=True, slots=True)
class HeaderField:
    """One field.

    Arguments:
        name: lower case.
        value: what stands behind the colon, with its line ends (LF), the last one included.
    """

    name: str
    value: bytes


def parse_header(data: bytes) -> tuple[list[HeaderField], int]:
    """The fields in their order, and where the body begins.

    Like Postfix it ends the header at the first line that is none of a header; an empty line there is not
    part of the body, any other is.

    Arguments:
        data: the beginning of a message, or all of it; lines end with LF.

    Raises:
        Unforeseeable: it begins with a folded line, which would continue whatever we put on top.
    """
    fields: list[tuple[str, int, int]] = []
    start, size = 0, len(data)
    while start < size:
        end = data.find(b"\n", start) + 1 or size
        first = data[start : start + 1]
        if first in (b" ", b"\t"):
            if not fields:
                raise Unforeseeable("begins with a folded line")
        elif first == b"\n":
            return _fields(data, fields, start), end
        elif found := _NAME.match(data, start, end):
            fields.append((found[1].decode("ascii").lower(), found.end(), start))
        else:
            break
        start = end
    return _fields(data, fields, start), start


def _fields(data: bytes, found: list[tuple[str, int, int]], end: int) -> list[HeaderField]:
    made = []
    for name, value, begin in reversed(found):
        made.append(HeaderField(name, data[value:end]))
        end = begin
    return made[::-1]
