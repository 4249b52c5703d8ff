"""The conversation with one smtpd that asks us as a milter: its packets in, what is to be done out. Pure.

Postfix keeps the mail all the time; it is told at the end what to do with it. So there is nothing to hand
back, and what stands in Postfix's queue is what came, but for our lines at the top.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from contentfilter.disposition.disposition import Answer, Deliver, Disposition
from contentfilter.disposition.splits import Parting, Splits
from contentfilter.milter import packets
from contentfilter.milter.packets import MilterError
from contentfilter.session.envelope import Client, Envelope, Path
from contentfilter.session.session import BUSY, NO_SPACE, PUT_OFF, TOO_BIG, TOO_MANY_RECIPIENTS
from contentfilter.session.steps import (
    CancelInspection,
    ClientGone,
    ClientSilent,
    Close,
    CloseSpool,
    End,
    Inspect,
    InspectionFailed,
    OpenSpool,
    Record,
    SpoolFailed,
    Stop,
    Store,
    TurnAway,
    Verdict,
)
from contentfilter.smtp.client import TROUBLE
from contentfilter.smtp.commands import SyntaxProblem, parse_mailbox, text
from contentfilter.spool.unstuffing import Stuffing
from mailbase.addresses import pack
from mailbase.replies import Reply, printable

NEEDED = packets.MAY_ADD_HEADERS | packets.MAY_DELETE_RECIPIENTS
"""What we do to mails."""
_WANTED = packets.NO_UNKNOWN | packets.LEADING_SPACE
_UNANSWERED = (
    packets.CONNECT,
    packets.HELO,
    packets.MAIL,
    packets.HEADER,
    packets.END_OF_HEADER,
    packets.BODY,
    packets.UNKNOWN,
)
"""Commands that we have nothing to say to; where both agree, no time is lost with saying so."""
MAX_MACROS = 64
"""Values kept of one connection."""
MAX_NAME = 255
"""Octets of a client's name."""
_CONTINUE = packets.packet(packets.CONTINUE)


@dataclass(frozen=True, slots=True)
class Profile:
    """What the conversation needs to know of the configuration.

    Arguments:
        size_limit: octets of a message.
        max_recipients: of one message.
    """

    size_limit: int
    max_recipients: int


@dataclass(frozen=True, slots=True)
class Send:
    """Send packets.

    Arguments:
        data: them.
    """

    data: bytes


Event: TypeAlias = SpoolFailed | Verdict | InspectionFailed | ClientGone | ClientSilent | Stop
Command: TypeAlias = (
    Send | TurnAway | OpenSpool | Store | CloseSpool | Inspect | CancelInspection | Record | Close
)


class _Phase(enum.Enum):
    NEGOTIATION = enum.auto()
    BETWEEN = enum.auto()
    ENVELOPE = enum.auto()
    MESSAGE = enum.auto()
    INSPECTING = enum.auto()
    CLOSED = enum.auto()


class Session:
    """One connection of Postfix's.

    Arguments:
        profile: configuration.
        splits: mails whose recipients must come one after another.
        busy: whether no message can be taken now; asked at each DATA.
    """

    def __init__(self, profile: Profile, splits: Splits | None, busy: Callable[[], bool]) -> None:
        self._profile = profile
        self._splits = splits
        self._busy_now = busy
        self._phase = _Phase.NEGOTIATION
        self._silent: frozenset[bytes] = frozenset()
        self._leading_space = False
        self._macros: dict[str, str] = {}
        self._client = Client()
        self._envelope: Envelope | None = None
        self._parting: Parting | None = None
        self._stuffing = Stuffing()
        self._size = 0
        self._refusal: tuple[End, Reply] | None = None
        self._stopping = False
        self._new = True
        """No transaction has begun yet, and there is time for one."""

    @property
    def busy(self) -> bool:
        """Whether the next word is ours."""
        return self._phase is _Phase.INSPECTING

    @property
    def closed(self) -> bool:
        return self._phase is _Phase.CLOSED

    @property
    def in_message(self) -> bool:
        return self._phase is _Phase.MESSAGE

    @property
    def body_flows(self) -> bool:
        """Whether the body may come in other pieces than Postfix's packets, since none is answered."""
        return packets.BODY in self._silent

    def receive(self, command: bytes, data: bytes) -> list[Command]:
        """Take a packet; returns what is to be done, in order.

        Raises:
            MilterError: it does not belong here.
        """
        if self._phase is _Phase.NEGOTIATION:
            if command != packets.NEGOTIATE:
                raise MilterError(f"{command!r} before the negotiation")
            return self._negotiate(data)
        match command:
            case packets.HEADER | packets.END_OF_HEADER | packets.BODY:
                return self._content(command, data)
            case packets.MACROS:
                self._note_macros(data)
                return []
            case packets.CONNECT:
                self._client = _client(data)
                return self._continue(command)
            case packets.HELO:
                helo = printable(data.removesuffix(b"\0"), MAX_NAME)
                self._client = _with_helo(self._client, helo)
                return self._continue(command)
            case packets.MAIL:
                return self._mail(data)
            case packets.RCPT:
                return self._rcpt(data)
            case packets.DATA:
                return self._data()
            case packets.END_OF_MESSAGE:
                return self._end_of_message(data)
            case packets.ABORT:
                return [*self._leave("aborted"), *self._idle()]
            case packets.QUIT:
                commands = self._leave("quit")
                self._phase = _Phase.CLOSED
                return [*commands, Close()]
            case packets.QUIT_AND_AGAIN:
                commands = self._leave("quit")
                self._client, self._macros = Client(), {}
                return [*commands, *self._idle()]
            case packets.UNKNOWN:
                return self._continue(command)
            case _:
                raise MilterError(f"unknown command {command!r}")

    def handle(self, event: Event) -> list[Command]:
        """Something happened beside the packets; returns what is to be done, in order."""
        match event:
            case Verdict(id=decision_id, disposition=disposition):
                return self._verdict(decision_id, disposition) if self.busy else []
            case InspectionFailed():
                return self._answer(End.INSPECTION_FAILED, TROUBLE, "") if self.busy else []
            case SpoolFailed() if self.busy:
                return self._answer(End.NO_SPACE, NO_SPACE, "")
            case SpoolFailed():
                self._refusal = (End.NO_SPACE, NO_SPACE)
                return []
            case ClientGone():
                commands = self._leave("gone")
                self._phase = _Phase.CLOSED
                return commands
            case ClientSilent():
                if self.busy or self.closed:
                    return []
                commands = self._leave("silent")
                self._phase = _Phase.CLOSED
                return [*commands, Close()]
            case Stop(at_once):
                self._stopping = True
                self._new = self._new and not at_once
                return self._idle()
            case other:
                assert_never(other)

    def _negotiate(self, data: bytes) -> list[Command]:
        version, actions, protocol = packets.parse_negotiation(data)
        if version < packets.VERSION:
            raise MilterError(f"protocol version {version}; set milter_protocol = 6 in Postfix's main.cf")
        if actions & NEEDED != NEEDED:
            raise MilterError("header lines must not be added, or recipients not be taken out")
        silent = {name: packets.SILENT[name] for name in _UNANSWERED}
        agreed = protocol & (_WANTED | sum(silent.values()))
        self._silent = frozenset(name for name, flag in silent.items() if agreed & flag)
        self._leading_space = bool(agreed & packets.LEADING_SPACE)
        self._phase = _Phase.BETWEEN
        return [Send(packets.negotiation(packets.VERSION, NEEDED, agreed))]

    def _continue(self, command: bytes) -> list[Command]:
        return [] if command in self._silent else [Send(_CONTINUE)]

    def _note_macros(self, data: bytes) -> None:
        _, values = packets.parse_macros(data)
        for name, value in values.items():
            if name in self._macros or len(self._macros) < MAX_MACROS:
                self._macros[name] = value

    def _mail(self, data: bytes) -> list[Command]:
        if self._phase is not _Phase.BETWEEN:
            raise MilterError("MAIL within a transaction")
        path, parameters = _mailbox(data)
        claim = parameters.get("SIZE", "")
        # RFC 1870 6: at most 20 digits.
        size = int(claim) if claim.isascii() and claim.isdigit() and len(claim) <= 20 else None
        self._envelope = Envelope(path, self._client, size=size)
        self._parting = None if self._splits is None else self._splits.begin(self._envelope)
        self._phase = _Phase.ENVELOPE
        self._new = False
        return self._continue(packets.MAIL)

    def _rcpt(self, data: bytes) -> list[Command]:
        envelope = self._current(_Phase.ENVELOPE)
        path, _ = _mailbox(data)
        if len(envelope.recipients) >= self._profile.max_recipients:
            return [_say(TOO_MANY_RECIPIENTS)]
        if self._parting is not None and not self._parting.takes(path.address, envelope):
            return [_say(PUT_OFF)]
        envelope.recipients.append(path)
        return self._continue(packets.RCPT)

    def _data(self) -> list[Command]:
        envelope = self._current(_Phase.ENVELOPE)
        if not envelope.recipients:
            raise MilterError("DATA without a recipient")
        if self._busy_now():
            # The transaction stays as it is; Postfix aborts it, or tries DATA again.
            return [_say(BUSY), TurnAway(envelope)]
        self._phase = _Phase.MESSAGE
        self._stuffing = Stuffing()
        self._size = 0
        self._refusal = None
        return [OpenSpool(), *self._continue(packets.DATA)]

    def _content(self, command: bytes, data: bytes) -> list[Command]:
        if self._phase is not _Phase.MESSAGE:
            raise MilterError(f"{command!r} outside a message")
        match command:
            case packets.HEADER:
                data = self._field(data)
            case packets.END_OF_HEADER:
                data = b"\r\n"
        return [*self._keep(data), *self._continue(command)]

    def _field(self, data: bytes) -> bytes:
        """The line of a header field as it came: Postfix gives the ends of its folds as LF."""
        name, end, rest = data.partition(b"\0")
        if not end:
            raise MilterError("a header field without an end")
        value = rest.removesuffix(b"\0")
        if b"\n" in value:
            value = value.replace(b"\n", b"\r\n")
        return name + (b":" if self._leading_space else b": ") + value + b"\r\n"

    def _keep(self, data: bytes) -> list[Command]:
        self._size += len(data)
        if self._refusal is not None or not data:
            return []
        if self._size > self._profile.size_limit:
            self._refusal = (End.TOO_LARGE, TOO_BIG)
            return [CloseSpool()]
        return [Store(self._stuffing.feed(data), len(data))]

    def _end_of_message(self, data: bytes) -> list[Command]:
        if self._phase is not _Phase.MESSAGE:
            raise MilterError("the end of no message")
        commands = self._keep(data)
        if not self._stuffing.ends_line:
            # The wire form is made of lines; only we see this end.
            commands += self._keep(b"\r\n")
        self._phase = _Phase.INSPECTING
        if self._refusal is None:
            return [*commands, Inspect(self._current())]
        return [*commands, *self._answer(*self._refusal, "")]

    def _verdict(self, decision_id: str, disposition: Disposition) -> list[Command]:
        match disposition:
            case Deliver(header=header, apart=apart):
                return self._deliver(decision_id, header, apart)
            case Answer(reply=reply):
                return self._answer(End.ANSWERED, reply, decision_id)
            case other:
                assert_never(other)

    def _deliver(self, decision_id: str, header: bytes, apart: Mapping[int, Reply]) -> list[Command]:
        if not all(reply.positive for reply in apart.values()):
            raise RuntimeError("one reply cannot say that some are refused")
        recipients = self._current().recipients
        left_out = b"".join(
            packets.packet(packets.DELETE_RECIPIENT, _bracketed(recipients[place].line) + b"\0")
            for place in apart
        )
        lines = packets.inserted(_fields(header), self._leading_space)
        reply = Reply(250, "2.0.0", f"Ok: queued as {self._macros.get('i', 'unknown')}")
        return self._end(End.DELIVERED, lines + left_out + packets.packet(packets.ACCEPT), reply, decision_id)

    def _answer(self, end: End, reply: Reply, decision_id: str) -> list[Command]:
        data = packets.packet(packets.DISCARD) if reply.positive else _say(reply).data
        return self._end(end, data, reply, decision_id)

    def _end(self, end: End, data: bytes, reply: Reply, decision_id: str) -> list[Command]:
        """The transaction ends: Postfix hears what to do."""
        record = Record(end, self._current(), self._size, decision_id, reply, "")
        self._forget()
        return [CloseSpool(), Send(data), record, *self._idle()]

    def _leave(self, how: str) -> list[Command]:
        """The mail is not, or no longer, ours to decide on."""
        phase, envelope = self._phase, self._envelope
        self._forget()
        if envelope is None or phase not in (_Phase.MESSAGE, _Phase.INSPECTING):
            return []
        commands: list[Command] = [CancelInspection()] if phase is _Phase.INSPECTING else []
        where = f"{how} at {phase.name.lower()}"
        return [*commands, CloseSpool(), Record(End.CLIENT_GONE, envelope, self._size, "", None, where)]

    def _forget(self) -> None:
        self._envelope = self._parting = None
        self._phase = _Phase.BETWEEN

    def _idle(self) -> list[Command]:
        """The moment to close, if we are to."""
        if not self._stopping or self._new or self._phase not in (_Phase.NEGOTIATION, _Phase.BETWEEN):
            return []
        self._phase = _Phase.CLOSED
        return [Close()]

    def _current(self, phase: _Phase | None = None) -> Envelope:
        if self._envelope is None or (phase is not None and self._phase is not phase):
            raise MilterError("a command outside its transaction")
        return self._envelope


def _client(data: bytes) -> Client:
    name, family, port, address = packets.parse_connect(data)
    bare = address[5:] if address[:5].upper() == "IPV6:" else address
    known = family in "46" and pack(bare) is not None
    plain = printable(name, MAX_NAME)
    # Postfix's "unknown" is nobody's name, and "[192.0.2.1]" no name.
    return Client(
        name="" if plain == "unknown" or plain.startswith("[") else plain,
        address=bare if known else "",
        port=str(port) if known and port else "",
    )


def _with_helo(client: Client, helo: str) -> Client:
    return Client(client.name, client.address, client.port, helo)


def _mailbox(data: bytes) -> tuple[Path, dict[str, str]]:
    """Path and parameters of MAIL or RCPT; Postfix has found them in order, whatever we think of them."""
    words = packets.texts(data)
    line = b" ".join(words)
    try:
        mailbox = parse_mailbox(line, null=True)
    except SyntaxProblem:
        return Path(text(words[0].removeprefix(b"<").removesuffix(b">")), line), {}
    return mailbox.path, mailbox.parameters


def _bracketed(line: bytes) -> bytes:
    """The path as Postfix named it: all before the parameters."""
    end = line.rfind(b">")
    return line[: end + 1] if end >= 0 else line.partition(b" ")[0]


def _fields(header: bytes) -> list[bytes]:
    """The lines of a header, those that go on with the one before at it."""
    fields: list[bytes] = []
    for line in header.splitlines(keepends=True):
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] += line
        else:
            fields.append(line)
    return fields


def _say(reply: Reply) -> Send:
    """A reply of ours in place of Postfix's."""
    data = reply.encode().removesuffix(b"\r\n")
    return Send(packets.packet(packets.REPLY, data + b"\0"))
