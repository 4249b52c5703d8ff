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
    if " _" in text or "\t_" in text:
        text = _CONTINUED.sub(" ", text)
    for line in text.split("\n"):
        if '"' in line:
            # Every second piece is inside quotation marks; a mark in a string is written twice.
            pieces = line.split('"')
            pieces[::2] = [" ".join(piece.split()).lower() for piece in pieces[::2]]
            normal = '"'.join(pieces)
        else:
            normal = " ".join(line.split()).lower()
        # Lines that editors hide (MS-VBAL 4.2) are left out, unless code stands behind them.
        if normal and not (normal.startswith("attribute ") and not _goes_on(normal)):
            yield normal


def normal_source(source: str) -> str:
    """The lines of ``source``, as :func:`lines_of` has them."""
    return "\n".join(lines_of(source))


def has_code(normal: str) -> bool:
    """Whether VBA holds more than Attribute, Option and comment lines.

    Arguments:
        normal: as :func:`normal_source` gives it.
    """
    return bool(normal) and not all(map(_is_harmless, normal.split("\n")))


def _is_harmless(line: str) -> bool:
    return _COMMENT.match(line) is not None or (line.startswith("option ") and not _goes_on(line))


def _goes_on(line: str) -> bool:
    """Whether a second statement follows: a colon outside of strings."""
    return any(":" in piece for piece in line.split('"')[::2])
