"""Rows as a table on a terminal, as one JSON object a line otherwise."""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from textwrap import indent
from typing import Any, TextIO

from mailbase.replies import printable

SAMPLE = 200
"""Rows that decide how wide the columns are; the listing itself may be endless."""
MAX_CELL = 60
"""Characters of a cell in a table; JSON has everything."""
HANGING = 4
"""Characters by which a row goes on further right, where it does not fit a line."""
INSET = "  "
"""Before a table that belongs to what stands above it."""
GAP = "  "
"""Between two columns."""
NOTHING = "-"
"""Stands for a cell without content."""
TIMES = frozenset({"first", "last", "added", "expires", "time", "since", "tested", "next_test"})
"""Fields in seconds since the epoch."""


def wants_json(stream: TextIO, asked: bool | None) -> bool:
    """Whether to print JSON: as it was asked for; None: if nobody is looking."""
    return not stream.isatty() if asked is None else asked


def line_width(stream: TextIO) -> int | None:
    """Characters of a line on a terminal; None for what is none, whose lines are as long as they like."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def write(
    stream: TextIO,
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    as_json: bool,
    widest: int = MAX_CELL,
    width: int | None = None,
) -> int:
    """Print ``rows``; returns how many there were.

    Arguments:
        columns: fields that the table shows.
        as_json: all fields, one JSON object a line.
        widest: characters of a cell in a table.
        width: characters of a line; a row that needs more takes several. None: as :func:`line_width` says.
    """
    if as_json:
        count = 0
        for row in rows:
            stream.write(json.dumps(row, separators=(",", ":")) + "\n")
            count += 1
        return count
    iterator = iter(rows)
    sample = [_cells(row, columns, widest) for row in islice(iterator, SAMPLE)]
    if not sample:
        return 0
    widths = [max(len(column), *(len(cells[i]) for cells in sample)) for i, column in enumerate(columns)]
    lines = _lines(widths, line_width(stream) if width is None else width)
    count = 0
    stream.write(_row([column.upper() for column in columns], widths, lines))
    for cells in chain(sample, (_cells(row, columns, widest) for row in iterator)):
        stream.write(_row(cells, widths, lines))
        count += 1
    return count


def write_inset(
    stream: TextIO, rows: Iterable[Mapping[str, Any]], columns: Sequence[str], widest: int = MAX_CELL
) -> None:
    """Print a table further right, below what it belongs to; arguments as for :func:`write`."""
    table, width = io.StringIO(), line_width(stream)
    write(table, rows, columns, False, widest, None if width is None else width - len(INSET))
    stream.write(indent(table.getvalue(), INSET))


def _lines(widths: Sequence[int], width: int | None) -> list[range]:
    """Which columns stand on each line of a row."""
    if width is None:
        return [range(len(widths))]
    lines, begin, taken = [], 0, 0
    for column, wide in enumerate(widths):
        if column > begin and taken + wide > width:
            lines.append(range(begin, column))
            begin, taken = column, HANGING
        taken += wide + len(GAP)
    return [*lines, range(begin, len(widths))]


def _row(cells: Sequence[str], widths: Sequence[int], lines: Sequence[range]) -> str:
    first, *others = lines
    # A further line that says nothing is left out.
    said = [first, *(line for line in others if any(cells[column] != NOTHING for column in line))]
    return "".join(
        " " * (HANGING if line.start else 0)
        + GAP.join(cells[column].ljust(widths[column]) for column in line).rstrip()
        + "\n"
        for line in said
    )


def _cells(row: Mapping[str, Any], columns: Sequence[str], widest: int) -> list[str]:
    return [_cell(column, row.get(column), widest) for column in columns]


def _cell(column: str, value: Any, widest: int) -> str:
    if value is None or value == "":
        return NOTHING
    if column in TIMES and isinstance(value, int):
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value))
    return printable(str(value), widest)
