"""One connection to clamd that is kept (``IDSESSION``, clamd(8)): one question after the other.

A message goes as ``zINSTREAM``: chunks behind their length in four octets, a length of zero at the end. Each
answer begins with the number of its question and ends with NUL. What comes without having been asked for, or
before the question has gone out, ends the conversation.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, cast

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from contentfilter.engines.seat import Message
from contentfilter.results import ScanFailed
from contentfilter.spool import intact
from contentfilter.unstuffing import unstuffed

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
        out += _LENGTH.pack(len(chunk)) + chunk
        if len(out) >= SMALL:
            yield out
            out = b""
    yield out + _END


def version() -> Iterator[bytes]:
    """The question for clamd's version and that of its signatures; who answers is alive."""
    yield b"zVERSION\0"


@implementer(IPullProducer)
class Conversation(protocol.Protocol):
    """Arguments:
    gone: told when the connection is no more, or of no more use.

    Attributes:
        lost: whether it is of no more use.
    """

    def __init__(self, gone: Callable[[Conversation], None]) -> None:
        self._gone = gone
        self._asked = 0
        self._frames: Iterator[bytes] | None = None
        self._answer: Deferred[bytes | ScanFailed] | None = None
        self._received = b""
        self.lost = False

    def connectionMade(self) -> None:
        cast(Any, self.transport).write(b"zIDSESSION\0")

    def ask(self, question: Iterator[bytes]) -> Deferred[bytes | ScanFailed]:
        """Put a question; there must be none under way.

        Returns:
            Fires with the answer, without its number, or with why there is none. Fails only with what the
            question itself raises.
        """
        self._asked += 1
        self._frames = question
        answer: Deferred[bytes | ScanFailed] = Deferred()
        self._answer = answer
        cast(Any, self.transport).registerProducer(self, False)
        return answer

    def abandon(self, why: ScanFailed) -> None:
        """Nobody waits any more; the question under way ends with ``why``."""
        self._end(why)

    # The transport's

    def resumeProducing(self) -> None:
        if self._frames is None:
            return
        transport = cast(Any, self.transport)
        try:
            frame = next(self._frames, None)
        except (OSError, ValueError) as problem:
            # The spool broke, or was closed since nobody waits any more.
            self._end(Failure(problem))  # type: ignore[no-untyped-call]
            return
        if frame is None:
            # The transport asks again when all has gone out.
            self._frames = None
            transport.unregisterProducer()
        else:
            transport.write(frame)

    def stopProducing(self) -> None:
        """The transport is gone; ``connectionLost`` follows."""

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
        self._answered(line)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # clamd ends some errors without NUL.
        if self._received and not self.lost:
            self._answered(self._received)
        self._end(ScanFailed("clamd", "crashed", "clamd closed the connection"))

    def _answered(self, line: bytes) -> None:
        number, _, text = line.partition(b": ")
        if self._answer is None:
            self._fail("an answer that was not asked for")
        elif line.endswith(b"ERROR"):
            # It may come at any time, without a number too, and clamd closes the connection after most.
            self._end(text if number.isdigit() else line)
        elif number != b"%d" % self._asked:
            self._fail("an answer to another question")
        elif self._frames is not None:
            self._fail("an answer before the end of the message")
        elif self._received:
            self._fail("more than an answer")
        else:
            answer, self._answer = self._answer, None
            answer.callback(text)

    def _fail(self, detail: str) -> None:
        self._end(ScanFailed("clamd", "protocol", detail))

    def _end(self, outcome: bytes | ScanFailed | Failure) -> None:
        """This connection is of no more use; the question under way, if any, ends with ``outcome``."""
        answer, self._answer = self._answer, None
        self._frames = None
        if not self.lost:
            self.lost = True
            cast(Any, self.transport).abortConnection()
            self._gone(self)
        if answer is not None:
            answer.callback(outcome)
