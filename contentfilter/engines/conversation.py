"""One connection to clamd that is kept (``IDSESSION``, clamd(8)): one question after the other.

A message that is not large goes to a clamd of this machine as an open file without a name (``zFILDES``, with
a descriptor and an octet behind it), so that nobody writes it to a disk. Else it goes as ``zINSTREAM``:
chunks behind their length in four octets, a length of zero at the end. Each answer begins with the number of
its question and ends with NUL. What comes without having been asked for, or before the question has gone out,
ends the conversation.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IUNIXTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from contentfilter.content.results import ScanFailed
from contentfilter.engines.dialect import OTHERWISE
from contentfilter.engines.exchange import Exchange
from contentfilter.engines.seat import Message
from contentfilter.spool.seal import intact
from contentfilter.spool.unstuffing import unstuffed
from mailbase.replies import printable

MAX_ANSWER = 4096
"""Octets of an answer; a signature's name is a fraction of it."""

_LENGTH = struct.Struct(">I")
_END = _LENGTH.pack(0)
SMALL = 64 * 1024
"""Octets that go out in one write: an idle socket takes them at once."""
HANDED = 1024 * 1024
"""Octets of the largest message that is handed over as a file: such files are in memory."""


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


class Handing:
    """Whether messages are handed over as files, for all conversations with an engine.

    A clamd that must not read such files (SELinux), or that is reached through something that passes on
    nothing but octets, says that something is wrong with the first one. It and all later ones go in chunks.
    """

    refused = False

    def suits(self, message: Message, transport: object) -> bool:
        """Whether to hand ``message`` over."""
        return not self.refused and message.size <= HANDED and IUNIXTransport.providedBy(transport)


class Conversation(Exchange):
    """See :class:`contentfilter.engines.exchange.Exchange`.

    Arguments:
        handing: of the engine.
    """

    def __init__(self, gone: Callable[[Conversation], None], handing: Handing) -> None:
        super().__init__("clamd", gone)
        self._handing = handing
        self._handed = False
        """Whether the question under way came with a file."""
        self._asked = 0
        self._received = b""

    def connectionMade(self) -> None:
        cast(Any, self.transport).write(b"zIDSESSION\0")

    def ask(self, question: Message | None) -> Deferred[bytes | ScanFailed]:
        """See :class:`contentfilter.engines.dialect.Talk`; the answer comes without its number.

        Arguments:
            question: a message, whether it is infected; None: clamd's version.
        """
        self._asked += 1
        self._handed = question is not None and self._handing.suits(question, self.transport)
        if question is None:
            return self._put(version())
        return self._put(self._hand_over(question) if self._handed else instream(question))

    def _hand_over(self, message: Message) -> Iterator[bytes]:
        """The question whether ``message``, without its dot-stuffing, is infected; its file goes along.

        Raises:
            OSError: the message cannot be read, is not what came in, or there is no room for the file.
        """
        fd = os.memfd_create("message", os.MFD_CLOEXEC)
        try:
            with open(fd, "wb", closefd=False) as file:
                for chunk in unstuffed(intact(message.chunks(), message.digest)):
                    file.write(chunk)
            yield b"zFILDES\0"
            # It goes out with the next octet.
            cast(Any, self.transport).sendFileDescriptor(fd)
            yield b"\0"
        finally:
            os.close(fd)

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
            said = text if number.isdigit() else line
            if self._handed:
                self._handing.refused = True
                self._end(ScanFailed("clamd", OTHERWISE, printable(said)))
            else:
                self._end(said)
        elif number != b"%d" % self._asked:
            self._fail("an answer to another question")
        elif self._sending:
            self._fail("an answer before the end of the message")
        elif self._received:
            self._fail("more than an answer")
        else:
            self._answered(text)
