"""Tables on terminals and elsewhere."""

from __future__ import annotations

import io

import pytest

from mailbase.printing import write, write_inset
from tests.unit.terminal import Terminal

COLUMNS = ("name", "where", "note", "long")
ROWS = (
    {"name": "a", "where": "here", "note": "x" * 20, "long": "y" * 60},
    {"name": "bb", "where": "there", "note": None, "long": None},
    {"name": "c", "where": "-", "note": "z", "long": None},
)


def test_what_fits_a_line_of_the_terminal_stands_on_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "97")
    out = Terminal()
    assert write(out, ROWS, COLUMNS, False) == 3
    assert len(out.getvalue().splitlines()) == 4


def test_what_does_not_fit_goes_on_further_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "66")
    out = Terminal()
    write(out, ROWS, COLUMNS, False)
    assert out.getvalue().splitlines() == [
        "NAME  WHERE  NOTE",
        "    LONG",
        "a     here   " + "x" * 20,
        "    " + "y" * 60,
        "bb    there  -",
        "c     -      z",
    ]


def test_a_column_wider_than_the_terminal_has_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    out = Terminal()
    write(out, ROWS[:1], COLUMNS, False)
    assert out.getvalue().splitlines() == [
        *("NAME", "    WHERE", "    NOTE", "    LONG"),
        *("a", "    here", "    " + "x" * 20, "    " + "y" * 60),
    ]


@pytest.mark.parametrize("printed", [write, None])
def test_lines_that_no_terminal_shows_are_as_long_as_they_like(
    monkeypatch: pytest.MonkeyPatch, printed: object
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    out = io.StringIO()
    if printed is None:
        write_inset(out, ROWS, COLUMNS)
    else:
        write(out, ROWS, COLUMNS, False)
    assert len(out.getvalue().splitlines()) == 4


def test_a_table_further_right_fits_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, lines in ((97, 4), (96, 6)):
        monkeypatch.setenv("COLUMNS", str(columns))
        out = Terminal()
        write_inset(out, ROWS, COLUMNS)
        told = out.getvalue().splitlines()
        assert len(told) == lines
        assert all(line.startswith("  ") and len(line) <= columns for line in told)
