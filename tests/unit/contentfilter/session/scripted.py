"""A session as a script: this comes in, that must go out."""

from __future__ import annotations

from contentfilter.disposition.disposition import Deliver
from contentfilter.disposition.splits import Splits
from contentfilter.session import session as words
from contentfilter.session.envelope import Path
from contentfilter.session.session import Profile, Session
from contentfilter.session.steps import (
    Command,
    DeliveryEnded,
    EdgeEvent,
    Inspect,
    OpenSpool,
    Record,
    Reinject,
    Say,
    Store,
    Verdict,
)
from contentfilter.smtp.client import Outcome, Result
from contentfilter.smtp.events import (
    Content,
    Data,
    EndOfData,
    Hello,
    Mail,
    Rcpt,
    ServerEvent,
)
from contentfilter.smtp.offer import Offer
from mailbase.replies import Reply

FULL = Offer({"8BITMIME": (), "SMTPUTF8": (), "DSN": (), "PIPELINING": (), "CHUNKING": ()})
QUEUED = Reply.relayed([b"250 2.0.0 Ok: queued as 4711"])
NO = Reply(554, "5.7.1", "Macros [abc]")


class Script:
    """A session with its collected answers."""

    def __init__(
        self,
        lmtp: bool = False,
        offer: Offer = FULL,
        size_limit: int = 1000,
        recipients: int = 3,
        splits: Splits | None = None,
    ) -> None:
        self.offer = offer
        profile = Profile("filter.example", lmtp, size_limit, recipients)
        self.session = Session(profile, lambda: self.offer, splits)

    def __call__(self, event: ServerEvent | EdgeEvent) -> list[Command]:
        return self.session.handle(event)

    def envelope(self, *recipients: str) -> None:
        """EHLO, MAIL, RCPT … accepted."""
        self(Hello(True, "c.example"))
        assert self(mail()) == [Say(words.SENDER_OK)]
        for recipient in recipients or ("b@y",):
            assert self(rcpt(recipient)) == [Say(words.RECIPIENT_OK)]

    def message(self, *recipients: str) -> None:
        """… and a message up to its end."""
        self.envelope(*recipients)
        assert self(Data()) == [OpenSpool(), Say(words.GO_AHEAD)]
        assert self(Content(b"Hi\r\n", 4)) == [Store(b"Hi\r\n", 4)]

    def judged(self, *recipients: str, header: bytes = b"") -> Reinject:
        """… and passed by the inspector."""
        self.message(*recipients)
        (inspect,) = self(EndOfData(4, None))
        assert isinstance(inspect, Inspect)
        (reinject,) = self(Verdict("id1", Deliver(header)))
        assert isinstance(reinject, Reinject)
        return reinject


def mail(address: str = "a@x", **parameters: str) -> Mail:
    return Mail(Path(address, f"<{address}>".encode()), parameters)


def rcpt(address: str = "b@y", **parameters: str) -> Rcpt:
    return Rcpt(Path(address, f"<{address}>".encode()), parameters)


def ended(result: Result, *replies: Reply) -> DeliveryEnded:
    return DeliveryEnded(Outcome(result, replies, "why"))


def said(commands: list[Command]) -> list[Reply]:
    return [command.reply for command in commands if isinstance(command, Say)]


def record(commands: list[Command]) -> Record:
    (found,) = [command for command in commands if isinstance(command, Record)]
    return found
