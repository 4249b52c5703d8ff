"""One client of the content filter: the thin Twisted edge around engine and session.

It moves bytes, keeps time, and calls inspector and reinjection port; what to do is the session's decision.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, assert_never

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from contentfilter.envelope import Envelope
from contentfilter.intake import Shortage
from contentfilter.metering import Stage
from contentfilter.reinjection import Delivery
from contentfilter.session import Session
from contentfilter.smtp.client import Outcome
from contentfilter.smtp.server import ServerEngine
from contentfilter.spool import Spool
from contentfilter.steps import (
    AbandonReinjection,
    CancelInspection,
    ClientGone,
    ClientSilent,
    Close,
    CloseSpool,
    Command,
    DeliveryEnded,
    EdgeEvent,
    End,
    Inspect,
    InspectionFailed,
    OpenSpool,
    Record,
    Reinject,
    Say,
    SpoolFailed,
    Stop,
    Store,
    TakeBack,
    TurnAway,
    Verdict,
)
from mailbase.prompt import Prompt
from mailbase.replies import Reply

if TYPE_CHECKING:
    from contentfilter.server import ProxyFactory

MAX_PIPELINED = 64 * 1024
"""Octets of input kept while a mail is being decided on; then reading stops."""
MAX_DATA_TIME = 3600.0
"""Seconds from DATA to its end, however busily the client sends."""
CLOSING = 10.0
"""Seconds for a client to take our last reply."""
SMALL_READ = 64 * 1024
"""Octets read at once, Twisted's default."""
LARGE_READ = 256 * 1024
"""Octets read at once within a message that has shown to be large; a buffer of that size for each command
would cost more than it saves."""

_TROUBLE = frozenset(
    {End.REINJECTION_FAILED, End.UNKNOWN, End.LATE, End.INSPECTION_FAILED, End.NO_SPACE, End.MISMATCH}
)
"""Ends that the operator should look at."""
_ADDRESS = re.compile(r"[^\s<>]*@[^\s<>]*")


@implementer(IPushProducer)
class ProxyConnection(Protocol):
    """One client."""

    transport: Any

    def __init__(self, factory: ProxyFactory) -> None:
        self._owner = factory
        self._reactor = factory.reactor
        self._engine = ServerEngine(factory.profile.lmtp)
        self._session = Session(factory.profile, lambda: factory.port.offer, factory.splits, self._is_busy)
        self._out: list[bytes] = []
        self._prompt: Prompt
        self._pumping = False
        self._choked = False
        """Our replies pile up; nothing more is read or done until the client takes them."""
        self._reading = True
        self._large = False
        self._lost = False
        self._spool: Spool | None = None
        self._held = 0
        """Octets of the message in hand, as the intake counts them."""
        self._shortage: Shortage | None = None
        self._turn = 0
        """Number of the current inspection; the result of an earlier one counts for nothing."""
        self._inspection: Deferred[Any] | None = None
        self._inspection_timer: Any = None
        self._delivery: Delivery | None = None
        self._data_started = 0.0
        self._data_ended = 0.0
        self._reinject_began = 0.0
        self._taken: dict[str, float] = {}
        self._silent_at = 0.0
        self._timer: Any = None

    # From the transport.

    def connectionMade(self) -> None:
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
        if refusal := self._owner.refusal():
            self._owner.meter.turned_away(self._owner.protocol_name)
            self._lost = True
            self._timer = self._reactor.callLater(CLOSING, self.transport.abortConnection)
            self.transport.write(refusal.encode())
            self.transport.loseConnection()
            return
        self._owner.admit(self)
        self.transport.registerProducer(self, True)
        self._prompt = Prompt(self.transport)
        self._prompt.write(self._session.banner().encode())
        self._touch()
        self._timer = self._reactor.callLater(self._owner.silence, self._check_silence)

    def dataReceived(self, data: bytes) -> None:
        if self._lost or self._session.closed:
            return
        self._touch()
        if len(data) >= SMALL_READ and not self._large and self._engine.in_data:
            self._large = True
            self.transport.bufferSize = LARGE_READ
        self._engine.receive(data)
        self._pump()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._lost:
            return
        self._lost = True
        self._engine.close()
        self._run(self._session.handle(ClientGone()))
        if self._session.closed:
            self._owner.release(self)

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

    # From the factory.

    def stop(self) -> None:
        """End when no transaction is running."""
        self._event(Stop())

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

    def _run(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Say(reply=reply):
                    self._out.append(self._engine.reply(reply))
                case Store(data=data):
                    self._store(data)
                case TurnAway(envelope=envelope):
                    self._turn_away(envelope)
                case OpenSpool():
                    self._data_started = self._reactor.seconds()
                    self._taken = {}
                    self._spool = Spool(self._owner.folder, self._owner.memory)
                case Inspect(envelope=envelope):
                    self._inspect(envelope)
                case Reinject():
                    self._reinject(command)
                case CloseSpool():
                    self._close_spool()
                case TakeBack(kept=kept):
                    self._owner.inspector.take_back(kept)
                case Record():
                    self._record(command)
                case CancelInspection():
                    self._cancel_inspection()
                case AbandonReinjection():
                    if self._delivery is not None:
                        self._delivery.abandon()
                case Close(reply=reply):
                    self._close(reply)
                case _:
                    assert_never(command)

    def _flush(self) -> None:
        if self._out and not self._lost:
            self._prompt.write(b"".join(self._out))
        self._out.clear()

    def _adjust_reading(self) -> None:
        if self._lost or self._session.closed:
            return
        wanted = not self._choked and self._engine.buffered <= MAX_PIPELINED
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self.transport.resumeProducing()
            else:
                self.transport.pauseProducing()

    # What the session commands.

    def _is_busy(self) -> bool:
        self._shortage = self._owner.intake.shortage()
        return self._shortage is not None

    def _turn_away(self, envelope: Envelope) -> None:
        self._owner.log.warning(
            "mail-kept-out",
            shortage=self._shortage,
            client=envelope.client.address,
            sender=envelope.sender.address,
            recipients=len(envelope.recipients),
        )

    def _store(self, data: bytes) -> None:
        owner = self._owner
        if self._spool is None:
            return
        if not owner.intake.take(len(data)):
            owner.log.warning("spool-full", octets=owner.intake.octets, limit=owner.intake.total)
            self._no_space()
            return
        try:
            self._held += len(data)
            self._spool.write(data)
        except OSError as error:
            owner.log.error("spool-failed", folder=str(owner.folder), error=str(error))
            self._no_space()

    def _no_space(self) -> None:
        self._close_spool()
        self._run(self._session.handle(SpoolFailed()))

    def _close_spool(self) -> None:
        if self._large:
            self._large = False
            self.transport.bufferSize = SMALL_READ
        if self._spool is not None:
            self._spool.close()
            self._spool = None
        self._owner.intake.give_back(self._held)
        self._held = 0

    def _inspect(self, envelope: Envelope) -> None:
        if self._spool is None:
            raise RuntimeError("nothing to inspect")
        self._data_ended = self._reactor.seconds()
        self._took("receive", self._data_ended - self._data_started)
        self._turn += 1
        deadline = self._data_ended + self._owner.reinject_within
        turn = self._turn
        inspection = Deferred.fromCoroutine(self._decide(turn, envelope, self._spool, deadline))
        inspection.addCallbacks(self._decided, self._not_cancelled, callbackArgs=(turn,))
        inspection.addErrback(self._broken)
        if turn == self._turn:
            self._inspection = inspection
            self._inspection_timer = self._reactor.callLater(
                self._owner.reinject_within, self._inspection_late
            )

    async def _decide(
        self, turn: int, envelope: Envelope, spool: Spool, deadline: float
    ) -> Verdict | InspectionFailed:
        owner = self._owner
        try:
            name, disposition = await owner.inspector.inspect(envelope, spool, owner.listener, deadline)
        except Exception as error:
            if turn == self._turn:
                owner.log.exception("inspection-failed", error)
            return InspectionFailed()
        return Verdict(name, disposition)

    def _decided(self, event: Verdict | InspectionFailed, turn: int) -> None:
        if turn == self._turn:
            self._end_inspection()
            self._event(event)

    def _not_cancelled(self, failure: Failure) -> None:
        """Somebody's canceller raised; what it was to cancel counts for nothing already."""
        self._owner.log.exception("inspection-not-cancelled", failure.value or RuntimeError("no cause"))

    def _inspection_late(self) -> None:
        self._owner.log.error("inspection-late", seconds=self._owner.reinject_within)
        self._cancel_inspection()
        self._event(InspectionFailed())

    def _cancel_inspection(self) -> None:
        inspection = self._inspection
        self._end_inspection()
        if inspection is not None:
            inspection.cancel()

    def _end_inspection(self) -> None:
        self._turn += 1
        self._inspection = None
        if self._inspection_timer is not None and self._inspection_timer.active():
            self._inspection_timer.cancel()

    def _reinject(self, command: Reinject) -> None:
        if self._spool is None:
            raise RuntimeError("nothing to reinject")
        self._reinject_began = self._reactor.seconds()
        not_after = self._data_ended + self._owner.reinject_within
        delivery = self._owner.port.deliver(command.job, command.header, self._spool, not_after)
        self._delivery = delivery
        delivery.outcome.addCallback(self._delivery_ended).addErrback(self._broken)

    def _delivery_ended(self, outcome: Outcome) -> None:
        self._delivery = None
        self._took("reinjection", self._reactor.seconds() - self._reinject_began)
        self._event(DeliveryEnded(outcome))

    def _took(self, stage: Stage, seconds: float) -> None:
        self._taken[f"seconds_{stage}"] = seconds
        self._owner.meter.took(stage, seconds)

    def _record(self, record: Record) -> None:
        owner, envelope = self._owner, record.envelope
        seconds = self._reactor.seconds() - self._data_started
        owner.meter.ended(owner.protocol_name, record.end, record.size, seconds)
        if owner.delivered is not None and record.end is End.DELIVERED and record.reply is not None:
            owner.delivered(record.id, record.reply)
        write = owner.log.warning if record.end in _TROUBLE else owner.log.info
        write(
            "mail",
            id=record.id,
            end=record.end,
            client=envelope.client.address,
            client_name=envelope.client.name,
            helo=envelope.client.helo,
            sender=envelope.sender.address,
            recipient=envelope.recipients[0].address,
            recipients=len(envelope.recipients),
            size=record.size,
            seconds=seconds,
            **self._taken,
            reply=None if record.reply is None else _without_addresses(str(record.reply)),
            detail=_without_addresses(record.detail),
        )

    def _close(self, reply: Reply | None) -> None:
        if self._lost:
            return
        self._engine.close()
        if reply is not None:
            self._out.append(reply.encode())
        self._flush()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._reactor.callLater(CLOSING, self.transport.abortConnection)
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def _broken(self, failure: Failure) -> None:
        """Our own mistake: nobody gets a reply that could be wrong."""
        self._owner.log.exception("connection-broken", failure.value or RuntimeError("no cause"))
        # The session may wait for something that never comes; stopping must not wait with it.
        self._close_spool()
        self._owner.release(self)
        if not self._lost:
            self.transport.abortConnection()

    # Time.

    def _touch(self) -> None:
        now = self._reactor.seconds()
        if self._engine.in_data:
            self._silent_at = min(now + self._owner.data_timeout, self._data_started + MAX_DATA_TIME)
        else:
            self._silent_at = now + self._owner.command_timeout

    def _check_silence(self) -> None:
        now = self._reactor.seconds()
        if self._session.busy:
            # The inspection and the delivery have deadlines of their own.
            self._silent_at = now + self._owner.silence
        if now >= self._silent_at:
            self._run(self._session.handle(ClientSilent()))
            return
        # Not further ahead than the shorter time-out, so that a change to it needs no new timer.
        self._timer = self._reactor.callLater(
            min(self._silent_at - now, self._owner.silence), self._check_silence
        )


def _without_addresses(text: str) -> str:
    """``text`` for the log, where addresses stand only in fields that can be pseudonymised."""
    return _ADDRESS.sub("...", text)
