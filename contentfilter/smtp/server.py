"""The server's side of SMTP and LMTP as a state machine: bytes in, events out (RFC 5321, RFC 2033, RFC 2920).

The engine knows syntax, order and bounds; it refuses by itself what the protocol does not allow. What a
command means is the session's affair: it answers each event, in order, by :meth:`ServerEngine.reply`, and
until then no further event comes, however much the client has pipelined.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from contentfilter.smtp import xforward
from contentfilter.smtp.commands import SyntaxProblem, parse_mailbox
from contentfilter.smtp.data import DataReader
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
from mailbase.replies import Reply, printable

_CLEAN = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_MAIL_FROM = re.compile(rb"MAIL[ \t]+FROM:(.*)", re.IGNORECASE | re.DOTALL)
_RCPT_TO = re.compile(rb"RCPT[ \t]+TO:(.*)", re.IGNORECASE | re.DOTALL)
_FOREIGN = frozenset({b"GET", b"POST", b"PUT", b"CONNECT", b"HOST:", b"BDAT"})
"""Verbs after which the connection ends: HTTP, whose body could hold commands, and BDAT, which we do not
announce and whose chunk would be read as commands."""

BARE_LF_COMMAND = Reply(500, "5.5.2", "Command lines end with CRLF")
UNPRINTABLE = Reply(500, "5.5.2", "Control character in command")
LINE_TOO_LONG = Reply(500, "5.5.2", "Line too long")
UNKNOWN = Reply(500, "5.5.2", "Command not recognized")
WRONG_PROTOCOL = Reply(500, "5.5.1", "Wrong greeting for this port")
FOREIGN = Reply(421, "4.7.0", "Not an SMTP client")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors")
NEED_HELLO = Reply(503, "5.5.1", "Greet first")
NESTED_MAIL = Reply(503, "5.5.1", "Nested MAIL command")
NEED_MAIL = Reply(503, "5.5.1", "Need MAIL first")
NEED_RCPT = Reply(503, "5.5.1", "Need RCPT first")
NO_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")
IN_TRANSACTION = Reply(503, "5.5.1", "Mail transaction in progress")
NO_ARGUMENT = Reply(501, "5.5.4", "No argument allowed")
NEED_NAME = Reply(501, "5.5.4", "Host name missing")
MAIL_SYNTAX = Reply(501, "5.5.4", "Syntax: MAIL FROM:<address>")
RCPT_SYNTAX = Reply(501, "5.5.4", "Syntax: RCPT TO:<address>")
VRFY_REPLY = Reply(252, "2.0.0", "Send some mail and see")
HELP_REPLY = Reply(214, "2.0.0", "See RFC 5321")
NOOP_REPLY = Reply(250, "2.0.0", "Ok")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on a client.

    Arguments:
        line: octets of a command line with CRLF. RFC 5321 4.5.3.1.4 asks for 512, DSN and SMTPUTF8
            for more. Postfix cuts a command after 2048, so a longer one must not get there.
        errors: refused commands in one connection before 421; a complete message starts the count anew.
    """

    line: int = 2048
    errors: int = 20


class ServerEngine:
    """One connection from the server's side.

    Arguments:
        lmtp: speak LMTP, where each accepted recipient gets a reply of its own after the ".".
        limits: bounds.
    """

    def __init__(self, lmtp: bool = False, limits: Limits | None = None) -> None:
        self._lmtp = lmtp
        self._limits = limits if limits is not None else Limits()
        self._buffer = b""
        self._at = 0
        self._skipping = False
        self._data: DataReader | None = None
        self._pending: ServerEvent | None = None
        self._replies_due = 0
        self._greeted = False
        self._mail = False
        self._recipients = 0
        self._errors = 0
        self._closed = False

    @property
    def buffered(self) -> int:
        """Octets received and not yet looked at."""
        return len(self._buffer) - self._at

    @property
    def replies_due(self) -> int:
        """How many calls of :meth:`reply` the pending event waits for."""
        return self._replies_due if self._pending is not None else 0

    @property
    def in_data(self) -> bool:
        """Whether message content is expected."""
        return self._data is not None

    def receive(self, data: bytes) -> None:
        """Take what came from the client."""
        if not self._closed:
            self._buffer = self._buffer[self._at :] + data if self._at < len(self._buffer) else data
            self._at = 0

    def next_event(self) -> ServerEvent | None:
        """The next event; None while input is missing, a reply is due, or the conversation is over."""
        if self._pending is not None or self._closed:
            return None
        if self._data is not None:
            return self._next_content(self._data)
        line = self._next_line()
        if line is None:
            return None
        event = Refused(line) if isinstance(line, Reply) else self._command(line)
        if isinstance(event, Refused):
            self._errors += 1
            if self._errors > self._limits.errors:
                event = Refused(TOO_MANY_ERRORS, fatal=True)
        self._pending = event
        self._replies_due = 1
        return event

    def reply(self, reply: Reply) -> bytes:
        """Answer the pending event; returns the bytes for the client.

        After ``EndOfData`` in LMTP one call for each accepted recipient is due.

        Raises:
            RuntimeError: no event is pending.
        """
        event = self._pending
        if event is None:
            raise RuntimeError("no reply due")
        self._replies_due -= 1
        if self._replies_due == 0:
            self._pending = None
            self._settle(event, reply)
        return reply.encode()

    def close(self) -> None:
        """Nothing more is read."""
        self._closed = True
        self._pending = None
        self._buffer, self._at = b"", 0
        self._data = None

    def _settle(self, event: ServerEvent, reply: Reply) -> None:
        """Move the state on, now that ``event`` got its (last) ``reply``."""
        if reply.code == 421:
            self.close()
            return
        match event:
            case Rcpt():
                self._recipients += reply.positive
            case Mail():
                self._mail = reply.positive
            case Data() if reply.code == 354:
                self._data = DataReader()
            case EndOfData() | Reset():
                self._mail = False
                self._recipients = 0
            case Hello() if reply.positive:
                self._greeted = True
                self._mail = False
                self._recipients = 0
            case Quit():
                self.close()
            case Refused(fatal=True):
                self.close()
            case _:
                pass

    def _next_content(self, reader: DataReader) -> ServerEvent | None:
        if not reader.ended:
            data, self._buffer, self._at = self._buffer[self._at :], b"", 0
            if not data:
                return None
            content, self._buffer = reader.feed(data)
            if content:
                return Content(content, reader.size)
            if not reader.ended:
                return None
        self._data = None
        self._errors = 0
        self._pending = event = EndOfData(reader.size, reader.defect)
        self._replies_due = self._recipients if self._lmtp else 1
        return event

    def _next_line(self) -> bytes | Reply | None:
        """The next command line without CRLF, the refusal of a malformed one, or None if it is incomplete."""
        start = self._at
        end = self._buffer.find(b"\n", start) + 1
        if not end:
            if len(self._buffer) - start >= self._limits.line:
                self._skipping = True
                self._buffer, self._at = b"", 0
            return None
        line = self._buffer[start:end]
        self._at = end
        if self._skipping or len(line) > self._limits.line:
            self._skipping = False
            return LINE_TOO_LONG
        if not line.endswith(b"\r\n"):
            return BARE_LF_COMMAND
        line = line[:-2]
        return line if _CLEAN.fullmatch(line) else UNPRINTABLE

    def _command(self, line: bytes) -> ServerEvent:
        verb, _, argument = line.partition(b" ")
        match verb.upper():
            case b"MAIL":
                return self._mail_command(line)
            case b"RCPT":
                return self._rcpt_command(line)
            case b"DATA":
                return self._data_command(argument)
            case b"XFORWARD":
                return self._xforward_command(line, argument)
            case b"EHLO" | b"HELO" | b"LHLO" as greeting:
                if (greeting == b"LHLO") != self._lmtp:
                    return Refused(WRONG_PROTOCOL)
                name = printable(argument.strip(), 255)
                return Hello(greeting != b"HELO", name) if name else Refused(NEED_NAME)
            case b"RSET":
                return Refused(NO_ARGUMENT) if argument.strip() else Reset()
            case b"QUIT":
                return Refused(NO_ARGUMENT) if argument.strip() else Quit()
            case b"NOOP":
                return Noop(NOOP_REPLY)
            case b"VRFY":
                return Noop(VRFY_REPLY)
            case b"HELP":
                return Noop(HELP_REPLY)
            case other:
                return Refused(FOREIGN, fatal=True) if other in _FOREIGN else Refused(UNKNOWN)

    def _mail_command(self, line: bytes) -> ServerEvent:
        if not self._greeted:
            return Refused(NEED_HELLO)
        if self._mail:
            return Refused(NESTED_MAIL)
        match = _MAIL_FROM.fullmatch(line)
        if match is None:
            return Refused(MAIL_SYNTAX)
        try:
            mailbox = parse_mailbox(match[1], null=True)
        except SyntaxProblem as problem:
            return Refused(Reply(501, problem.status, problem.text))
        return Mail(mailbox.path, mailbox.parameters)

    def _rcpt_command(self, line: bytes) -> ServerEvent:
        if not self._mail:
            return Refused(NEED_MAIL)
        match = _RCPT_TO.fullmatch(line)
        if match is None:
            return Refused(RCPT_SYNTAX)
        try:
            mailbox = parse_mailbox(match[1], null=False)
        except SyntaxProblem as problem:
            return Refused(Reply(501, problem.status, problem.text))
        return Rcpt(mailbox.path, mailbox.parameters)

    def _data_command(self, argument: bytes) -> ServerEvent:
        if argument.strip():
            return Refused(NO_ARGUMENT)
        if not self._mail:
            return Refused(NEED_MAIL)
        if not self._recipients:
            # RFC 2033 4.2 asks for 503; RFC 5321 3.3 allows both, and Postfix says 554.
            return Refused(NEED_RCPT if self._lmtp else NO_RECIPIENTS)
        return Data()

    def _xforward_command(self, line: bytes, argument: bytes) -> ServerEvent:
        if not self._greeted:
            return Refused(NEED_HELLO)
        if self._mail:
            return Refused(IN_TRANSACTION)
        try:
            return XForward(line, xforward.parse(argument))
        except xforward.XForwardError as problem:
            return Refused(Reply(501, "5.5.4", str(problem)))
