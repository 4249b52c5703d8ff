"""The client's side of SMTP towards the reinjection port, as a state machine (RFC 5321, RFC 2920).

One engine makes one delivery, or only asks for the extensions. It never lets a mail through that the server
did not take whole: content is asked for only after each recipient (LMTP: at least one) was accepted and DATA
got 354, and the end of data is written by the caller alone.

With one recipient DATA goes out together with the envelope: a server that refuses either has no valid
recipient, and refuses DATA as well (RFC 2920 3.1). With several it waits for their replies, since some may be
refused.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from contentfilter.session.envelope import Envelope
from contentfilter.smtp import xforward
from contentfilter.smtp.commands import without
from contentfilter.smtp.offer import Offer
from mailbase.replies import Reply
from mailbase.smtp_replies import ReplyError, ReplyReader

TROUBLE = Reply(451, "4.3.0", "Mail system trouble, try again later")
"""What the client hears when the reinjection port fails us; the cause stands in the log."""


class Result(enum.StrEnum):
    """How a delivery ended."""

    DELIVERED = "delivered"
    """Taken, for all recipients or (LMTP) some."""
    REFUSED = "refused"
    """The server said no, in its own words."""
    FAILED = "failed"
    """It did not answer, or not as it must; nothing was delivered."""
    UNKNOWN = "unknown"
    """It was lost after the end of data; it may have taken the mail."""
    LATE = "late"
    """The end of data could not go out in time, so it did not."""
    MISMATCH = "mismatch"
    """What was to be sent is not what had come in; it was not sent."""
    ABANDONED = "abandoned"
    """Our client had gone before the end of data went out."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a delivery.

    Arguments:
        result: how it ended.
        replies: one for each recipient in LMTP, else one.
        detail: private cause, for the log.
    """

    result: Result
    replies: tuple[Reply, ...]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be delivered.

    Arguments:
        envelope: sender, recipients and XFORWARD lines, verbatim.
        needs: extensions that its parameters use, out of ``offer.CARRIED``.
    """

    envelope: Envelope
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes for the server.

    Arguments:
        data: one or several commands.
    """

    data: bytes


@dataclass(frozen=True, slots=True)
class SendContent:
    """The server waits for content: send it, then the terminating "." and call ``content_sent``."""


@dataclass(frozen=True, slots=True)
class Offered:
    """The server announced its extensions."""

    offer: Offer


@dataclass(frozen=True, slots=True)
class Finished:
    """The delivery is over.

    Arguments:
        outcome: how.
        polite: whether the connection is in a state where QUIT makes sense; else it is to be cut.
    """

    outcome: Outcome
    polite: bool


@dataclass(frozen=True, slots=True)
class Stale:
    """The server had given up a connection that was used again, before it took anything of this mail: it is
    to be delivered over a new one."""


ClientAction: TypeAlias = Write | SendContent | Offered | Finished | Stale


class _Stage(enum.Enum):
    BANNER = enum.auto()
    HELLO = enum.auto()
    ENVELOPE = enum.auto()
    DATA = enum.auto()
    CONTENT = enum.auto()
    FINAL = enum.auto()
    DONE = enum.auto()


class _Command(enum.Enum):
    XFORWARD = enum.auto()
    MAIL = enum.auto()
    RCPT = enum.auto()
    DATA = enum.auto()


_DATA = b"DATA\r\n"


class ClientEngine:
    """One transaction from the client's side.

    Arguments:
        hello: our name for EHLO.
        job: what to deliver; None ends after EHLO with ``Offered``.
    """

    def __init__(self, hello: str, job: Job | None) -> None:
        self._hello = hello
        self._job = job
        self._reader = ReplyReader()
        self._stage = _Stage.BANNER
        self._unsent: deque[tuple[_Command, bytes]] = deque()
        self._awaited: deque[_Command] = deque()
        self._pipelining = False
        self._resumed = False
        self.offer = Offer()
        """What the server announced."""
        self._answers: list[Reply] = []
        """The replies to RCPT, in the order of the recipients."""
        self._refusal: Outcome | None = None
        """The envelope was refused, and DATA, which went out with it, has no reply yet."""

    @property
    def stage(self) -> str:
        """Where the conversation is, for the log."""
        return self._stage.name.lower()

    def resume(self, offer: Offer) -> list[ClientAction]:
        """Begin on a connection that has delivered before.

        Arguments:
            offer: what it announced then.
        """
        self._resumed = True
        return self._open(offer)

    def receive(self, data: bytes) -> list[ClientAction]:
        """Take what came from the server; returns what is to be done."""
        if self._stage is _Stage.DONE:
            return []
        try:
            replies = self._reader.feed(data)
        except ReplyError as problem:
            return self.fail(str(problem))
        actions: list[ClientAction] = []
        for reply in replies:
            actions += self._reply(reply)
        return actions

    def content_sent(self) -> None:
        """The terminating "." has been written."""
        if self._stage is not _Stage.CONTENT:
            raise RuntimeError("no content was asked for")
        self._stage = _Stage.FINAL

    def fail(self, detail: str, result: Result = Result.FAILED) -> list[ClientAction]:
        """The connection is lost or given up; idempotent.

        Arguments:
            detail: private cause.
            result: how the delivery is to be counted if its end of data had not been written.
        """
        if self._stage is _Stage.DONE:
            return []
        if self._refusal is not None:
            return self._end(self._refusal, polite=False)
        if self._stage is _Stage.FINAL:
            result = Result.UNKNOWN
        detail = f"{detail} (at {self.stage})"
        return self._finish(result, [TROUBLE] * self._copies(), detail, polite=False)

    def lost(self, detail: str) -> list[ClientAction]:
        """The server has closed, or is about to; idempotent.

        Arguments:
            detail: private cause.
        """
        if self._resumed and self._refusal is None and self._stage in (_Stage.ENVELOPE, _Stage.DATA):
            self._stage = _Stage.DONE
            return [Stale()]
        return self.fail(detail)

    def _reply(self, reply: Reply) -> list[ClientAction]:
        if reply.code == 421:
            return self.lost(str(reply))
        match self._stage:
            case _Stage.BANNER:
                if reply.code != 220:
                    return self.fail(str(reply))
                self._stage = _Stage.HELLO
                return [Write(b"EHLO " + self._hello.encode("ascii") + b"\r\n")]
            case _Stage.HELLO:
                return self._offered(reply)
            case _Stage.ENVELOPE:
                return self._envelope_reply(reply)
            case _Stage.DATA:
                if reply.code == 354:
                    self._stage = _Stage.CONTENT
                    return [SendContent()]
                return self.fail(str(reply)) if reply.positive else self._refuse(reply)
            case _Stage.FINAL:
                return self._final(reply)
            case _Stage.DONE:
                return []
            case _Stage.CONTENT:
                # A reply in the midst of content: the server has given up.
                return self.fail(str(reply))

    def _offered(self, reply: Reply) -> list[ClientAction]:
        if reply.code != 250:
            return self.fail(str(reply))
        offer = Offer.read(list(reply.verbatim))
        actions: list[ClientAction] = [Offered(offer)]
        if self._job is None:
            return actions + self._finish(Result.DELIVERED, [], "", polite=True)
        return actions + self._open(offer)

    def _open(self, offer: Offer) -> list[ClientAction]:
        """Begin the transaction."""
        self.offer = offer
        if self._job is None:
            raise RuntimeError("nothing to deliver")
        missing = [keyword for keyword in sorted(self._job.needs) if keyword not in offer]
        if missing:
            detail = f"{' '.join(missing)} no longer offered"
            return self._finish(Result.FAILED, [TROUBLE] * self._copies(), detail, polite=True)
        self._pipelining = "PIPELINING" in offer
        self._unsent.extend(_commands(self._job.envelope, offer))
        if self._pipelining and len(self._job.envelope.recipients) == 1:
            self._unsent.append((_Command.DATA, _DATA))
        self._stage = _Stage.ENVELOPE
        return self._send()

    def _send(self) -> list[ClientAction]:
        """The next command of the envelope, or all of them."""
        lines: list[bytes] = []
        while self._unsent and (self._pipelining or not lines):
            command, line = self._unsent.popleft()
            self._awaited.append(command)
            lines.append(line)
        return [Write(b"".join(lines))]

    def _envelope_reply(self, reply: Reply) -> list[ClientAction]:
        if self._refusal is not None:
            return self._unneeded(self._refusal, reply)
        accepted = 200 <= reply.code < 300
        if (not accepted and reply.positive) or not self._awaited:
            return self.fail(str(reply))
        match self._awaited.popleft():
            case _Command.XFORWARD if not accepted:
                # Our wiring is wrong: smtpd_authorized_xforward_hosts, most likely.
                return self.fail(f"XFORWARD: {reply}")
            case _Command.MAIL if not accepted:
                return self._refuse(reply)
            case _Command.RCPT:
                self._answers.append(reply)
                if not accepted and not self._partial:
                    return self._refuse(reply)
        if self._awaited and self._awaited[0] is not _Command.DATA:
            return []
        if self._unsent:
            return self._send()
        if not any(answer.positive for answer in self._answers):
            return self._finish(Result.REFUSED, self._answers, "all recipients", polite=True)
        self._stage = _Stage.DATA
        if not self._awaited:
            return [Write(_DATA)]
        self._awaited.popleft()
        return []

    def _unneeded(self, refusal: Outcome, reply: Reply) -> list[ClientAction]:
        """A reply to what went out behind a command that was refused; the last of them is that to DATA."""
        self._awaited.popleft()
        # After a 354 the next word would be content.
        return [] if self._awaited else self._end(refusal, polite=reply.code != 354)

    def _refuse(self, reply: Reply) -> list[ClientAction]:
        replies = [reply] * self._copies()
        if self._partial and self._stage is _Stage.DATA:
            replies = [reply if answer.positive else answer for answer in self._answers]
        return self._finish(Result.REFUSED, replies, f"at {self.stage}", polite=True)

    def _final(self, reply: Reply) -> list[ClientAction]:
        accepted = 200 <= reply.code < 300
        if not accepted and reply.positive:
            return self.fail(str(reply))
        replies = [reply] * self._copies()
        if self._partial:
            replies = [reply if answer.positive else answer for answer in self._answers]
        if accepted:
            return self._finish(Result.DELIVERED, replies, "", polite=True)
        return self._finish(Result.REFUSED, replies, f"at {self.stage}", polite=True)

    def _finish(
        self, result: Result, replies: list[Reply], detail: str, *, polite: bool
    ) -> list[ClientAction]:
        outcome = Outcome(result, tuple(replies), detail)
        if result is Result.REFUSED and _Command.DATA in self._awaited:
            self._refusal = outcome
            return []
        return self._end(outcome, polite=polite)

    def _end(self, outcome: Outcome, *, polite: bool) -> list[ClientAction]:
        self._stage = _Stage.DONE
        return [Finished(outcome, polite)]

    @property
    def _partial(self) -> bool:
        return self._job is not None and self._job.envelope.lmtp

    def _copies(self) -> int:
        """How many replies the client is due."""
        if self._job is None:
            return 0
        return len(self._job.envelope.recipients) if self._partial else 1


def _commands(envelope: Envelope, offer: Offer) -> list[tuple[_Command, bytes]]:
    """The commands of the envelope, as ``offer`` allows them."""
    taken = offer.xforward
    forwarded = [xforward.announced(line, taken) for line in envelope.xforward]
    commands = [(_Command.XFORWARD, line + b"\r\n") for line in forwarded if line]
    line = envelope.sender.line
    # These two say something to us; a server that does not know them refuses the mail for good.
    for keyword in ("AUTH", "SIZE"):
        if keyword not in offer:
            line = without(line, keyword)
    commands.append((_Command.MAIL, b"MAIL FROM:" + line + b"\r\n"))
    commands += [(_Command.RCPT, b"RCPT TO:" + path.line + b"\r\n") for path in envelope.recipients]
    return commands
