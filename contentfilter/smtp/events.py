"""What the server engine tells the session: a closed set, matched with ``match``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from contentfilter.session.envelope import Path
from contentfilter.smtp.data import Defect
from mailbase.replies import Reply


@dataclass(frozen=True, slots=True)
class Hello:
    """EHLO, HELO or LHLO.

    Arguments:
        extended: whether the client wants to hear the extensions (not HELO).
        name: as the client said it, printable.
    """

    extended: bool
    name: str


@dataclass(frozen=True, slots=True)
class XForward:
    """XFORWARD, well-formed and outside a transaction.

    Arguments:
        line: the command as received, without CRLF.
        attributes: decoded, see :mod:`contentfilter.smtp.xforward`.
    """

    line: bytes
    attributes: dict[str, str]


@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL FROM, well-formed and in its place."""

    sender: Path
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Rcpt:
    """RCPT TO, well-formed and in its place."""

    recipient: Path
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Data:
    """DATA, with at least one accepted recipient."""


@dataclass(frozen=True, slots=True)
class Content:
    """A piece of the message in wire form.

    Arguments:
        data: octets, never empty.
        size: octets of the message so far, un-stuffed.
    """

    data: bytes
    size: int


@dataclass(frozen=True, slots=True)
class EndOfData:
    """The terminating "." arrived.

    Arguments:
        size: octets of the message, un-stuffed.
        defect: why it must not be passed on, or None.
    """

    size: int
    defect: Defect | None


@dataclass(frozen=True, slots=True)
class Reset:
    """RSET."""


@dataclass(frozen=True, slots=True)
class Noop:
    """NOOP, VRFY or HELP.

    Arguments:
        reply: what to answer; it changes nothing.
    """

    reply: Reply


@dataclass(frozen=True, slots=True)
class Quit:
    """QUIT."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A command the protocol does not allow here or at all.

    Arguments:
        reply: the refusal.
        fatal: close the connection after it.
    """

    reply: Reply
    fatal: bool = False


ServerEvent: TypeAlias = (
    Hello | XForward | Mail | Rcpt | Data | Content | EndOfData | Reset | Noop | Quit | Refused
)
