"""A server's replies, read from its bytes (RFC 5321 4.2)."""

from __future__ import annotations

import re

from mailbase.replies import Reply

MAX_LINE = 2048
"""Octets of one reply line with its line end."""
MAX_LINES = 200
"""Lines of one reply."""

_LINE = re.compile(rb"([2-5][0-9][0-9])([ -]?)")
_FOREIGN = bytes(byte if 32 <= byte < 127 or byte == 9 else ord("?") for byte in range(256))


class ReplyError(ValueError):
    """What came is no SMTP reply."""


class ReplyReader:
    """Collects lines until a reply is complete; bounded.

    Bytes that are not printable ASCII become ``?``: a back end may echo what the client sent it, and a
    reply that we pass on must not carry such bytes further.
    """

    __slots__ = ("_buffer", "_lines")

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: list[bytes] = []

    @property
    def pending(self) -> bool:
        """Whether a reply has begun and not ended."""
        return bool(self._buffer or self._lines)

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that ``data`` completes, in order.

        Raises:
            ReplyError: a line that is no reply, another code within a reply, or over a bound.
        """
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) >= MAX_LINE:
            raise ReplyError("reply line too long")
        replies = []
        for raw in lines:
            line = raw.removesuffix(b"\r")
            match = _LINE.match(line)
            if match is None or len(raw) >= MAX_LINE or (len(line) > 3 and not match[2]):
                raise ReplyError("not an SMTP reply")
            if self._lines and self._lines[0][:3] != match[1]:
                raise ReplyError("code changes within a reply")
            self._lines.append(line.translate(_FOREIGN))
            if len(self._lines) > MAX_LINES:
                raise ReplyError("reply with too many lines")
            if match[2] != b"-":
                replies.append(Reply.read(self._lines))
                self._lines = []
        return replies
