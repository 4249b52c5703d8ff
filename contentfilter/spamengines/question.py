"""A question to a spam engine and its answer, as bytes; what carries them is elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from contentfilter.engines.seat import Message
from contentfilter.spool.seal import intact
from contentfilter.spool.unstuffing import unstuffed

KEPT = 1 << 20
"""Octets of an answer that are kept. Rspamd tells score and symbols first, then the mail's URLs and
addresses, as many as the mail has."""
MAX_ANSWER = 16 << 20
"""Octets after which it is no answer."""


class Nonsense(Exception):
    """What came is no answer to the question; the text, printable ASCII, says why.

    Arguments:
        text: why.
        late: whether the engine says that it had too little time.
    """

    def __init__(self, text: str, late: bool = False) -> None:
        super().__init__(text)
        self.late = late


@dataclass(frozen=True, slots=True)
class Asked:
    """A message, and what is known of it that an engine may want to know.

    Arguments:
        spool: the message, dot-stuffed.
        sender: of the envelope; empty for the null reverse-path.
        recipients: of the envelope.
        address: of the client, in presentation form; empty where it is not known.
        name: of the client, verified; empty likewise.
        helo: what it called itself; empty likewise.
        user: SASL login name; empty without authentication.
        id: under which Postfix or we know it, for the engine's log; empty likewise.
    """

    spool: Message
    sender: str = ""
    recipients: tuple[str, ...] = ()
    address: str = ""
    name: str = ""
    helo: str = ""
    user: str = ""
    id: str = ""

    @property
    def size(self) -> int:
        """Octets of the message without dot-stuffing."""
        return self.spool.size

    @property
    def digest(self) -> bytes:
        """The seal of its wire form; see :mod:`contentfilter.spool.seal`."""
        return self.spool.digest

    def chunks(self) -> Iterator[bytes]:
        """Its wire form."""
        return self.spool.chunks()

    def content(self) -> Iterator[bytes]:
        """The message without dot-stuffing, read piece by piece.

        Raises:
            OSError: it cannot be read, or is not what came in.
        """
        return unstuffed(intact(self.chunks(), self.digest))


class Question(Protocol):
    """One question, and the reading of its answer.

    Attributes:
        closing: whether our side of the connection is closed when all has gone out.
        reusable: after the answer, whether the connection can be used for the next question.
    """

    closing: bool

    @property
    def reusable(self) -> bool: ...

    def frames(self) -> Iterator[bytes]:
        """What goes out.

        Raises:
            OSError: the message cannot be read, or is not what came in.
        """

    def receive(self, data: bytes) -> bytes | None:
        """Read what has come; the answer when it is complete.

        Raises:
            Nonsense: it is none.
        """

    def ended(self) -> bytes:
        """The engine has closed the connection; the answer, if that is its end.

        Raises:
            Nonsense: it is not.
        """
