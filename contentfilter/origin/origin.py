"""Where a mail comes from: what policyd knows of it, and of the client of an upstream relay."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from contentfilter.metrics import Metrics
from contentfilter.origin.received import Hop
from contentfilter.origin.upstream import wants_evidence
from contentfilter.session.envelope import Envelope
from contentfilter.spool.spool import Spool
from contentfilter.stopwatch import Stopwatch
from mailbase.addresses import pack
from mailbase.config import ListenerSettings, Settings
from mailbase.control import ControlError
from mailbase.evidence import Evidence
from mailbase.ids import is_id
from mailbase.logs import Log
from mailbase.ticket import HEADER, Ticket
from mailbase.vocabulary import Flow

TICKET_TIMEOUT = 2.0
"""Seconds for policyd to answer; without it the mail goes on with what we know ourselves."""

EXCEPTED = "exceptions.allow"
"""What policyd states of a mail that ``policyd allow`` spares its points."""

_ID_LINE = re.compile(rb"(?im)^" + HEADER.encode() + rb":[ \t]*([0-9a-z]{1,32})[ \t]*\r?$")


class Policyd(Protocol):
    """policyd's control socket."""

    async def request(self, verb: str, arguments: dict[str, Any], timeout: float) -> dict[str, Any]: ...


class Investigator(Protocol):
    """Looks at clients of upstream relays; see :class:`contentfilter.origin.upstream.Investigator`."""

    async def look(
        self, settings: Settings, envelope: Envelope, head: bytes, ticket_id: str, patience: float
    ) -> tuple[Hop | None, Evidence | None]: ...


class Sources(Protocol):
    """Who is asked; see :class:`contentfilter.backends.Backends`."""

    @property
    def settings(self) -> Settings: ...
    @property
    def policyd(self) -> Policyd: ...
    @property
    def investigator(self) -> Investigator: ...


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of a mail beside its content.

    Arguments:
        ticket: policyd's; None if it knows nothing of the mail, or does not answer.
        flow: where the mail comes from.
        client: whom an upstream relay had it from; None if there is no such relay, or it does not say.
        evidence: facts about client and sender, and their points; None if nobody could say.
        unasked: the mail names a ticket, and policyd does not answer.
    """

    ticket: Ticket | None
    flow: Flow
    client: Hop | None
    evidence: Evidence | None
    unasked: bool = False


class Origins:
    """Finds out where mails come from.

    Arguments:
        metrics: count the tickets.
        log: for what cannot be asked.
    """

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics = metrics
        self._log = log

    async def find(
        self,
        sources: Sources,
        envelope: Envelope,
        spool: Spool,
        listener: ListenerSettings,
        left: Callable[[], float],
        watch: Stopwatch,
    ) -> Origin:
        """Where a mail comes from.

        Arguments:
            sources: who is asked.
            listener: where the mail came in.
            left: tells how many seconds there are.
            watch: takes the time.
        """
        ticket, unasked = await watch.of("ticket", self._ticket(sources.policyd, envelope, spool))
        flow = ticket.flow if ticket else without_ticket(sources.settings, envelope, listener)
        client, evidence = None, None
        if wants_evidence(sources.settings, flow):
            name = ticket.id if ticket else ""
            looking = sources.investigator.look(sources.settings, envelope, spool.head(), name, left())
            client, evidence = await watch.of("evidence", looking)
        elif ticket is not None:
            evidence = Evidence(ticket.points, ticket.facts)
        return Origin(ticket, flow, client, evidence, unasked)

    async def _ticket(self, policyd: Policyd, envelope: Envelope, spool: Spool) -> tuple[Ticket | None, bool]:
        """What policyd knows of the mail; None if it knows nothing, or (True) does not answer."""
        name = ticket_id(spool.head())
        if not name:
            self._metrics.tickets.labels("missing").inc()
            return None, False
        about = {"id": name, "client": envelope.client.address, "sender": envelope.sender.address}
        try:
            answer = await policyd.request("ticket", about, TICKET_TIMEOUT)
            ticket = Ticket.from_dict({**about, **answer}) if answer.get("found") is True else None
        except (ControlError, ValueError) as error:
            self._metrics.tickets.labels("unavailable").inc()
            self._log.warning("ticket-unavailable", id=name, error=str(error))
            return None, True
        if ticket is None or ticket.id != name:
            self._metrics.tickets.labels("unknown").inc()
            return None, False
        self._metrics.tickets.labels("found").inc()
        return ticket, False


def ticket_id(head: bytes) -> str:
    """The id in the topmost ticket line of a message's header; empty if there is none.

    Arguments:
        head: the beginning of the message.
    """
    # policyd's line stands above everything that came from outside.
    header, _, _ = head.partition(b"\r\n\r\n")
    found = _ID_LINE.search(header)
    name = found[1].decode("ascii").lower() if found else ""
    return name if is_id(name) else ""


def is_excepted(ticket: Ticket | None) -> bool:
    """Whether the operator has said by command that the mail is to get no points."""
    return ticket is not None and any(finding.name == EXCEPTED for finding in ticket.findings)


def without_ticket(settings: Settings, envelope: Envelope, listener: ListenerSettings) -> Flow:
    """The flow of a mail that policyd knows nothing of: by the client's address, else by the listener."""
    packed = pack(envelope.client.address)
    if packed is not None:
        if settings.registry.is_upstream(packed):
            return Flow.UPSTREAM
        if settings.registry.system_of(packed, envelope.client.name) is not None:
            return Flow.OUTBOUND
    return listener.flow or Flow.INBOUND
