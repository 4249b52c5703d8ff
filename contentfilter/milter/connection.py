"""One smtpd that asks us as a milter: the thin Twisted edge around its session.

It moves bytes, keeps time, and has the message in hand looked at; what to do is the session's decision.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, assert_never

from contentfilter.milter.packets import MilterError, PacketReader
from contentfilter.milter.session import Command, Event, Send, Session
from contentfilter.session.served import LARGE_READ, SMALL_READ, Served
from contentfilter.session.steps import (
    CancelInspection,
    ClientGone,
    Close,
    CloseSpool,
    EdgeEvent,
    Inspect,
    OpenSpool,
    Record,
    SpoolFailed,
    Store,
    TurnAway,
)

if TYPE_CHECKING:
    from contentfilter.milter.server import MilterFactory


class MilterConnection(Served["MilterFactory"]):
    """One connection of Postfix's.

    One that is turned away hears nothing, and Postfix answers its client with milter_default_action:
    tempfail, unless somebody wants it else.
    """

    def __init__(self, factory: MilterFactory) -> None:
        super().__init__(factory)
        self._reader = PacketReader()
        self._session = Session(factory.profile, factory.splits, self._mail.is_busy)

    # From the transport.

    def connectionMade(self) -> None:
        if hasattr(self.transport, "setTcpKeepAlive"):
            self.transport.setTcpKeepAlive(True)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        if self._is_over():
            return
        self._touch()
        if len(data) >= SMALL_READ and self._session.in_message:
            self.transport.bufferSize = LARGE_READ
        self._reader.flowing = self._session.body_flows
        try:
            for command, rest in self._reader.feed(data):
                self._run(self._session.receive(command, rest))
                if self._is_over():
                    break
        except MilterError as error:
            self._owner.log.error("milter-protocol", error=str(error))
            self._run(self._session.handle(ClientGone()))
            self._end()
        self._flush()

    # What is to be done.

    def _event(self, event: EdgeEvent) -> None:
        """Something happened beside Postfix's packets."""
        assert isinstance(event, Event)
        self._run(self._session.handle(event))
        self._touch()
        self._flush()

    def _run(self, commands: Iterable[Command]) -> None:
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
                    self._end()
                case _:
                    assert_never(command)
