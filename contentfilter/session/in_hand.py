"""One message in hand, from its first octet to its end: spool, room, inspection, and the line in the log.

Postfix may hand it over by SMTP, LMTP or as to a milter; what is done with it here is the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from contentfilter.metering import ProxyMeter, Stage
from contentfilter.session.envelope import Envelope
from contentfilter.session.intake import Intake, Shortage
from contentfilter.session.steps import EdgeEvent, End, InspectionFailed, Record, SpoolFailed, Verdict
from contentfilter.spool.spool import Spool
from mailbase.config import ListenerSettings
from mailbase.logs import Log
from mailbase.replies import Reply

if TYPE_CHECKING:
    from contentfilter.session.server import Inspector

_TROUBLE = frozenset(
    {End.REINJECTION_FAILED, End.UNKNOWN, End.LATE, End.INSPECTION_FAILED, End.NO_SPACE, End.MISMATCH}
)
"""Ends that the operator should look at."""
_ADDRESS = re.compile(r"[^\s<>]*@[^\s<>]*")


class Owner(Protocol):
    """What a message needs of its listener."""

    reactor: Any
    listener: ListenerSettings
    inspector: Inspector
    intake: Intake
    log: Log
    meter: ProxyMeter
    delivered: Callable[[str, Reply], None] | None
    folder: Path
    memory: int
    protocol_name: str
    reinject_within: float


class InHand:
    """Arguments:
    owner: the listener.
    tell: told how the inspection ended.
    broken: told of a mistake of ours.
    """

    def __init__(
        self, owner: Owner, tell: Callable[[EdgeEvent], None], broken: Callable[[Failure], None]
    ) -> None:
        self._owner = owner
        self._tell = tell
        self._broken = broken
        self.spool: Spool | None = None
        self.began = 0.0
        """Clock seconds at DATA."""
        self._ended = 0.0
        self._held = 0
        """Octets of the message, as the intake counts them."""
        self._shortage: Shortage | None = None
        self._turn = 0
        """Number of the current inspection; the result of an earlier one counts for nothing."""
        self._inspection: Deferred[Any] | None = None
        self._timer: Any = None
        self._taken: dict[str, float] = {}

    @property
    def deadline(self) -> float:
        """Clock seconds after which the mail may no longer be handed on."""
        return self._ended + self._owner.reinject_within

    def is_busy(self) -> bool:
        """Whether no message can be taken now."""
        self._shortage = self._owner.intake.shortage()
        return self._shortage is not None

    def turned_away(self, envelope: Envelope) -> None:
        """Put down why a message was not taken, when :meth:`is_busy` said so."""
        self._owner.log.warning(
            "mail-kept-out",
            shortage=self._shortage,
            client=envelope.client.address,
            sender=envelope.sender.address,
            recipients=len(envelope.recipients),
        )

    def open(self) -> None:
        """A message begins."""
        self.began = self._owner.reactor.seconds()
        self._taken = {}
        self.spool = Spool(self._owner.folder, self._owner.memory)

    def store(self, data: bytes, size: int) -> bool:
        """Keep more of it, in its wire form; false if there is no room, and then it is closed.

        Arguments:
            size: octets of ``data`` un-stuffed.
        """
        owner = self._owner
        if self.spool is None:
            return True
        if not owner.intake.take(len(data)):
            owner.log.warning("spool-full", octets=owner.intake.octets, limit=owner.intake.total)
            self.close()
            return False
        try:
            self._held += len(data)
            self.spool.write(data, size)
        except OSError as error:
            self._spool_failed(error)
            return False
        return True

    def _spool_failed(self, error: OSError) -> None:
        self._owner.log.error("spool-failed", folder=str(self._owner.folder), error=str(error))
        self.close()

    def close(self) -> None:
        """The message is done with, or not worth keeping."""
        if self.spool is not None:
            self.spool.close()
            self.spool = None
        self._owner.intake.give_back(self._held)
        self._held = 0

    def inspect(self, envelope: Envelope) -> None:
        """Ask the inspector what to do with it; the listener is told by a verdict, or that it failed."""
        if self.spool is None:
            raise RuntimeError("nothing to inspect")
        try:
            self.spool.settle()
        except OSError as error:
            self._spool_failed(error)
            self._tell(SpoolFailed())
            return
        owner = self._owner
        self._ended = owner.reactor.seconds()
        self.took("receive", self._ended - self.began)
        self._turn += 1
        turn = self._turn
        inspection = Deferred.fromCoroutine(self._decide(turn, envelope, self.spool, self.deadline))
        inspection.addCallbacks(self._decided, self._not_cancelled, callbackArgs=(turn,))
        inspection.addErrback(self._broken)
        if turn == self._turn:
            self._inspection = inspection
            self._timer = owner.reactor.callLater(owner.reinject_within, self._late)

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
            self._tell(event)

    def _not_cancelled(self, failure: Failure) -> None:
        """Somebody's canceller raised; what it was to cancel counts for nothing already."""
        self._owner.log.exception("inspection-not-cancelled", failure.value or RuntimeError("no cause"))

    def _late(self) -> None:
        self._owner.log.error("inspection-late", seconds=self._owner.reinject_within)
        self.cancel()
        self._tell(InspectionFailed())

    def cancel(self) -> None:
        """Nobody waits for the verdict any more."""
        inspection = self._inspection
        self._end_inspection()
        if inspection is not None:
            inspection.cancel()

    def _end_inspection(self) -> None:
        self._turn += 1
        self._inspection = None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def took(self, stage: Stage, seconds: float) -> None:
        """A stage of its way took so long."""
        self._taken[f"seconds_{stage}"] = seconds
        self._owner.meter.took(stage, seconds)

    def record(self, record: Record) -> None:
        """It has ended: one line in the log, one count."""
        owner, envelope = self._owner, record.envelope
        seconds = owner.reactor.seconds() - self.began
        owner.meter.ended(owner.protocol_name, record.end, record.size, seconds)
        if owner.delivered is not None and record.end is End.DELIVERED and record.reply is not None:
            owner.delivered(record.id, record.reply)
        shown = attrgetter("bare") if owner.log.hides else str
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
            reply=None if record.reply is None else _without_addresses(shown(record.reply)),
            detail=_without_addresses(record.detail),
        )


def _without_addresses(text: str) -> str:
    """``text`` for the log, where addresses stand only in fields that can be pseudonymised."""
    return _ADDRESS.sub("...", text)
