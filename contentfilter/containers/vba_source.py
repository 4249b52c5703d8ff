"""VBA source as lines of code (MS-VBAL 3.2): what counts, without what editors change."""

from __future__ import annotations

import re
from collections.abc import Iterator

_CONTINUED = re.compile(r"[ \t]_[ \t]*\n")
_COMMENT = re.compile(r"'|rem(?: |\Z)")


def lines_of(source: str) -> Iterator[str]:
    """The lines of ``source`` that are not empty, attributes left out.

    Continued lines are joined; outside of strings all is lower case, and white space is one blank, or none
    beside a string.
    """
    text = source.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    for line in _CONTINUED.sub(" ", text).split("\n"):
        if '"' in line:
            # Every second piece is inside quotation marks; a mark in a string is written twice.
            pieces = line.split('"')
            pieces[::2] = [" ".join(piece.split()).lower() for piece in pieces[::2]]
            normal = '"'.join(pieces)
        else:
            normal = " ".join(line.split()).lower()
        if normal and not _is_attribute(normal):
            yield normal


def has_code(source: str) -> bool:
    """Whether VBA ``source`` holds more than Attribute, Option and comment lines."""
    return any(not _is_harmless(line) for line in lines_of(source))


def _is_attribute(line: str) -> bool:
    """Whether it is a line that editors hide (MS-VBAL 4.2), and no code stands behind it."""
    return line.startswith("attribute ") and not _goes_on(line)


def _is_harmless(line: str) -> bool:
    return _COMMENT.match(line) is not None or (line.startswith("option ") and not _goes_on(line))


def _goes_on(line: str) -> bool:
    """Whether a second statement follows: a colon outside of strings."""
    return any(":" in piece for piece in line.split('"')[::2])
