"""Plain-text tables for the terminal: aligned, long cells wrapped, nothing cut off."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

GAP = "  "
NARROWEST = 12
"""Characters that a column is never squeezed below."""


def render(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """A table as text, with a line end after each line.

    Arguments:
        head: column titles.
        rows: cells; each row as long as ``head``.
        width: characters available; too long cells wrap, in the widest columns first.
    """
    cells = [list(head), *map(list, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    room = width - len(GAP) * (len(head) - 1)
    while sum(widths) > room and max(widths) > NARROWEST:
        widest = widths.index(max(widths))
        rest = max((size for column, size in enumerate(widths) if column != widest), default=0)
        excess = sum(widths) - room
        widths[widest] -= min(excess, max(1, widths[widest] - max(rest, NARROWEST)))
    lines = [*_lines(cells[0], widths), GAP.join("-" * size for size in widths)]
    for row in cells[1:]:
        lines += _lines(row, widths)
    return "".join(line.rstrip() + "\n" for line in lines)


def _lines(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    wrapped = [textwrap.wrap(cell, size) or [""] for cell, size in zip(row, widths, strict=True)]
    height = max(map(len, wrapped))
    return [
        GAP.join(
            (lines[index] if index < len(lines) else "").ljust(size)
            for lines, size in zip(wrapped, widths, strict=True)
        )
        for index in range(height)
    ]
