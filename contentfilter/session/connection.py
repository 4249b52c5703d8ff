"""One client of the content filter: the thin Twisted edge around engine and session.

It moves bytes, keeps time, and calls inspector and reinjection port; what to do is the session's decision.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, assert_never

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from contentfilter.reinjection.reinjection import Delivery
from contentfilter.session.served import LARGE_READ, SMALL_READ, Served
from contentfilter.session.session import Session
from contentfilter.session.steps import (
    AbandonReinjection,
    CancelInspection,
    Close,
    CloseSpool,
    Command,
    DeliveryEnded,
    EdgeEvent,
    Inspect,
    OpenSpool,
    Record,
    Reinject,
    Say,
    SpoolFailed,
    Store,
    TakeBack,
    TurnAway,
)
from contentfilter.smtp.client import Outcome
from contentfilter.smtp.server import ServerEngine
from mailbase.replies import Reply

if TYPE_CHECKING:
    from contentfilter.session.server import ProxyFactory

MAX_PIPELINED = 64 * 1024
"""Octets of input kept while a mail is being decided on; then reading stops."""
MAX_DATA_TIME = 3600.0
"""Seconds from DATA to its end, however busily the client sends."""


@implementer(IPushProducer)
class ProxyConnection(Served["ProxyFactory"]):
    """One client."""

    def __init__(self, factory: ProxyFactory) -> None:
        super().__init__(factory)
        self._engine = ServerEngine(factory.profile.lmtp)
        self._session = Session(
            factory.profile, lambda: factory.port.offer, factory.splits, self._mail.is_busy
        )
        self._pumping = False
        self._choked = False
        """Our replies pile up; nothing more is read or done until the client takes them."""
        self._reading = True
        self._large = False
        self._delivery: Delivery | None = None
        self._reinject_began = 0.0

    # From the transport.

    def _turn_away(self, refusal: Reply) -> None:
        self.transport.write(refusal.encode())

    def _greet(self) -> None:
        self.transport.registerProducer(self, True)
        self._prompt.write(self._session.banner().encode())

    def dataReceived(self, data: bytes) -> None:
        if self._is_over():
            return
        self._touch()
        if len(data) >= SMALL_READ and not self._large and self._engine.in_data:
            self._large = True
            self.transport.bufferSize = LARGE_READ
        self._engine.receive(data)
        self._pump()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self._lost:
            self._engine.close()
        super().connectionLost(reason)

    def pauseProducing(self) -> None:
        """The client does not take our replies."""
        self._choked = True
        self._adjust_reading()

    def resumeProducing(self) -> None:
        """It has taken them."""
        self._choked = False
        self._pump()

    def stopProducing(self) -> None:
        """The transport is gone; ``connectionLost`` follows."""

    # Engine and session.

    def _pump(self) -> None:
        """Take events out of the engine as long as there are any."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while not self._choked:
                event = self._engine.next_event()
                if event is None:
                    break
                self._run(self._session.handle(event))
        finally:
            self._pumping = False
        self._flush()
        self._adjust_reading()

    def _event(self, event: EdgeEvent) -> None:
        """Something happened beside the client's input."""
        self._run(self._session.handle(event))
        if self._lost:
            if self._session.closed:
                self._owner.release(self)
        elif not self._pumping:
            self._touch()
            self._pump()

    def _run(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case Say(reply=reply):
                    self._out.append(self._engine.reply(reply))
                case Store(data=data, size=size):
                    self._store(data, size)
                case TurnAway(envelope=envelope):
                    self._mail.turned_away(envelope)
                case OpenSpool():
                    self._mail.open()
                case Inspect(envelope=envelope):
                    self._mail.inspect(envelope)
                case Reinject():
                    self._reinject(command)
                case CloseSpool():
                    self._close_spool()
                case TakeBack(kept=kept):
                    self._owner.inspector.take_back(kept)
                case Record():
                    self._mail.record(command)
                case CancelInspection():
                    self._mail.cancel()
                case AbandonReinjection():
                    if self._delivery is not None:
                        self._delivery.abandon()
                case Close(reply=reply):
                    self._close(reply)
                case _:
                    assert_never(command)

    def _adjust_reading(self) -> None:
        wanted = not self._choked and self._engine.buffered <= MAX_PIPELINED
        if wanted != self._reading and not self._is_over():
            self._reading = wanted
            if wanted:
                self.transport.resumeProducing()
            else:
                self.transport.pauseProducing()

    # What the session commands.

    def _store(self, data: bytes, size: int) -> None:
        if not self._mail.store(data, size):
            self._usual_reads()
            self._run(self._session.handle(SpoolFailed()))

    def _close_spool(self) -> None:
        self._usual_reads()
        self._mail.close()

    def _usual_reads(self) -> None:
        if self._large:
            self._large = False
            self.transport.bufferSize = SMALL_READ

    def _reinject(self, command: Reinject) -> None:
        mail = self._mail
        if mail.spool is None:
            raise RuntimeError("nothing to reinject")
        self._reinject_began = self._reactor.seconds()
        delivery = self._owner.port.deliver(command.job, command.header, mail.spool, mail.deadline)
        self._delivery = delivery
        delivery.outcome.addCallback(self._delivery_ended).addErrback(self._broken)

    def _delivery_ended(self, outcome: Outcome) -> None:
        self._delivery = None
        self._mail.took("reinjection", self._reactor.seconds() - self._reinject_began)
        self._event(DeliveryEnded(outcome))

    def _close(self, reply: Reply | None) -> None:
        if self._lost:
            return
        self._engine.close()
        if reply is not None:
            self._out.append(reply.encode())
        self.transport.unregisterProducer()
        self._end()

    # Time.

    def _touch(self) -> None:
        now = self._reactor.seconds()
        if self._engine.in_data:
            self._silent_at = min(now + self._owner.data_timeout, self._mail.began + MAX_DATA_TIME)
        else:
            self._silent_at = now + self._owner.command_timeout
