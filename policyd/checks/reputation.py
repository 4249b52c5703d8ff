"""What the client's network, and the sender's domain, have done lately, as far as this gateway has seen."""

from __future__ import annotations

from typing import Any

from mailbase.store import StoreError
from policyd.evidence.facts import Evidence
from policyd.evidence.inquiry import TEMPORARY, Inquiry, Subject
from policyd.reputation.networks import Past, Reputation
from policyd.reputation.outcomes import History, Outcomes

GOOD = "good-network"
"""The fact that speaks for a client."""
_REFUSED = Evidence("reputation", "refused-content")
_TEMPORARY = Evidence("reputation", TEMPORARY)
_ROWS = (Past, History)
"""What is known at once. Whether something can be awaited is dearer to find out than to know it."""


class ReputationCheck:
    """Arguments:
    reputation: of client networks.
    outcomes: of mail, by network and domain; None: nothing is known of them.
    """

    name = "reputation"

    def __init__(self, reputation: Reputation, outcomes: Outcomes | None = None) -> None:
        self._reputation = reputation
        self._outcomes = outcomes

    def inquire(self, subject: Subject) -> Inquiry:
        """See :class:`~policyd.evidence.inquiry.EvidenceCheck`."""
        outcomes, domain = self._outcomes, subject.sender_domain
        try:
            known: list[Any] = [self._reputation.of(subject.address)]
            if outcomes is not None:
                known.append(outcomes.of_network(subject.address))
                if domain is not None:
                    known.append(outcomes.of_domain(domain))
        except StoreError:
            return (_TEMPORARY,)
        later = [place for place, one in enumerate(known) if not isinstance(one, _ROWS)]
        if later:
            answers = yield tuple(known[place] for place in later)
            for place, answer in zip(later, answers, strict=True):
                known[place] = answer
        past, network, of_domain = (*known, None, None)[:3]
        if not isinstance(past, Past):
            return (_TEMPORARY,)
        facts: tuple[Evidence, ...] = ()
        if past.trapped:
            times = f"{past.traps} mails" if past.traps > 1 else "1 mail"
            facts += (Evidence("reputation", "spamtrap", times),)
        if past.refused:
            facts += (_REFUSED,)
        if any(isinstance(one, StoreError) for one in (network, of_domain)):
            facts += (_TEMPORARY,)
        if outcomes is not None:
            facts += _histories(past, network, of_domain, domain or "", outcomes.seconds())
        return facts


def _histories(
    past: Past, network: object, of_domain: object, domain: str, now: float
) -> tuple[Evidence, ...]:
    facts: tuple[Evidence, ...] = ()
    if isinstance(network, History):
        if network.bad(now):
            facts += (Evidence("reputation", "spam-network", _counts(network, now)),)
        elif not past.trapped and network.good(now):
            facts += (Evidence("reputation", GOOD, _counts(network, now)),)
    if isinstance(of_domain, History) and of_domain.bad(now):
        facts += (Evidence("reputation", "spam-domain", f"{domain}, {_counts(of_domain, now)}"),)
    return facts


def _counts(history: History, now: float) -> str:
    left = history.faded(now)
    return f"{left.spam:.1f} of {left.spam + left.ham:.1f} spam"
