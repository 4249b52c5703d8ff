"""clamd over its socket: the message as its recipient gets it, streamed, and one line back.

Command ``zINSTREAM`` (clamd(8)): chunks behind their length in four octets, a length of zero at the end, an
answer that ends with NUL. One connection a message; nothing runs in a thread.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any, Protocol, cast

from twisted.internet import error, protocol
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IPullProducer, IStreamClientEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from contentfilter.results import ScanFailed, ScanResult
from contentfilter.spool import intact
from contentfilter.unstuffing import unstuffed
from mailbase.config.places import Systemd, Tcp, Unix, parse_place
from mailbase.replies import printable
from mailbase.vocabulary import Finding, Unscanned

SCANNER = "clamd"
"""The name in :class:`ScanFailed` and in the metrics."""
MAX_ANSWER = 4096
"""Octets of clamd's answer; a signature's name is a fraction of it."""

_LENGTH = struct.Struct(">I")
_FOUND = re.compile(r"stream: (.+) FOUND", re.DOTALL)


class Message(Protocol):
    """What clamd needs of a spooled message."""

    size: int

    @property
    def digest(self) -> bytes: ...
    def chunks(self) -> Iterator[bytes]: ...


class Settings(Protocol):
    """What of ``contentfilter.clamd`` is read here."""

    @property
    def address(self) -> str: ...
    @property
    def timeout(self) -> float: ...
    @property
    def max_size(self) -> int: ...


class Clamd:
    """Asks a clamd.

    Arguments:
        reactor: for the connection and the time-out.
        settings: ``contentfilter.clamd`` of the configuration.
    """

    def __init__(self, reactor: Any, settings: Settings) -> None:
        self._reactor = reactor
        self._settings = settings

    async def scan(self, message: Message, timeout: float | None = None) -> ScanResult | ScanFailed:
        """What clamd says of ``message``.

        Arguments:
            timeout: seconds; at most, and by default, the configured ones.
        """
        settings = self._settings
        if message.size > settings.max_size:
            detail = f"{message.size} octets; clamd gets at most {settings.max_size}"
            return ScanResult(unscanned=(Unscanned("", "too-large", detail),))
        seconds = settings.timeout if timeout is None else min(timeout, settings.timeout)
        if seconds <= 0:
            return ScanFailed(SCANNER, "timed-out", "no time left")
        conversation = _Conversation(_frames(intact(message.chunks(), message.digest)))
        started = self._reactor.seconds()
        timer = self._reactor.callLater(seconds, conversation.give_up, f"no answer within {seconds:g} s")
        connecting = self._endpoint(seconds).connect(Factory.forProtocol(lambda: conversation))
        connecting.addErrback(conversation.unreachable)
        try:
            answer = await conversation.answer
        finally:
            if timer.active():
                timer.cancel()
            conversation.close()
            connecting.cancel()
        if isinstance(answer, ScanFailed):
            return answer
        return judge(answer, self._reactor.seconds() - started)

    def _endpoint(self, seconds: float) -> IStreamClientEndpoint:
        match parse_place(self._settings.address):
            case Unix(path):
                return UNIXClientEndpoint(self._reactor, path, timeout=seconds)  # type: ignore[no-untyped-call]
            case Tcp(host, port):
                return HostnameEndpoint(self._reactor, host or "localhost", port, timeout=seconds)
            case Systemd():
                raise ValueError("contentfilter.clamd.address: expected an address to connect to")


def judge(answer: bytes, seconds: float) -> ScanResult | ScanFailed:
    """What clamd's answer means.

    Arguments:
        answer: without the final NUL.
        seconds: how long it took.
    """
    text = printable(answer.strip(), 400)
    if text == "stream: OK":
        return ScanResult(seconds=seconds)
    if found := _FOUND.fullmatch(text):
        return ScanResult((Finding("virus", "", found[1]),), seconds=seconds)
    if "size limit exceeded" in text:
        # Its StreamMaxLength is smaller than our max_size; no later try would end otherwise.
        return ScanResult(unscanned=(Unscanned("", "too-large", text),), seconds=seconds)
    return ScanFailed(SCANNER, "protocol", text or "an empty answer")


def _frames(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield b"zINSTREAM\0"
    for chunk in unstuffed(chunks):
        yield _LENGTH.pack(len(chunk)) + chunk
    yield _LENGTH.pack(0)


@implementer(IPullProducer)
class _Conversation(protocol.Protocol):
    """One question to clamd; the transport takes the next piece when the last has gone out."""

    def __init__(self, frames: Iterator[bytes]) -> None:
        self._frames: Iterator[bytes] | None = frames
        self._received = b""
        self._closed = False
        self.answer: Deferred[bytes | ScanFailed] = Deferred()

    def connectionMade(self) -> None:
        if self._closed:
            self.close()
        else:
            cast(Any, self.transport).registerProducer(self, False)

    def resumeProducing(self) -> None:
        transport = cast(Any, self.transport)
        if self._frames is None:
            return
        try:
            frame = next(self._frames, None)
        except (OSError, ValueError) as problem:
            # The spool broke, or was closed since nobody waits any more.
            self.give_up(f"the message cannot be read: {problem}", "crashed")
            return
        if frame is None:
            self._frames = None
            transport.unregisterProducer()
        else:
            transport.write(frame)

    def stopProducing(self) -> None:
        self._frames = None

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > MAX_ANSWER:
            self.give_up("an answer without an end", "protocol")
            return
        line, end, _rest = self._received.partition(b"\0")
        if end:
            self._settle(line)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # clamd ends some errors without NUL.
        nothing = ScanFailed(SCANNER, "unavailable", "clamd closed the connection")
        self._settle(self._received or nothing)

    def unreachable(self, failure: Failure) -> None:
        """No connection came about."""
        slow = isinstance(failure.value, error.TimeoutError)
        text = printable(failure.getErrorMessage())
        self._settle(ScanFailed(SCANNER, "timed-out" if slow else "unavailable", text))

    def give_up(self, why: str, reason: str = "timed-out") -> None:
        """Nothing that clamd may still say counts."""
        self._settle(ScanFailed(SCANNER, reason, why))

    def _settle(self, answer: bytes | ScanFailed) -> None:
        if not self._closed:
            self.close()
            self.answer.callback(answer)

    def close(self) -> None:
        """Say and hear nothing more."""
        self._closed = True
        self._frames = None
        if self.transport is not None:
            cast(Any, self.transport).abortConnection()
