"""Rows as a table on a terminal, as one JSON object a line otherwise."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TextIO

from mailbase.replies import printable

SAMPLE = 200
"""Rows that decide how wide the columns are; the listing itself may be endless."""
MAX_CELL = 60
"""Characters of a cell in a table; JSON has everything."""
TIMES = frozenset({"first", "last", "added", "expires", "time", "since", "tested", "next_test"})
"""Fields in seconds since the epoch."""


def wants_json(stream: TextIO, asked: bool | None) -> bool:
    """Whether to print JSON: as it was asked for; None: if nobody is looking."""
    return not stream.isatty() if asked is None else asked


def write(
    stream: TextIO,
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    as_json: bool,
    widest: int = MAX_CELL,
) -> int:
    """Print ``rows``; returns how many there were.

    Arguments:
        columns: fields that the table shows.
        as_json: all fields, one JSON object a line.
        widest: characters of a cell in a table.
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
    count = 0
    stream.write(_line([column.upper() for column in columns], widths))
    for cells in chain(sample, (_cells(row, columns, widest) for row in iterator)):
        stream.write(_line(cells, widths))
        count += 1
    return count


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() + "\n"


def _cells(row: Mapping[str, Any], columns: Sequence[str], widest: int) -> list[str]:
    return [_cell(column, row.get(column), widest) for column in columns]


def _cell(column: str, value: Any, widest: int) -> str:
    if value is None or value == "":
        return "-"
    if column in TIMES and isinstance(value, int):
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value))
    return printable(str(value), widest)
