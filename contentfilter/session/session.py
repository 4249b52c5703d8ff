"""One client's conversation as a pure machine: events in, commands out.

Events come from the server engine and from the edge (a verdict, the end of a delivery, a lost client);
commands go to the edge. No clock, no socket, no file here: a test of this module reads like a script.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

from contentfilter.disposition.disposition import Answer, Deliver
from contentfilter.disposition.splits import Parting, Splits
from contentfilter.session.envelope import Envelope
from contentfilter.session.steps import (
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
from contentfilter.smtp import xforward
from contentfilter.smtp.client import TROUBLE, Job, Outcome, Result
from contentfilter.smtp.data import Defect
from contentfilter.smtp.events import (
    Content,
    Data,
    EndOfData,
    Hello,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Refused,
    Reset,
    ServerEvent,
    XForward,
)
from contentfilter.smtp.offer import PARAMETERS, Offer
from mailbase.replies import Reply

OK = Reply(250, "2.0.0", "Ok")
SENDER_OK = Reply(250, "2.1.0", "Ok")
RECIPIENT_OK = Reply(250, "2.1.5", "Ok")
GO_AHEAD = Reply(354, "", "End data with <CR><LF>.<CR><LF>")
BYE = Reply(221, "2.0.0", "Bye")
STOPPING = Reply(421, "4.3.2", "Shutting down")
TIMED_OUT = Reply(421, "4.4.2", "Timed out")
NOT_READY = Reply(421, "4.3.2", "Not ready, try again later")
BUSY = Reply(451, "4.3.2", "Too busy to take this message, try again later")
TOO_BIG = Reply(552, "5.3.4", "Message exceeds the size limit")
NO_SPACE = Reply(452, "4.3.1", "Insufficient system storage")
BAD_SIZE = Reply(501, "5.5.4", "Bad SIZE value")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Unsupported parameter")
NOT_OFFERED = Reply(451, "4.3.5", "Extension not available behind this filter, try again later")
TOO_MANY_XFORWARD = Reply(503, "5.5.1", "Too many XFORWARD commands")
PUT_OFF = Reply(452, "4.5.3", "Send to this recipient in a transaction of its own, without the ones before")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients")
MAX_XFORWARD = 16
"""XFORWARD commands for one transaction; Postfix sends two."""
DEFECT_REPLIES = {
    Defect.BARE_LF: Reply(550, "5.5.2", "Message has a bare <LF>; lines end with <CR><LF>"),
    Defect.DOT_CR: Reply(550, "5.5.2", "Message has a line of a dot and a bare <CR>"),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """What the conversation needs to know of the configuration.

    Arguments:
        hostname: our name in banner and greeting; not Postfix's own, or its client says "mail loops back".
        lmtp: speak LMTP.
        size_limit: octets of a message, un-stuffed.
        max_recipients: accepted in one transaction.
    """

    hostname: str
    lmtp: bool
    size_limit: int
    max_recipients: int


_ENDS = {
    Result.DELIVERED: End.DELIVERED,
    Result.REFUSED: End.REFUSED,
    Result.FAILED: End.REINJECTION_FAILED,
    Result.UNKNOWN: End.UNKNOWN,
    Result.LATE: End.LATE,
    Result.MISMATCH: End.MISMATCH,
    Result.ABANDONED: End.CLIENT_GONE,
}


class _Phase(enum.Enum):
    COMMANDS = enum.auto()
    DATA = enum.auto()
    INSPECTING = enum.auto()
    REINJECTING = enum.auto()
    CLOSED = enum.auto()


class Session:
    """The conversation with one client.

    Arguments:
        profile: configuration.
        offer: the extensions that the reinjection port last announced.
        splits: mails whose recipients must come one after another; None for LMTP.
        busy: whether no message can be taken now; asked at each DATA.
    """

    def __init__(
        self,
        profile: Profile,
        offer: Callable[[], Offer],
        splits: Splits | None = None,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._profile = profile
        self._splits = splits
        self._parting: Parting | None = None
        self._offer_now = offer
        self._busy_now = busy
        self._offer = Offer()
        self._phase = _Phase.COMMANDS
        self._stopping = False
        self._new = True
        """No transaction has begun yet."""
        self._gone = False
        self._attributes: dict[str, str] = {}
        self._xforward: list[bytes] = []
        self._envelope: Envelope | None = None
        self._needs: set[str] = set()
        self._size = 0
        self._refusal: tuple[End, Reply] | None = None
        self._id = ""
        self._apart: Mapping[int, Reply] = {}
        self._kept = ""

    @property
    def busy(self) -> bool:
        """Whether the next word is ours, not the client's."""
        return self._phase in (_Phase.INSPECTING, _Phase.REINJECTING)

    @property
    def closed(self) -> bool:
        return self._phase is _Phase.CLOSED

    def banner(self) -> Reply:
        """The greeting for a new connection."""
        return Reply(220, "", f"{self._profile.hostname} {'LMTP' if self._profile.lmtp else 'ESMTP'}")

    def handle(self, event: ServerEvent | EdgeEvent) -> list[Command]:
        """Take an event; returns what is to be done, in order."""
        match event:
            case Content():
                return self._content(event)
            case Mail():
                return self._mail(event)
            case Rcpt():
                return self._rcpt(event)
            case Data() if self._busy_now():
                # The transaction stays as it is: the client may reset it, or try DATA again.
                return [Say(BUSY), TurnAway(self._current())]
            case Data():
                self._phase = _Phase.DATA
                self._size = 0
                self._refusal = None
                self._id = ""
                self._apart = {}
                self._kept = ""
                return [OpenSpool(), Say(GO_AHEAD)]
            case EndOfData():
                return self._end_of_data(event)
            case Verdict():
                return self._verdict(event)
            case DeliveryEnded():
                return self._delivery_ended(event.outcome)
            case XForward():
                return self._forward(event)
            case Hello():
                return [Say(self._hello(event)), *self._idle()]
            case Quit():
                self._phase = _Phase.CLOSED
                return [Say(BYE), Close()]
            case Reset():
                self._forget()
                return [Say(OK), *self._idle()]
            case Noop():
                return [Say(event.reply)]
            case Refused():
                if event.fatal:
                    self._phase = _Phase.CLOSED
                    return [Say(event.reply), Close()]
                return [Say(event.reply)]
            case InspectionFailed():
                if self._phase is not _Phase.INSPECTING:
                    return []
                return self._answer(End.INSPECTION_FAILED, [TROUBLE], "")
            case SpoolFailed() if self._phase is _Phase.INSPECTING:
                return self._answer(End.NO_SPACE, [NO_SPACE], "")
            case SpoolFailed():
                self._refusal = (End.NO_SPACE, NO_SPACE)
                return []
            case ClientGone():
                return self._client_gone()
            case ClientSilent():
                return self._client_silent()
            case Stop(at_once):
                return self._stop(at_once)
            case _:
                assert_never(event)

    def _hello(self, event: Hello) -> Reply:
        self._forget()
        hostname = self._profile.hostname
        if not event.extended:
            return Reply(250, "", hostname)
        self._offer = self._offer_now()
        words = [
            hostname,
            "PIPELINING",
            f"SIZE {self._profile.size_limit}",
            "ENHANCEDSTATUSCODES",
            "XFORWARD " + " ".join(xforward.ATTRIBUTES),
            *self._offer.carried,
        ]
        lines = [f"250-{word}".encode("ascii") for word in words]
        lines[-1] = b"250 " + lines[-1][4:]
        return Reply.relayed(lines)

    def _forward(self, event: XForward) -> list[Command]:
        if len(self._xforward) >= MAX_XFORWARD:
            return [Say(TOO_MANY_XFORWARD)]
        self._xforward.append(event.line)
        self._attributes.update(event.attributes)
        return [Say(OK)]

    def _forget(self) -> None:
        self._attributes = {}
        self._xforward = []
        self._envelope = None
        self._parting = None
        self._needs = set()

    def _mail(self, event: Mail) -> list[Command]:
        if refusal := self._check(event.parameters):
            return [Say(refusal)]
        claim = event.parameters.get("SIZE")
        if claim is not None:
            # RFC 1870 6: at most 20 digits.
            if not (claim.isascii() and claim.isdigit()) or len(claim) > 20:
                return [Say(BAD_SIZE)]
            if int(claim) > self._profile.size_limit:
                return [Say(TOO_BIG)]
        size = None if claim is None else int(claim)
        self._new = False
        self._envelope = Envelope(
            sender=event.sender,
            client=xforward.client(self._attributes),
            xforward=self._xforward,
            lmtp=self._profile.lmtp,
            size=size,
        )
        self._parting = None if self._splits is None else self._splits.begin(self._envelope)
        self._need(event.parameters)
        return [Say(SENDER_OK)]

    def _rcpt(self, event: Rcpt) -> list[Command]:
        envelope = self._current()
        if len(envelope.recipients) >= self._profile.max_recipients:
            return [Say(TOO_MANY_RECIPIENTS)]
        if refusal := self._check(event.parameters):
            return [Say(refusal)]
        if self._parting is not None and not self._parting.takes(event.recipient.address, envelope):
            return [Say(PUT_OFF)]
        envelope.recipients.append(event.recipient)
        self._need(event.parameters)
        return [Say(RECIPIENT_OK)]

    def _check(self, parameters: dict[str, str]) -> Reply | None:
        """The refusal of a parameter that we did not announce.

        AUTH is taken though we don't: Postfix passes its clients' MAIL on as it came. So an extension that we
        know but did not offer was offered by Postfix, and the port behind us lacks it: our fault, no 5xx.
        """
        refusal = None
        for name in parameters:
            keyword = PARAMETERS.get(name)
            if keyword is None:
                return UNKNOWN_PARAMETER
            if keyword not in ("SIZE", "AUTH") and keyword not in self._offer:
                refusal = NOT_OFFERED
        return refusal

    def _need(self, parameters: dict[str, str]) -> None:
        for name in parameters:
            keyword = PARAMETERS[name]
            if keyword not in ("SIZE", "AUTH"):
                self._needs.add(keyword)

    def _content(self, event: Content) -> list[Command]:
        more = event.size - self._size
        self._size = event.size
        if self._refusal is not None:
            return []
        if event.size > self._profile.size_limit:
            self._refusal = (End.TOO_LARGE, TOO_BIG)
            return [CloseSpool()]
        return [Store(event.data, more)]

    def _end_of_data(self, event: EndOfData) -> list[Command]:
        self._size = event.size
        self._phase = _Phase.INSPECTING
        if event.defect is not None:
            return self._answer(End(event.defect.value), [DEFECT_REPLIES[event.defect]], "")
        if self._refusal is not None:
            end, reply = self._refusal
            return self._answer(end, [reply], "")
        return [Inspect(self._current())]

    def _verdict(self, event: Verdict) -> list[Command]:
        if self._phase is not _Phase.INSPECTING:
            return []
        self._id = event.id
        match event.disposition:
            case Deliver(header=header, apart=apart, kept=kept):
                if not self._profile.lmtp and not all(reply.positive for reply in apart.values()):
                    raise RuntimeError("one reply cannot say that some are refused")
                self._phase = _Phase.REINJECTING
                self._apart = apart
                self._kept = kept
                return [Reinject(Job(self._current().without(apart), frozenset(self._needs)), header)]
            case Answer(reply=reply, apart=apart):
                self._apart = apart
                return self._answer(End.ANSWERED, [reply], "")
            case other:
                assert_never(other)

    def _delivery_ended(self, outcome: Outcome) -> list[Command]:
        end = _ENDS[outcome.result]
        commands = self._answer(end, list(outcome.replies), outcome.detail)
        if self._kept and (self._gone or not self._profile.lmtp) and end is not End.DELIVERED:
            # Nobody heard 250, so the client brings it again for all.
            commands.insert(0, TakeBack(self._kept))
        return commands

    def _answer(self, end: End, replies: list[Reply], detail: str) -> list[Command]:
        """The transaction ends: the client hears ``replies``, one for all or one for each recipient."""
        envelope = self._current()
        record = Record(end, envelope, self._size, self._id, None if self._gone else replies[0], detail)
        if self._gone:
            self._phase = _Phase.CLOSED
            return [CloseSpool(), record]
        if envelope.lmtp:
            replies = _for_each(replies, len(envelope.recipients), self._apart)
        self._forget()
        commands: list[Command] = [CloseSpool(), *map(Say, replies), record]
        self._phase = _Phase.COMMANDS
        if self._stopping:
            self._phase = _Phase.CLOSED
            commands.append(Close(STOPPING))
        return commands

    def _client_gone(self) -> list[Command]:
        phase, self._gone = self._phase, True
        if phase is _Phase.REINJECTING:
            return [AbandonReinjection()]
        self._phase = _Phase.CLOSED
        if phase not in (_Phase.DATA, _Phase.INSPECTING):
            return []
        commands: list[Command] = [CancelInspection()] if phase is _Phase.INSPECTING else []
        record = Record(
            End.CLIENT_GONE, self._current(), self._size, self._id, None, f"at {phase.name.lower()}"
        )
        return [*commands, CloseSpool(), record]

    def _client_silent(self) -> list[Command]:
        if self.busy or self.closed:
            return []
        commands = self._client_gone()
        return [*commands, Close(TIMED_OUT)]

    def _stop(self, at_once: bool) -> list[Command]:
        self._stopping = True
        if self._phase is not _Phase.COMMANDS or self._envelope is not None or (self._new and not at_once):
            return []
        self._phase = _Phase.CLOSED
        return [Close(STOPPING)]

    def _idle(self) -> list[Command]:
        """The client has given up its transaction: the moment to close, if we are to."""
        return self._stop(at_once=False) if self._stopping else []

    def _current(self) -> Envelope:
        """The envelope; the engine lets no event that needs one come before MAIL."""
        if self._envelope is None:
            raise RuntimeError("no transaction")
        return self._envelope


def _for_each(replies: list[Reply], recipients: int, apart: Mapping[int, Reply]) -> list[Reply]:
    """The replies of an LMTP transaction: those apart hear their own, the rest how it went."""
    if len(replies) == 1:
        replies = replies * (recipients - len(apart))
    rest = iter(replies)
    return [apart[place] if place in apart else next(rest) for place in range(recipients)]
