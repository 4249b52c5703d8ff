"""What was answered in a mail transaction, so that a repeated request gets the same answer and counts once.

Postfix asks again after a lost connection, and may ask at several places for one recipient.
"""

from __future__ import annotations

from policyd.decision import Decision
from policyd.request import Request, Stage

MAX_DECISIONS = 30_000
"""Decisions in one of the two generations that are held."""
MAX_PER_TRANSACTION = 2500
"""Decisions of one transaction: twice Postfix's smtpd_recipient_limit, and some."""
MAX_TEXT = 320
"""Characters of an instance, recipient or context that is remembered; RFC 5321 4.5.3.1 has 64 + 1 + 255."""

Question = tuple[Stage, str, str]
"""Stage, recipient, policy_context."""


class Transaction:
    """The answers given so far."""

    __slots__ = ("decisions", "ticket")

    def __init__(self) -> None:
        self.decisions: dict[Question, Decision] = {}
        self.ticket = ""
        """The id that was prepended; empty before."""

    def accepted(self) -> tuple[str, ...]:
        """Recipients that were asked about and that nothing of ours kept out, in their order."""
        verdicts: dict[str, bool] = {}
        for (stage, recipient, _), decision in self.decisions.items():
            if stage is Stage.RCPT:
                verdicts[recipient] = verdicts.get(recipient, True) and decision.accepts
        return tuple(recipient for recipient, accepted in verdicts.items() if accepted)


class Transactions:
    """Transactions by ``instance``: the young ones and the generation before."""

    def __init__(self, max_decisions: int = MAX_DECISIONS) -> None:
        self._max = max_decisions
        self._young: dict[str, Transaction] = {}
        self._old: dict[str, Transaction] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def of(self, request: Request) -> Transaction | None:
        """The transaction that ``request`` belongs to; None outside of one, or if it cannot be remembered."""
        instance = request.instance
        if not instance or len(instance) > MAX_TEXT:
            return None
        found = self._young.get(instance)
        if found is None:
            found = self._old.pop(instance, None) or Transaction()
            self._count += 1 + len(found.decisions)
            if self._count > self._max:
                self._old = self._young
                self._young = {}
                self._count = 1 + len(found.decisions)
            self._young[instance] = found
        return found

    def remember(self, transaction: Transaction, request: Request, decision: Decision) -> None:
        """Note the answer to ``request``; what is too long or too much is not noted."""
        if (
            len(request.recipient) <= MAX_TEXT
            and len(request.policy_context) <= MAX_TEXT
            and len(transaction.decisions) < MAX_PER_TRANSACTION
        ):
            transaction.decisions[request.stage, request.recipient, request.policy_context] = decision
            self._count += 1
