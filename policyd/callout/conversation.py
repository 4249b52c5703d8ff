"""A callout's side of SMTP, as a state machine (RFC 5321, RFC 3207): bytes in, actions out.

It greets, turns TLS on where that is offered, says ``MAIL FROM:<>``, asks for recipients, and leaves; no mail
is ever sent. A server has one command to answer at a time: a reply that comes before its command could pass
for the answer to the next one, and ends the conversation.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from mailbase.replies import Reply
from mailbase.smtp_replies import ReplyError, ReplyReader


@dataclass(frozen=True, slots=True)
class Script:
    """What is to be asked.

    Arguments:
        hello: our name.
        recipients: paths with angle brackets, for RCPT; none: the conversation ends after EHLO.
        probe: one more, asked only if the last of them is accepted.
        controls: likewise, one after the other, only if that is refused for good, until one is not.
        smtputf8: whether a path is not ASCII.
        tls: whether TLS is turned on where it is offered.
    """

    hello: str
    recipients: Sequence[bytes] = ()
    probe: bytes = b""
    smtputf8: bool = False
    tls: bool = True
    controls: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a conversation.

    Arguments:
        replies: to the recipients, in their order; fewer if it failed.
        failure: why it ended early, for the log; empty if it did not.
        stage: where it ended.
        reply: the one that ended it; None if none did.
        keywords: what the server last offered, upper case, with arguments.
        tls: whether it went on under TLS.
        handshake_failed: whether TLS was begun and came to nothing.
        lacks_smtputf8: whether it ended since the server does not know SMTPUTF8.
    """

    replies: tuple[Reply, ...] = ()
    failure: str = ""
    stage: str = ""
    reply: Reply | None = None
    keywords: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tls: bool = False
    handshake_failed: bool = False
    lacks_smtputf8: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes for the server."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """Turn on TLS; the bytes that follow are for its inside."""


@dataclass(frozen=True, slots=True)
class Finished:
    """All is known.

    Arguments:
        polite: whether QUIT, which has been written, will be answered; else the connection is to be cut.
    """

    outcome: Outcome
    polite: bool


Doing: TypeAlias = Write | StartTls | Finished


class _Stage(enum.Enum):
    CONNECT = "connect"
    BANNER = "banner"
    EHLO = "ehlo"
    HELO = "helo"
    STARTTLS = "starttls"
    MAIL = "mail"
    RCPT = "rcpt"
    DONE = "done"


class Conversation:
    """One connection.

    Arguments:
        script: what to ask.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._hello = script.hello.encode("ascii")
        self._reader = ReplyReader()
        self._stage = _Stage.CONNECT
        self._keywords: dict[str, tuple[str, ...]] = {}
        self._unasked = list(script.recipients)
        self._probe, self._controls = script.probe, list(script.controls)
        self._replies: list[Reply] = []
        self._tls = False
        self._shaking_hands = False

    @property
    def stage(self) -> str:
        """Where it is, for the log."""
        return self._stage.value

    def connected(self) -> None:
        """There is a connection."""
        self._stage = _Stage.BANNER

    def receive(self, data: bytes) -> list[Doing]:
        """Take what came from the server; returns what is to be done."""
        if self._stage is _Stage.DONE:
            return []
        self._shaking_hands = False
        try:
            replies = self._reader.feed(data)
        except ReplyError as problem:
            return self.fail(str(problem))
        if not replies:
            return []
        if len(replies) == 2 and replies[1].code == 421 and self._stage is _Stage.RCPT:
            # It has had enough (RFC 5321 3.8), which may be read together with its last answer.
            return [*self._reply(replies[0]), *self.fail(str(replies[1]), replies[1])]
        if len(replies) > 1:
            return self.fail("replies without a command")
        return self._reply(replies[0])

    def fail(self, why: str, reply: Reply | None = None) -> list[Doing]:
        """The connection is lost or given up; idempotent.

        Arguments:
            why: private cause.
        """
        if self._stage is _Stage.DONE:
            return []
        failed = self._shaking_hands or self._stage is _Stage.STARTTLS
        return self._finish(why, polite=False, reply=reply, handshake_failed=failed)

    def _reply(self, reply: Reply) -> list[Doing]:
        if reply.code == 421:
            return self.fail(str(reply), reply)
        match self._stage:
            case _Stage.BANNER:
                if reply.code != 220:
                    return self.fail(str(reply), reply)
                return self._command(_Stage.EHLO, b"EHLO " + self._hello)
            case _Stage.EHLO:
                return self._greeted(reply)
            case _Stage.HELO:
                if reply.code != 250:
                    return self.fail(str(reply), reply)
                return self._mail()
            case _Stage.STARTTLS:
                return self._start_tls() if reply.code == 220 else self._mail()
            case _Stage.MAIL:
                if not 200 <= reply.code < 300:
                    return self._finish(str(reply), polite=True, reply=reply)
                return self._next()
            case _Stage.RCPT:
                return self._answered(reply)
            case _Stage.CONNECT | _Stage.DONE:
                raise RuntimeError(f"a reply at {self.stage}")

    def _greeted(self, reply: Reply) -> list[Doing]:
        if reply.code >= 500 and not self._tls:
            # It knows no extensions (RFC 5321 4.1.1.1).
            return self._command(_Stage.HELO, b"HELO " + self._hello)
        if reply.code != 250:
            return self.fail(str(reply), reply)
        self._keywords = _keywords(reply)
        if self._script.tls and not self._tls and "STARTTLS" in self._keywords:
            return self._command(_Stage.STARTTLS, b"STARTTLS")
        return self._mail()

    def _start_tls(self) -> list[Doing]:
        if self._reader.pending:
            # What was said outside of TLS must not be heard inside (CVE-2011-0411).
            return self.fail("bytes between STARTTLS and TLS")
        self._tls = self._shaking_hands = True
        return [StartTls(), *self._command(_Stage.EHLO, b"EHLO " + self._hello)]

    def _mail(self) -> list[Doing]:
        if not self._unasked:
            return self._finish("", polite=True)
        if self._script.smtputf8 and "SMTPUTF8" not in self._keywords:
            return self._finish("SMTPUTF8 is not offered", polite=True, lacks_smtputf8=True)
        return self._command(_Stage.MAIL, b"MAIL FROM:<>" + (b" SMTPUTF8" if self._script.smtputf8 else b""))

    def _next(self) -> list[Doing]:
        return self._command(_Stage.RCPT, b"RCPT TO:" + self._unasked.pop(0))

    def _answered(self, reply: Reply) -> list[Doing]:
        if 300 <= reply.code < 400:
            return self.fail(str(reply), reply)
        self._replies.append(reply)
        if not self._unasked:
            if reply.code < 300:
                self._unasked, self._controls = [self._probe] if self._probe else [], []
            elif reply.code >= 500:
                self._unasked, self._controls = self._controls[:1], self._controls[1:]
            self._probe = b""
        return self._next() if self._unasked else self._finish("", polite=True)

    def _command(self, stage: _Stage, line: bytes) -> list[Doing]:
        self._stage = stage
        return [Write(line + b"\r\n")]

    def _finish(
        self,
        failure: str,
        *,
        polite: bool,
        reply: Reply | None = None,
        handshake_failed: bool = False,
        lacks_smtputf8: bool = False,
    ) -> list[Doing]:
        outcome = Outcome(
            tuple(self._replies),
            failure,
            self.stage,
            reply,
            self._keywords,
            self._tls,
            handshake_failed,
            lacks_smtputf8,
        )
        self._stage = _Stage.DONE
        goodbye: list[Doing] = [Write(b"QUIT\r\n")] if polite else []
        return [*goodbye, Finished(outcome, polite)]


def _keywords(reply: Reply) -> dict[str, tuple[str, ...]]:
    """The extensions in a reply to EHLO; its first line is the greeting (RFC 5321 4.1.1.1)."""
    found: dict[str, tuple[str, ...]] = {}
    for line in reply.verbatim[1:]:
        words = line[4:].decode("latin-1").upper().split()
        if words:
            found[words[0]] = tuple(words[1:])
    return found
