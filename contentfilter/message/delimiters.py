"""The lines that part a multipart (RFC 2046 5.1.1)."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from contentfilter.content.limits import KIB, Budget
from contentfilter.message.boundary import MAX_BOUNDARY
from contentfilter.message.variants import is_strange
from contentfilter.message.wire import Wire

LINE_WORK = 4 * KIB
"""What a line that looks like structure counts for, against the bound on work."""

_MAX_DASHES = 16
_MAX_LINES = 1000
_DASH_LINE = re.compile(rb"(?:\A|\n)--([^\r\n]{1,%d})" % (MAX_BOUNDARY + 4))
_FIELD = re.compile(rb"[ \t\v\f\0]*\r?\n?[!-9;-~]{2,60}[ \t]*:")
_STEP = 256 * KIB


class Kind(enum.Enum):
    """What a line with the boundary is."""

    OPENS = enum.auto()
    CLOSES = enum.auto()
    RESEMBLES = enum.auto()
    """Text stands after the boundary. For some clients it opens a part."""


@dataclass(frozen=True, slots=True)
class Delimiter:
    """Arguments:
    line: where it begins.
    after: where the next line begins.
    kind: what it is.
    strange: NUL or bare CR stand in it.
    """

    line: int
    after: int
    kind: Kind
    strange: bool = False


def delimiters(wire: Wire, budget: Budget, boundary: bytes, start: int, end: int) -> Iterator[Delimiter]:
    """The lines that begin with two hyphens and the boundary."""
    dashed = b"--" + boundary
    needle = b"\n" + dashed
    size = len(dashed)
    line = start if wire.raw(start, min(end, start + size)) == dashed else -1
    if line < 0:
        at = wire.find(needle, start, end)
        line = at + 1 if at >= 0 else -1
    while line >= 0 and budget.take_work(least=LINE_WORK):
        rest = wire.raw(line + size, min(end, line + size + 1000))
        stop = rest.find(b"\n")
        tail = rest[:stop] if stop >= 0 else rest
        after = line + size + (stop + 1 if stop >= 0 else len(rest))
        if tail.startswith(b"--"):
            kind = Kind.CLOSES
        else:
            kind = Kind.RESEMBLES if tail.strip(b" \t\r\0") else Kind.OPENS
        yield Delimiter(line, after, kind, len(tail) > 1 and is_strange(tail[:-1]))
        at = wire.find(needle, max(line, after - 1), end)
        line = at + 1 if at >= 0 else -1


def opens(wire: Wire, budget: Budget, boundary: bytes, start: int, end: int) -> bool:
    """Whether there is a line that is a delimiter, whatever the kind."""
    return next(delimiters(wire, budget, boundary, start, end), None) is not None


def before_line_end(wire: Wire, line: int, floor: int) -> int:
    """The line end before a delimiter belongs to the delimiter."""
    if line - 1 < floor:
        return line
    return line - 2 if wire.raw(line - 2, line) == b"\r\n" and line - 2 >= floor else line - 1


def dash_lines(wire: Wire, start: int, end: int) -> list[bytes]:
    """Boundaries that the body itself shows: lines with two hyphens in front of what looks like a header."""
    found: dict[bytes, None] = {}
    lines = 0
    for at in range(start, end, _STEP):
        window = wire.raw(max(start, at - 1), min(end, at + _STEP + 512))
        for match in _DASH_LINE.finditer(window):
            lines += 1
            if lines > _MAX_LINES or len(found) >= _MAX_DASHES:
                return list(found)
            if _FIELD.match(window, match.end()):
                text = match[1].rstrip(b" \t\v\f\0")
                if 0 < len(text) <= MAX_BOUNDARY:
                    found[text] = None
    return list(found)
