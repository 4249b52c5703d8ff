"""A prepared line is the line that info() would write, whatever the values."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbase.logs import MAX_VALUE, Log

NAMES = ("id", "sender", "recipient", "seconds")


def both(values: tuple[Any, ...], **options: Any) -> tuple[str, str]:
    lines = []
    for prepared in (True, False):
        stream = io.StringIO()
        log = Log("test", stream=stream, now=lambda: 1_800_000_000.25, **options)
        if prepared:
            log.prepared("decision", *NAMES)(*values)
        else:
            log.info("decision", **dict(zip(NAMES, values, strict=True)))
        lines.append(stream.getvalue())
    return lines[0], lines[1]


@pytest.mark.parametrize(
    "foreign",
    [
        "plain@x",
        "",
        "two words",
        "a\nb",
        "a\nevent=forged",
        'q"q',
        "b\\s",
        "k=v",
        "\xff",
        "\ud800",
        "x" * MAX_VALUE,
        "x" * (MAX_VALUE + 1),
        "\r",
        "\0",
    ],
)
@pytest.mark.parametrize("options", [{}, {"style": "json"}, {"pseudonym_key": b"k"}, {"level": "error"}])
def test_the_same_line(foreign: str, options: dict[str, Any]) -> None:
    for values in ((foreign, "b@x", "c", 0.000123), ("a", "b@x", foreign, 1.5)):
        prepared, usual = both(values, **options)
        assert prepared == usual
        assert prepared.count("\n") == (0 if "level" in options else 1)


@given(st.tuples(st.text(), st.text(), st.text(), st.floats(0, 1e6)))
@settings(max_examples=300, deadline=None)
def test_the_same_line_for_any_text(values: tuple[Any, ...]) -> None:
    prepared, usual = both(values)
    assert prepared == usual
