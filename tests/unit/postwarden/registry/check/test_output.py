"""What registry check prints, on a terminal and elsewhere."""

from __future__ import annotations

import io
import json

from postwarden.registry.check.command import Progress, write
from postwarden.registry.check.finding import Check, Finding, Severity
from tests.unit.terminal import Terminal

FINDING = Finding("s.example", "x.example", Check.SIZE, Severity.ERROR, "a\x1b[31m\nb", "c")


def test_json_and_table_hold_nothing_foreign_as_it_is() -> None:
    stream = io.StringIO()
    write(stream, [FINDING], True)
    assert json.loads(stream.getvalue()) == {
        "server": "s.example",
        "subject": "x.example",
        "check": "size",
        "severity": "error",
        "found": "a?[31m?b",
        "change": "c",
    }
    stream = io.StringIO()
    write(stream, [FINDING], False)
    assert "server" in stream.getvalue().splitlines()[0]
    assert "\x1b" not in stream.getvalue()
    write(stream := io.StringIO(), [], False)
    assert stream.getvalue() == ""


def test_progress_is_shown_on_a_terminal_alone_and_leaves_no_trace() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        progress = Progress(stream)
        progress.show(3, 10)
        progress.end()
    assert pipe.getvalue() == ""
    assert terminal.getvalue() == "\rchecked 3 of 10\r" + " " * 15 + "\r"
