"""What Postfix makes of a message between us and the next server, so that the signature is over that.

Seen with Postfix 3.7.11 (``tests/integration/test_signing.py`` looks again): smtpd drops carriage returns
before a line end, cleanup turns those within a line into blanks (``cleanup_replace_stray_cr_lf``), and the
SMTP client breaks lines (``smtp_line_length_limit``). Everything here works on pieces, wherever they end, and
holds little of them.
"""

from __future__ import annotations

import re

MAX_RUN = 64 * 1024
"""Carriage returns in a row that are held to see what follows; no honest mail has two."""

_BEFORE_END = re.compile(rb"(?<!\r)\r++\n")
_RUN_AT_END = re.compile(rb"\r*\Z")


class Unforeseeable(Exception):
    """Nobody can say what will become of this message; the text is for the log."""


class LineEnds:
    """Lines that end with LF, without other carriage returns than those that Postfix keeps.

    Arguments:
        keep_stray: Postfix passes carriage returns within lines as they are.
    """

    def __init__(self, keep_stray: bool = False) -> None:
        self._keep_stray = keep_stray
        self._held = 0

    def feed(self, data: bytes) -> bytes:
        """What is certain by now of the message up to the end of ``data``.

        Raises:
            Unforeseeable: too many carriage returns in a row.
        """
        if not self._held and b"\r" not in data:
            return data
        whole = b"\r" * self._held + data
        end = len(whole.rstrip(b"\r"))
        self._held = len(whole) - end
        if self._held > MAX_RUN:
            raise Unforeseeable("carriage returns in a row")
        return self._clean(whole[:end])

    def end(self) -> bytes:
        """The rest, after the last piece."""
        held, self._held = self._held, 0
        return self._clean(b"\r" * held)

    def _clean(self, data: bytes) -> bytes:
        data = _BEFORE_END.sub(b"\n", data) if b"\r\r\n" in data else data.replace(b"\r\n", b"\n")
        return data if self._keep_stray else data.replace(b"\r", b" ")


class Folding:
    """Breaks long lines as Postfix's SMTP client does: after ``limit`` octets, with a blank on the next line.

    Arguments:
        limit: ``smtp_line_length_limit``; 0: no line is broken.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0

    def feed(self, data: bytes) -> bytes:
        """``data``, a piece of lines that end with LF, with those broken that are too long."""
        if not self._limit:
            return data
        lines = data.split(b"\n")
        if self._used + len(lines[0]) <= self._limit and max(map(len, lines)) <= self._limit:
            self._used = len(lines[-1]) + (self._used if len(lines) == 1 else 0)
            return data
        made = [self._fold(lines[0])]
        for line in lines[1:]:
            self._used = 0
            made.append(line if len(line) < self._limit else self._fold(line))
        if len(lines) > 1 and len(lines[-1]) < self._limit:
            self._used = len(lines[-1])
        return b"\n".join(made)

    def _fold(self, line: bytes) -> bytes:
        """A piece of a line, broken; ``_used`` octets of the line stand before it."""
        start, end = 0, self._limit - self._used
        pieces = []
        while end < len(line):
            pieces.append(line[start:end])
            start, end = end, end + self._limit - 1
        pieces.append(line[start:])
        # The blank that follows a break counts.
        self._used = (self._used if len(pieces) == 1 else 1) + len(pieces[-1])
        return b"\n ".join(pieces)
