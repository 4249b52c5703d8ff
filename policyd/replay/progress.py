"""How far a long run has come, on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

ON_TERMINAL, ELSEWHERE = 1.0, 30.0
"""Seconds between two reports."""


class Progress:
    """Arguments:
    what: is done.
    stream: where to say it.
    seconds: of a clock that is never set back.
    """

    def __init__(
        self, what: str, stream: TextIO | None = None, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = what
        self._stream = stream if stream is not None else sys.stderr
        self._terminal = self._stream.isatty()
        self._seconds = seconds
        self._began = self._said = seconds()
        self._shown = False

    def __call__(self, count: int) -> None:
        """So much is done."""
        now = self._seconds()
        if now - self._said < (ON_TERMINAL if self._terminal else ELSEWHERE):
            return
        self._said = now
        text = f"{self._what}: {count:,} lines, {count / max(0.001, now - self._began):,.0f}/s"
        self._stream.write(f"\r{text}\x1b[K" if self._terminal else f"{text}\n")
        self._stream.flush()
        self._shown = self._terminal

    def end(self) -> None:
        """Leave the terminal as it was."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
