"""One connection to clamd that is kept (``IDSESSION``, clamd(8)): one question after the other.

A message goes as ``zINSTREAM``: chunks behind their length in four octets, a length of zero at the end. Each
answer begins with the number of its question and ends with NUL. What comes without having been asked for, or
before the question has gone out, ends the conversation.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from contentfilter.content.results import ScanFailed
from contentfilter.engines.exchange import Exchange
from contentfilter.engines.seat import Message
from contentfilter.spool.seal import intact
from contentfilter.spool.unstuffing import unstuffed

MAX_ANSWER = 4096
"""Octets of an answer; a signature's name is a fraction of it."""

_LENGTH = struct.Struct(">I")
_END = _LENGTH.pack(0)
SMALL = 64 * 1024
"""Octets that go out in one write: an idle socket takes them at once."""


def instream(message: Message) -> Iterator[bytes]:
    """The question whether ``message``, without its dot-stuffing, is infected.

    Raises:
        OSError: the message cannot be read, or is not what came in.
    """
    out = b"zINSTREAM\0"
    for chunk in unstuffed(intact(message.chunks(), message.digest)):
        out = b"".join((out, _LENGTH.pack(len(chunk)), chunk))
        if len(out) >= SMALL:
            yield out
            out = b""
    yield out + _END


def version() -> Iterator[bytes]:
    """The question for clamd's version and that of its signatures; who answers is alive."""
    yield b"zVERSION\0"


class Conversation(Exchange):
    """See :class:`contentfilter.engines.exchange.Exchange`."""

    def __init__(self, gone: Callable[[Conversation], None]) -> None:
        super().__init__("clamd", gone)
        self._asked = 0
        self._received = b""

    def connectionMade(self) -> None:
        cast(Any, self.transport).write(b"zIDSESSION\0")

    def ask(self, question: Iterator[bytes]) -> Deferred[bytes | ScanFailed]:
        """See :class:`contentfilter.engines.dialect.Talk`; the answer comes without its number."""
        self._asked += 1
        return self._put(question)

    # The transport's

    def dataReceived(self, data: bytes) -> None:
        if self.lost:
            return
        self._received += data
        line, end, rest = self._received.partition(b"\0")
        if not end:
            if len(self._received) > MAX_ANSWER:
                self._fail("an answer without an end")
            return
        self._received = rest
        self._read(line)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # clamd ends some errors without NUL.
        if self._received and not self.lost:
            self._read(self._received)
        self._end(ScanFailed("clamd", "crashed", "clamd closed the connection"))

    def _read(self, line: bytes) -> None:
        number, _, text = line.partition(b": ")
        if self._answer is None:
            self._fail("an answer that was not asked for")
        elif line.endswith(b"ERROR"):
            # It may come at any time, without a number too, and clamd closes the connection after most.
            self._end(text if number.isdigit() else line)
        elif number != b"%d" % self._asked:
            self._fail("an answer to another question")
        elif self._sending:
            self._fail("an answer before the end of the message")
        elif self._received:
            self._fail("more than an answer")
        else:
            self._answered(text)
