"""One smtpd that asks us as a milter: the thin Twisted edge around its session.

It moves bytes, keeps time, and has the message in hand looked at; what to do is the session's decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, assert_never

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from contentfilter.in_hand import InHand
from contentfilter.milter.packets import MilterError, PacketReader
from contentfilter.milter.session import Command, Event, Send, Session
from contentfilter.steps import (
    CancelInspection,
    ClientGone,
    ClientSilent,
    Close,
    CloseSpool,
    EdgeEvent,
    Inspect,
    OpenSpool,
    Record,
    SpoolFailed,
    Stop,
    Store,
    TurnAway,
)
from mailbase.prompt import Prompt

if TYPE_CHECKING:
    from contentfilter.milter.server import MilterFactory

CLOSING = 10.0
"""Seconds for Postfix to take our last words."""
LARGE_READ = 256 * 1024
"""Octets read at once within a message."""
SMALL_READ = 64 * 1024
"""Octets read at once, Twisted's default."""


class MilterConnection(Protocol):
    """One connection of Postfix's."""

    transport: Any

    def __init__(self, factory: MilterFactory) -> None:
        self._owner = factory
        self._reactor = factory.reactor
        self._reader = PacketReader()
        self._mail = InHand(factory, self._told, self._broken)
        self._session = Session(factory.profile, factory.splits, self._mail.is_busy)
        self._out: list[bytes] = []
        self._prompt: Prompt
        self._lost = False
        self._silent_at = 0.0
        self._timer: Any = None

    # From the transport.

    def connectionMade(self) -> None:
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        if self._owner.refusal():
            # Postfix answers its client with milter_default_action: tempfail, unless somebody wants it else.
            self._owner.meter.turned_away(self._owner.protocol_name)
            self._lost = True
            self.transport.loseConnection()
            return
        self._owner.admit(self)
        self._prompt = Prompt(self.transport)
        self._touch()
        self._timer = self._reactor.callLater(self._owner.silence, self._check_silence)

    def dataReceived(self, data: bytes) -> None:
        if self._is_over():
            return
        self._touch()
        if len(data) >= SMALL_READ and self._session.in_message:
            self.transport.bufferSize = LARGE_READ
        try:
            for command, rest in self._reader.feed(data):
                self._run(self._session.receive(command, rest))
                if self._is_over():
                    break
        except MilterError as error:
            self._owner.log.error("milter-protocol", error=str(error))
            self._run(self._session.handle(ClientGone()))
            self._close()
        self._flush()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._lost:
            return
        self._lost = True
        self._run(self._session.handle(ClientGone()))
        self._owner.release(self)

    # From the factory.

    def stop(self) -> None:
        """End when no transaction is running."""
        self._event(Stop())

    # What is to be done.

    def _is_over(self) -> bool:
        return self._lost or self._session.closed

    def _told(self, event: EdgeEvent) -> None:
        assert isinstance(event, Event)
        self._event(event)

    def _event(self, event: Event) -> None:
        """Something happened beside Postfix's packets."""
        self._run(self._session.handle(event))
        self._touch()
        self._flush()

    def _run(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case Send(data=data):
                    self._out.append(data)
                case Store(data=data, size=size):
                    if not self._mail.store(data, size):
                        self._run(self._session.handle(SpoolFailed()))
                case TurnAway(envelope=envelope):
                    self._mail.turned_away(envelope)
                case OpenSpool():
                    self._mail.open()
                case Inspect(envelope=envelope):
                    self.transport.bufferSize = SMALL_READ
                    self._mail.inspect(envelope)
                case CloseSpool():
                    self._mail.close()
                case CancelInspection():
                    self._mail.cancel()
                case Record():
                    self._mail.record(command)
                case Close():
                    self._close()
                case _:
                    assert_never(command)

    def _flush(self) -> None:
        if self._out and not self._lost:
            self._prompt.write(b"".join(self._out))
        self._out.clear()

    def _close(self) -> None:
        if self._lost:
            return
        self._flush()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._reactor.callLater(CLOSING, self.transport.abortConnection)
        self.transport.loseConnection()

    def _broken(self, failure: Failure) -> None:
        """Our own mistake: Postfix hears nothing that could be wrong, and tells its client to try again."""
        self._owner.log.exception("connection-broken", failure.value or RuntimeError("no cause"))
        self._mail.close()
        self._owner.release(self)
        if not self._lost:
            self.transport.abortConnection()

    # Time.

    def _touch(self) -> None:
        self._silent_at = self._reactor.seconds() + self._owner.silence

    def _check_silence(self) -> None:
        now = self._reactor.seconds()
        if self._session.busy:
            # The inspection has a deadline of its own.
            self._silent_at = now + self._owner.silence
        if now >= self._silent_at:
            self._run(self._session.handle(ClientSilent()))
            return
        self._timer = self._reactor.callLater(self._silent_at - now, self._check_silence)
