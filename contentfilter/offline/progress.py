"""How far a scan of many files has come, on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

EVERY = 0.2
"""Seconds between two looks."""
_CLEAR = "\r\x1b[K"
"""To the beginning of the line, and nothing on it (ECMA-48 8.3.41)."""


class Progress:
    """One line that is written again and again; nothing where the stream is no terminal.

    Arguments:
        stream: such as standard error.
        clock: monotonic seconds.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._visible = stream.isatty()
        self._began = self._shown_at = clock()
        self._shown = False
        self._files = 0
        self._objectionable = 0

    def step(self, objectionable: bool) -> None:
        """One more file is done."""
        self._files += 1
        self._objectionable += objectionable
        now = self._clock()
        if not self._visible or now - self._shown_at < EVERY:
            return
        self._shown_at = now
        self._shown = True
        rate = self._files / max(now - self._began, 0.001)
        self._stream.write(
            f"{_CLEAR}{self._files} files, {self._objectionable} with something in them, {rate:.0f}/s"
        )
        self._stream.flush()

    def clear(self) -> None:
        """Make room for another line, or end."""
        if self._shown:
            self._shown = False
            self._stream.write(_CLEAR)
            self._stream.flush()
