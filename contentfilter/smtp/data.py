"""End of data, found in large chunks and never line by line (RFC 5321 4.1.1.4, 4.5.2).

Only CRLF "." CRLF ends a message. Whatever another server might take for the end is a defect: the message is
read to its true end and then refused, so that its remainder can never become commands further on.

- A bare LF: servers that take it for a line end see LF "." LF as the end (CVE-2023-51764).
- A line that is one dot and then CR, but not CRLF: Postfix's smtp_get() strips every CR before a LF, so
  "." CR CR LF is the end to it. A sender that stuffs dots (RFC 5321 4.5.2) never sends a line that
  starts with one dot and goes on with CR, so all of them are refused and no run of CRs has to be counted.

CR without LF and NUL are no line ends to any server that we hand mail to, and pass.
"""

from __future__ import annotations

import enum
from io import IncrementalNewlineDecoder

from contentfilter.spool.unstuffing import DOTTED

_END = b"\r\n.\r\n"
_LONG = 40
"""Octets of a line from which on it pays to see whether all have one length."""


class Defect(enum.StrEnum):
    """Why a message must not be passed on."""

    BARE_LF = "bare-lf"
    DOT_CR = "dot-cr"


class DataReader:
    """Takes the bytes after 354 and tells content from the terminator.

    What could be the beginning of the terminator is held back until it is clear, at most four octets. Every
    pattern looked for below begins like the terminator, so it is never cut in two, wherever the input was.

    Attributes:
        size: octets of the message so far, un-stuffed.
        wire_size: octets as they stood on the wire, without the terminating "." CRLF.
        defect: what is wrong with the message so far, or None; BARE_LF if both defects are there.
        ended: whether the terminator was seen.
    """

    __slots__ = ("_held", "_skip", "defect", "ended", "size", "wire_size")

    def __init__(self) -> None:
        self.size = 0
        self.wire_size = 0
        self.defect: Defect | None = None
        self.ended = False
        # The CRLF of the DATA command counts as the one before the first line: "." CRLF alone ends an empty
        # message.
        self._held = b"\r\n"
        self._skip = 2

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take ``data``; returns the content in it and, after the end, what follows the terminator.

        Raises:
            RuntimeError: the end was already found.
        """
        if self.ended:
            raise RuntimeError("end of data already seen")
        if self._held:
            data = self._held + data
        # Base64 has no dot, and in most texts the first line that begins with one is the terminator.
        dotted = next(DOTTED.places(data), -1) if b"." in data else -1
        end = data.find(_END, dotted) if dotted >= 0 else -1
        rest = b""
        if end >= 0:
            self.ended = True
            rest = data[end + 5 :]
            content = data[: end + 2]
        else:
            held = _begun(data)
            content = data[:-held] if held else data
            self._held = data[-held:] if held else b""
        if not content:
            return b"", rest
        stuffed = 0
        if self.defect is not Defect.BARE_LF and _has_bare_lf(content):
            self.defect = Defect.BARE_LF
        if dotted >= 0:
            stuffed = content.count(b"\r\n.", dotted)
            if stuffed and self.defect is None and b"\r\n.\r" in content:
                self.defect = Defect.DOT_CR
        if self._skip:
            content = content[self._skip :]
            self._skip = 0
        self.wire_size += len(content)
        self.size += len(content) - stuffed
        return content, rest


def _has_bare_lf(content: bytes) -> bool:
    """Whether a LF follows something else than CR. ``content`` begins a line, or goes on with no LF."""
    first = content.find(b"\n")
    length = content.find(b"\n", first + 1) - first
    if first > 0 and length >= _LONG and _even(content, first, length):
        return False
    # It notes which line ends it meets, in half the time that counting them takes.
    seen = IncrementalNewlineDecoder(None, translate=False)
    seen.decode(content.decode("latin-1"), final=True)
    kinds = seen.newlines
    return kinds == "\n" or (isinstance(kinds, tuple) and "\n" in kinds)


def _even(content: bytes, first: int, length: int) -> bool:
    """Whether CRLF stands at ``first - 1``, then each ``length`` octets, and no other LF: base64, as a rule.

    It takes a fourth of the time that looking at each line end does.
    """
    ends = content[first::length]
    lines = len(ends)
    if ends != b"\n" * lines or content[first - 1 :: length][:lines] != b"\r" * lines:
        return False
    others = bytearray(content)
    del others[first::length]
    return b"\n" not in others


def _begun(data: bytes) -> int:
    """How many octets at the end of ``data`` may be the beginning of the terminator."""
    if data.endswith(b"\n"):
        return 2 if data.endswith(b"\r\n") else 0
    if data.endswith(b"\r"):
        return 4 if data.endswith(b"\r\n.\r") else 1
    return 3 if data.endswith(b"\r\n.") else 0
