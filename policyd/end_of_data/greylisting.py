"""Greylisting at the end of data (P5): a mail that looks like spam waits once, known again by its content.

contentfilter asks, when the total of a mail is reason enough. There is one wait for a mail: what was made to
wait before DATA is noted as having waited, so that it need not even if it comes once more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from mailbase.addresses import pack
from mailbase.control import ControlError
from mailbase.control.server import Handler
from mailbase.deferral import VERB, WHYS, DeferralAnswer, DeferralQuestion, Why
from mailbase.store import StoreError
from mailbase.ticket import Ticket
from mailbase.vocabulary import Flow
from policyd.checks.greylist import PASS, PLUS_ALL, SPF, GreylistCheck
from policyd.end_of_data.tickets import Tickets
from policyd.evidence.facts import Grey
from policyd.greylist.ledger import Records
from policyd.greylist.terms import Terms

_WHY: dict[Grey, Why] = {
    Grey.NEW: "waits",
    Grey.EARLY: "waits",
    Grey.PASSED: "waited",
    Grey.KNOWN: "waited",
    Grey.UNAVAILABLE: "unavailable",
}
_NAMELESS = frozenset({"", "unknown", "[unavailable]"})


class MailGreylisting:
    """Arguments:
    tickets: tell what the mail was.
    ledger: remembers it, as it does triplets.
    check: knows by what callers are known again, and who is spared; of the policy in force.
    seconds: the clock, seconds since the epoch.

    Attributes:
        counted: answers, for the metrics.
    """

    def __init__(
        self,
        tickets: Tickets,
        ledger: Records,
        check: Callable[[], GreylistCheck],
        seconds: Callable[[], float],
    ) -> None:
        self._tickets = tickets
        self._ledger = ledger
        self._check = check
        self._seconds = seconds
        self.counted: dict[Why, int] = dict.fromkeys(WHYS, 0)

    def table(self) -> dict[str, Handler]:
        """Verb → handler."""
        return {VERB: self.defer}

    async def defer(self, request: dict[str, Any]) -> dict[str, Any]:
        """A :class:`~mailbase.deferral.DeferralQuestion`: whether the mail has to wait, and how long."""
        try:
            question = DeferralQuestion.from_dict(request)
            ticket = self._tickets.find(question.id, question.client, question.sender, self._seconds())
            if isinstance(ticket, Awaitable):
                ticket = await ticket
            answer = await self._answer(question, ticket)
        except (ValueError, StoreError) as error:
            raise ControlError(str(error)) from error
        self.counted[answer.why] += 1
        return answer.to_dict()

    async def _answer(self, question: DeferralQuestion, ticket: Ticket | None) -> DeferralAnswer:
        address = pack(question.client)
        if ticket is None or address is None:
            # Whether it was greylisted nobody knows.
            return DeferralAnswer("unavailable")
        if ticket.flow is not Flow.INBOUND or ticket.greylisting == "spared":
            return DeferralAnswer("spared")
        name = "" if question.name.lower() in _NAMELESS else question.name.lower()
        caller = self._check().caller(address, name, _spf_domain(ticket))
        if caller is None:
            return DeferralAnswer("spared")
        fact = self._ledger.attempt(
            caller,
            ticket.sender,
            f"message:{question.digest}",
            self._seconds(),
            terms=mail_terms(self._ledger.terms, waited=ticket.greylisting == "waited"),
        )
        if isinstance(fact, Awaitable):
            fact = await fact
        return DeferralAnswer(_WHY.get(fact.grey, "spared"), fact.wait)


def mail_terms(terms: Terms, *, waited: bool = False) -> Terms:
    """The terms for a mail that is known by its content.

    It is one mail and no correspondence: nobody earns or has earned anything by it, since it looks like spam,
    and it is forgotten once it cannot come again.

    Arguments:
        waited: whether it has waited before DATA.
    """
    return replace(
        terms,
        delay=0.0 if waited else terms.delay,
        lifetime=min(terms.lifetime, terms.retry_window),
        auto_allow_after=0,
    )


def _spf_domain(ticket: Ticket) -> str:
    """The domain for which the client passed SPF, unless that runs in shadow, or anybody does."""
    facts = {fact.partition(":")[0] for fact in ticket.facts}
    if f"{SPF}.{PASS}" not in facts or f"{SPF}.{PLUS_ALL}" in facts:
        return ""
    return next((one.detail for one in ticket.findings if one.name == f"{SPF}.{PASS}"), "")
