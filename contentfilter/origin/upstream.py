"""Evidence on mail that a trusted relay passes on: finds the relay's client; policyd looks at it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, get_args

from contentfilter.origin.received import Hop, client_of, received_lines
from contentfilter.session.envelope import Envelope
from mailbase.addresses import pack, unpack
from mailbase.config import Settings
from mailbase.control import ControlError
from mailbase.evidence import Evidence, Question
from mailbase.logs import Log
from mailbase.reserved import is_private
from mailbase.vocabulary import Flow

MAX_UNDER_WAY = 100
"""Mails whose evidence is gathered at one time; others go on without."""
GRACE = 1.0
"""Seconds beyond policyd's own deadline that its answer may take."""

Result = Literal["found", "unreadable", "unavailable"]
RESULTS: tuple[Result, ...] = get_args(Result)
"""policyd told; no line names a client for certain; policyd did not answer, or too many were asked about."""

Ask = Callable[[dict[str, Any], float], Awaitable[dict[str, Any]]]
"""Puts a question to policyd: its fields, and the seconds to wait."""


class Investigator:
    """Arguments:
    ask: puts a question to policyd.
    log: for what goes wrong.
    ended: told how each attempt ended.
    """

    def __init__(self, ask: Ask, log: Log, ended: Callable[[Result], None]) -> None:
        self._ask = ask
        self._log = log
        self._ended = ended
        self._under_way = 0

    async def look(
        self, settings: Settings, envelope: Envelope, head: bytes, ticket_id: str, patience: float
    ) -> tuple[Hop | None, Evidence | None]:
        """The relay's client, and what is known of it; None for what cannot be told.

        Arguments:
            head: the beginning of the message.
            ticket_id: empty without a ticket.
            patience: seconds that the mail can wait.
        """
        hop = find_client(settings, envelope, head)
        if hop is None:
            self._ended("unreadable")
            return None, None
        if self._under_way >= MAX_UNDER_WAY or patience <= 0:
            self._ended("unavailable")
            return hop, None
        question = Question(ticket_id, unpack(hop.address), hop.helo, hop.name, envelope.sender.address)
        self._under_way += 1
        try:
            answer = await self._ask(question.to_dict(), min(settings.policyd.deadline + GRACE, patience))
            evidence = Evidence.from_dict(answer)
        except (ControlError, ValueError) as error:
            self._ended("unavailable")
            self._log.warning("evidence-unavailable", id=ticket_id, error=str(error))
            return hop, None
        finally:
            self._under_way -= 1
        self._ended("found")
        return hop, evidence


def wants_evidence(settings: Settings, flow: Flow) -> bool:
    """Whether mail of ``flow`` is to be looked at after DATA: that of upstream relays, if a check is on."""
    if flow is not Flow.UPSTREAM:
        return False
    checks = settings.flows.upstream.checks
    return any(checks.of(name).enabled for name in type(checks).model_fields)


def find_client(settings: Settings, envelope: Envelope, head: bytes) -> Hop | None:
    """Who brought the mail to the outermost trusted relay."""
    connected = pack(envelope.client.address)
    if connected is None:
        return None
    registry = settings.registry
    return client_of(
        received_lines(head), connected, lambda address: is_private(address) or registry.is_upstream(address)
    )
