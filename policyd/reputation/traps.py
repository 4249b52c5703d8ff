"""What follows from mail to a spamtrap, and from mail that contentfilter refused."""

from __future__ import annotations

from collections.abc import Callable

from mailbase.addresses import pack
from mailbase.report import Report
from mailbase.ticket import Ticket
from mailbase.vocabulary import Action, Flow
from policyd.reputation.networks import Reputation


class Traps:
    """Only strangers' networks are held to account: a relay of ours passes on what others wrote, and a user's
    network is whatever hotel he is in.

    Arguments:
        reputation: of client networks.
        hit: told of each mail to a spamtrap.
    """

    def __init__(self, reputation: Reputation, hit: Callable[[Ticket], None]) -> None:
        self._reputation = reputation
        self._hit = hit

    def sprung(self, ticket: Ticket) -> None:
        """A mail to a spamtrap has come as far as DATA."""
        self._hit(ticket)
        if (address := _stranger(ticket)) is not None:
            self._reputation.trapped(address)

    def reported(self, ticket: Ticket, report: Report, first: bool) -> None:
        """See :data:`policyd.end_of_data.reports.Hook`."""
        if not first:
            return
        if report.action is Action.REJECT and (address := _stranger(ticket)) is not None:
            self._reputation.refused(address)
        if ticket.flow is Flow.UPSTREAM and ticket.spamtraps and (address := pack(report.origin)) is not None:
            # Only now is it known who wrote to them.
            self._reputation.trapped(address)


def _stranger(ticket: Ticket) -> bytes | None:
    return pack(ticket.client) if ticket.flow is Flow.INBOUND else None
