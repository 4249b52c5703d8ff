"""Postfix's socketmap protocol without a socket: bytes in, questions out (socketmap_table(5)).

A question is the name of a map, a blank and a key, in a netstring (``19:relay_domains a.org,``); an answer is
one too. The same questions come out however the input is split. After an error nothing more comes out:
where the next netstring begins is not known then, and the connection is to be closed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from mailbase.replies import printable

MAX_LENGTH = 100_000
"""Octets within a netstring: what Postfix takes as an answer; its questions are much shorter."""
MAX_DIGITS = len(str(MAX_LENGTH))
MAX_REASON = 200
"""Characters of the text of a failure."""

REASONS = ("malformed", "too-large")
"""Why input is given up; names for log and metrics."""


class Result(enum.StrEnum):
    """How a look-up ended; the word of the answer."""

    OK = "OK"
    NOTFOUND = "NOTFOUND"
    TEMP = "TEMP"
    """Trouble that may pass: Postfix lets the mail wait."""
    PERM = "PERM"
    """A mistake in a configuration; Postfix lets the mail wait all the same."""

    __hash__ = str.__hash__


@dataclass(frozen=True, slots=True)
class Query:
    """A question.

    Arguments:
        map: name of the map; empty if there was none.
        key: what is looked up, as sent.
    """

    map: str
    key: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Arguments:
    result: how the look-up ended.
    text: what was found, or the reason why nothing could be looked up; empty for NOTFOUND.
    """

    result: Result
    text: str = ""


@dataclass(frozen=True, slots=True)
class SocketmapError:
    """Input that is no netstring.

    Arguments:
        reason: one of :data:`REASONS`.
    """

    reason: str


Event: TypeAlias = "Query | SocketmapError"

NOTFOUND = Answer(Result.NOTFOUND)


class SocketmapProtocol:
    """Takes bytes apart; holds at most one incomplete question."""

    __slots__ = ("_buffer", "_failed")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._failed = False

    @property
    def buffered(self) -> int:
        """Octets held of an incomplete question."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Event]:
        """The questions that ``data`` completes, in order; a :class:`SocketmapError` is the last event."""
        if self._failed:
            return []
        buffer = self._buffer
        buffer += data
        events: list[Event] = []
        begin = 0
        while begin < len(buffer):
            colon = buffer.find(b":", begin, begin + MAX_DIGITS + 1)
            digits = bytes(buffer[begin : colon if colon >= 0 else begin + MAX_DIGITS + 1])
            if not _is_length(digits, complete=colon >= 0):
                return self._fail(events, "malformed")
            if len(digits) > MAX_DIGITS or int(digits) > MAX_LENGTH:
                return self._fail(events, "too-large")
            if colon < 0:
                break
            end = colon + 1 + int(digits)
            if end >= len(buffer):
                break
            if buffer[end] != ord(","):
                return self._fail(events, "malformed")
            events.append(_query(bytes(buffer[colon + 1 : end])))
            begin = end + 1
        del buffer[:begin]
        return events

    def _fail(self, events: list[Event], reason: str) -> list[Event]:
        self._failed = True
        self._buffer = bytearray()
        return [*events, SocketmapError(reason)]


def _is_length(digits: bytes, complete: bool) -> bool:
    """Whether ``digits`` are a length without leading zeros, or may become one unless ``complete``."""
    if not digits:
        return not complete
    return digits.isdigit() and (digits[:1] != b"0" or len(digits) == 1)


def _query(content: bytes) -> Query:
    # Invalid UTF-8 becomes U+FFFD, which no registered name has.
    name, blank, key = content.decode("utf-8", "replace").partition(" ")
    return Query(name, key) if blank else Query("", name)


def encode(answer: Answer) -> bytes:
    """The netstring of an answer: printable ASCII, bounded."""
    text = printable(answer.text, MAX_LENGTH - 10 if answer.result is Result.OK else MAX_REASON)
    content = f"{answer.result} {text}".encode("ascii")
    return b"%d:%b," % (len(content), content)
