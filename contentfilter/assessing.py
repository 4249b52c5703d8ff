"""Those who are asked about a mail beside the scan workers, in the daemon: what each gets, and what it says.

An :class:`Assessor` states clues: what other filters, block lists or name servers make of the mail. One that
fails, or is late, adds nothing: missing is not zero, and nobody's mail is refused for it. A :class:`Stamper`
writes header lines for the top of a mail that is delivered. A :class:`Preparer` looks up what the workers,
who have no network, will need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanResult
from contentfilter.disposition.recipients import Share
from contentfilter.origin.received import Hop
from contentfilter.session.envelope import Envelope
from contentfilter.spool.spool import Spool
from mailbase.evidence import Evidence
from mailbase.ticket import Ticket
from mailbase.vocabulary import Flow

Name = Literal["rspamd", "spamassassin", "urls", "authentication", "signing", "bulk"]
"""Who there is; in metrics and log."""
NAMES: tuple[Name, ...] = get_args(Name)
OF_CONSEQUENCE: frozenset[Name] = frozenset({"rspamd", "spamassassin"})
"""Those whose silence the configuration gives an action (``flows.FLOW.unscanned``)."""


class FlowOf(Protocol):
    """The flow of a mail, which may have to be waited for."""

    @property
    def told(self) -> bool:
        """Whether it is known, and nobody has to wait for it."""

    async def get(self) -> Flow | None:
        """The flow; None if it could not be found out."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail at its end-of-data.

    Arguments:
        id: of the decision.
        envelope: as it came.
        spool: the message, in the dot-stuffed wire form.
        flow: where it comes from.
        ticket: what policyd knows of it; None if that is nothing.
        client: whom an upstream relay had it from; None if there is no such relay, or it does not say.
        evidence: facts about client and sender, and their points; None if nobody could say.
        result: of the scan workers; None as long as they read, or if they failed.
        unasked: the mail names a ticket, and policyd does not answer.
    """

    id: str
    envelope: Envelope
    spool: Spool
    flow: Flow
    ticket: Ticket | None = None
    client: Hop | None = None
    evidence: Evidence | None = None
    result: ScanResult | None = None
    unasked: bool = False

    def read(self, result: ScanResult | None) -> Mail:
        """The mail with what the workers say."""
        # dataclasses.replace takes several times as long.
        return Mail(
            self.id,
            self.envelope,
            self.spool,
            self.flow,
            self.ticket,
            self.client,
            self.evidence,
            result,
            self.unasked,
        )


@dataclass(frozen=True, slots=True)
class Assessment:
    """What an assessor says.

    Arguments:
        clues: for or against spam.
        failed: why it cannot say more; empty if nothing is missing.
        reason: of the failure, as :class:`contentfilter.content.results.ScanFailed` has it.
        logged: the log has it already.
    """

    clues: Sequence[Clue] = ()
    failed: str = ""
    reason: str = "unavailable"
    logged: bool = False


class Assessor(Protocol):
    """Asked about each mail; a new one for each configuration.

    An attribute ``patience``, where it has one, is how many seconds it may take; else it is
    :data:`contentfilter.panel.PATIENCE`. A method ``wants``, likewise, says whether it is asked about a mail,
    and ``spares`` whether the workers need not find out just now what it would ask after.
    """

    name: Name

    async def assess(self, mail: Mail) -> Assessment:
        """What there is to say. Cancelled when its time is over."""
        ...


class Preparer(Protocol):
    """Asked before the scan."""

    name: Name

    async def prepare(self, head: bytes, flow: FlowOf) -> Mapping[str, Any]:
        """What the analysers get, as JSON types; see ``Task.given``.

        Arguments:
            head: the beginning of the message.
            flow: tells where the mail comes from, once that is known.
        """
        ...


class StampFailed(Exception):
    """The lines cannot be written, and the mail must not go without: it stays the client's."""


class Stamper(Protocol):
    """Asked about each mail that is delivered."""

    name: Name

    async def stamp(self, mail: Mail, shares: Sequence[Share]) -> bytes:
        """Header lines, each with CRLF; empty for none.

        Raises:
            StampFailed: the mail must wait.
        """
        ...
