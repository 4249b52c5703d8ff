"""What a terminal sees of a run, and that nothing in a name disturbs it."""

from __future__ import annotations

import io

from contentfilter import cli
from contentfilter.offline.progress import Progress


class Terminal(io.StringIO):
    def __init__(self, there: bool = True) -> None:
        super().__init__()
        self.there = there

    def isatty(self) -> bool:
        return self.there


def test_a_terminal_sees_how_far_it_is_now_and_then():
    stream, now = Terminal(), [10.0]
    progress = Progress(stream, lambda: now[0])
    for number in range(40):
        now[0] += 0.01
        progress.step(objectionable=number % 10 == 0)
    assert stream.getvalue().count("files") == 1
    now[0] += 1
    progress.step(objectionable=False)
    assert stream.getvalue().endswith("41 files, 4 with something in them, 29/s")
    progress.clear()
    assert stream.getvalue().endswith("\r\x1b[K")
    before = stream.getvalue()
    progress.clear()
    assert stream.getvalue() == before


def test_a_file_sees_no_progress():
    stream, now = Terminal(there=False), [0.0]
    progress = Progress(stream, lambda: now[0])
    for _ in range(5):
        now[0] += 1
        progress.step(objectionable=True)
    progress.clear()
    assert stream.getvalue() == ""


def test_nothing_in_a_name_disturbs_the_terminal(monkeypatch):
    output = io.StringIO()
    monkeypatch.setattr("sys.stdout", output)
    cli._print_line(
        {
            "path": "a\x1b[31m\n\udcff",
            "disposition": "reject",
            "findings": [{"name": "virus", "part": "\x07\r\n"}],
            "unscanned": [{"part": "", "reason": "failed"}],
        }
    )
    assert output.getvalue().count("\n") == 1
    assert all(32 <= ord(letter) < 127 for letter in output.getvalue()[:-1])
