"""What the client's network has done lately, as far as this gateway has seen."""

from __future__ import annotations

from collections.abc import Awaitable

from mailbase.store import StoreError
from policyd.facts import Evidence
from policyd.inquiry import TEMPORARY, Inquiry, Subject
from policyd.reputation import Past, Reputation

_REFUSED = Evidence("reputation", "refused-content")
_TEMPORARY = Evidence("reputation", TEMPORARY)


class ReputationCheck:
    """Arguments:
    reputation: of client networks.
    """

    name = "reputation"

    def __init__(self, reputation: Reputation) -> None:
        self._reputation = reputation

    def inquire(self, subject: Subject) -> Inquiry:
        """See :class:`~policyd.inquiry.EvidenceCheck`."""
        try:
            past: object = self._reputation.of(subject.address)
        except StoreError:
            return (_TEMPORARY,)
        if isinstance(past, Awaitable):
            (past,) = yield (past,)
        if not isinstance(past, Past):
            return (_TEMPORARY,)
        facts: tuple[Evidence, ...] = ()
        if past.trapped:
            times = f"{past.traps} mails" if past.traps > 1 else "1 mail"
            facts += (Evidence("reputation", "spamtrap", times),)
        return (*facts, _REFUSED) if past.refused else facts
