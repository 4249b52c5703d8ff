"""A prepared line is the line that info() would write, whatever the values."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

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


def test_lines_keep_their_order_and_the_time_at_which_they_were_noted() -> None:
    clock, stream = Clock(), io.StringIO()
    log = Log("test", stream=stream, now=clock.seconds, scheduler=clock)
    write = log.prepared("decision", *NAMES)
    clock.rightNow = 1.25
    write("1", "a", "b", 0.5)
    clock.rightNow = 2.5
    log.info("between")
    write("2", "two words", "b", 0.5)
    clock.rightNow = 3.75
    assert not stream.getvalue()
    clock.advance(0)
    assert stream.getvalue().splitlines() == [
        "1970-01-01T00:00:01.250Z test info event=decision id=1 sender=a recipient=b seconds=0.5",
        "1970-01-01T00:00:02.500Z test info event=between",
        '1970-01-01T00:00:02.500Z test info event=decision id=2 sender="two words" recipient=b seconds=0.5',
    ]
