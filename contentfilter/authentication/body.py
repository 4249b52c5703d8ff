"""A message's body as signatures cover it, hashed piece by piece (RFC 6376 3.4.3, 3.4.4).

A body of 50 MiB is never held; nothing here is slower than linear, whatever the body is made of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal, TypeAlias

from contentfilter.authentication.fields import compressed, with_line_ends
from contentfilter.message.wire import Wire

PIECE = 256 * 1024
"""Octets read at once."""
_LINES = 16 * 1024
"""Empty lines hashed at once."""

Form: TypeAlias = Literal["simple", "relaxed"]


class Digest:
    """The hash of as much of a body as one signature covers.

    Arguments:
        limit: octets of the canonical body (``l=``); None: all.
    """

    __slots__ = ("_hash", "_left", "length")

    def __init__(self, limit: int | None = None) -> None:
        self._hash = hashlib.sha256()
        self._left = limit
        self.length = 0
        """Octets of the canonical body, those beyond the limit too."""

    def update(self, data: bytes) -> None:
        self.length += len(data)
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        self._hash.update(data)

    @property
    def short(self) -> int:
        """Octets that the limit asks for and the body does not have."""
        return self._left or 0

    def digest(self) -> bytes:
        return self._hash.digest()


class Canonical:
    """Brings a body into one of the two forms, for several signatures at once.

    Arguments:
        form: of the body.
        digests: what gets it.
    """

    def __init__(self, form: Form, digests: list[Digest]) -> None:
        self._relaxed = form == "relaxed"
        self._digests = digests
        self._ends = 0
        """Line ends held back, since they may be the last ones."""
        self._blank = False
        """The last piece ended with a blank that may be at a line's end."""
        self._empty = True

    def feed(self, data: bytes) -> None:
        """Take a piece.

        Arguments:
            data: every LF in it has a CR before it, and neither piece nor body is parted between the two.
        """
        if self._relaxed:
            data = self._compressed(data)
        bare = data.rstrip(b"\r\n")
        tail = data[len(bare) :]
        # What rstrip takes may have CRs in it that belong to no line end.
        kept = tail.rfind(b"\r\r") + 1
        if tail and not tail.endswith(b"\n"):
            kept = len(tail)
        content = data[: len(bare) + kept]
        if content:
            self._release()
            self._pass_on(content)
        self._ends += (len(tail) - kept) // 2

    def finish(self) -> None:
        """The body is over."""
        if self._empty:
            # An empty body is one line end in the one form, and nothing in the other.
            if not self._relaxed:
                self._pass_on(b"\r\n")
        else:
            self._pass_on(b"\r\n")

    def _compressed(self, data: bytes) -> bytes:
        if self._blank:
            data = b" " + data
        data = compressed(data)
        if b" \r\n" in data:
            data = data.replace(b" \r\n", b"\r\n")
        self._blank = data.endswith(b" ")
        return data[:-1] if self._blank else data

    def _release(self) -> None:
        while self._ends:
            count = min(self._ends, _LINES)
            self._pass_on(b"\r\n" * count)
            self._ends -= count

    def _pass_on(self, data: bytes) -> None:
        self._empty = False
        for digest in self._digests:
            digest.update(data)


def pieces(wire: Wire, start: int, size: int = PIECE) -> Iterator[bytes]:
    """The body in pieces for :meth:`Canonical.feed`: no dot-stuffing, every LF with its CR.

    Arguments:
        start: position in the wire at which the body begins, at the beginning of a line.
        size: octets of a piece at most, 2 or more.

    Raises:
        OSError: the message cannot be read.
    """
    at, within = start, False
    while at < wire.length:
        stop = min(at + size, wire.length)
        data = wire.raw(at, stop)
        # The last line end, behind which the next piece may begin; within a long line the first one.
        end = (data.find(b"\r\n") if within else data.rfind(b"\r\n")) + 2
        if stop == wire.length and not within:
            end = len(data)
        elif end < 2:
            end = len(data) - (stop < wire.length and data.endswith(b"\r"))
        # The dot of a line is at its beginning.
        piece = data[:end] if within else wire.text(at, at + end)
        at += end
        within = not piece.endswith(b"\r\n")
        yield with_line_ends(piece)
