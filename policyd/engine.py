"""Decides: a request in, a decision out. No socket, no log, no metrics.

Interface: :meth:`Engine.decide` for Postfix's requests, :meth:`Engine.query` for the operator's questions,
which leave no trace. Both answer at once when every check does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from mailbase.addresses import split_mailbox
from mailbase.ids import IdSource
from mailbase.ticket import HEADER, Ticket
from mailbase.vocabulary import Action
from policyd.checks import Check
from policyd.context import Context, Scope, scope_of
from policyd.decision import Decision
from policyd.facts import CheckFailed, Fact
from policyd.flow import Origin, origin
from policyd.policy import Policy
from policyd.request import Request, Stage
from policyd.tickets import Tickets
from policyd.transactions import Transaction, Transactions
from policyd.verdict import DUNNO, judge, settles

CheckFailure = Callable[[str, Exception], None]
"""Told the name of a check that raised, and what."""


class Engine:
    """Arguments:
    policy: in force; replaced as a whole at a reload.
    tickets: where tickets are kept.
    seconds: the clock, seconds since the epoch.
    check_failed: told of each check that raised.
    ids: source of decision ids.
    transactions: what was answered.
    """

    def __init__(
        self,
        policy: Policy,
        tickets: Tickets,
        seconds: Callable[[], float],
        check_failed: CheckFailure,
        ids: IdSource | None = None,
        transactions: Transactions | None = None,
    ) -> None:
        self.policy = policy
        self._tickets = tickets
        self._seconds = seconds
        self._check_failed = check_failed
        self._ids = ids or IdSource()
        self.transactions = transactions or Transactions()

    def decide(self, request: Request) -> Decision | Awaitable[Decision]:
        """The answer to Postfix; the same one if the request is a repetition."""
        transaction = self.transactions.of(request)
        if transaction is not None:
            question = (request.stage, request.recipient, request.policy_context)
            known = transaction.decisions.get(question)
            if known is not None:
                return replace(known, repeated=True)
        return self._decide(request, transaction, True)

    def query(self, request: Request) -> Decision | Awaitable[Decision]:
        """The answer that Postfix would get; nothing is remembered of it."""
        return self._decide(request, None, False)

    def _decide(
        self, request: Request, transaction: Transaction | None, trace: bool
    ) -> Decision | Awaitable[Decision]:
        policy = self.policy
        source = origin(request, policy.registry)
        if request.stage is not Stage.RCPT:
            return self._elsewhere(request, transaction, source, trace)
        scope = scope_of(request.policy_context)
        mailbox = split_mailbox(request.recipient)
        domain = policy.registry.domain(mailbox.domain) if mailbox is not None else None
        context = Context(self._seconds(), source.flow, source.address, source.system, mailbox, domain, trace)
        facts: list[Fact] = []
        checks = policy.plan[Stage.RCPT, scope]
        for position, check in enumerate(checks):
            try:
                fact = check.check(request, context)
            except Exception as error:  # noqa: BLE001 - the boundary of a check: counted, logged, no verdict
                fact = self._failure(check, error)
            if not isinstance(fact, Fact):
                return self._decide_later(
                    request, transaction, context, scope, facts, fact, checks[position:]
                )
            facts.append(fact)
            if settles(fact):
                break
        return self._conclude(request, transaction, context, scope, facts)

    async def _decide_later(
        self,
        request: Request,
        transaction: Transaction | None,
        context: Context,
        scope: Scope,
        facts: list[Fact],
        waiting: Awaitable[Fact],
        checks: tuple[Check, ...],
    ) -> Decision:
        """Go on where a check could not answer at once: ``checks[0]``."""
        fact = await self._wait(checks[0], waiting)
        facts.append(fact)
        for check in checks[1:]:
            if settles(fact):
                break
            try:
                found = check.check(request, context)
            except Exception as error:  # noqa: BLE001 - as above
                found = self._failure(check, error)
            fact = found if isinstance(found, Fact) else await self._wait(check, found)
            facts.append(fact)
        return self._conclude(request, transaction, context, scope, facts)

    async def _wait(self, check: Check, waiting: Awaitable[Fact]) -> Fact:
        try:
            return await waiting
        except Exception as error:  # noqa: BLE001 - as above
            return self._failure(check, error)

    def _failure(self, check: Check, error: Exception) -> CheckFailed:
        self._check_failed(check.name, error)
        return CheckFailed(check.name)

    def _conclude(
        self,
        request: Request,
        transaction: Transaction | None,
        context: Context,
        scope: Scope,
        facts: list[Fact],
    ) -> Decision:
        decision_id = self._ids.next()
        action, reply, reason = judge(facts, scope, decision_id, self.policy.wording)
        decision = Decision(decision_id, context.flow, action, reply, reason, tuple(facts))
        if transaction is not None:
            self.transactions.remember(transaction, request, decision)
        return decision

    def _elsewhere(
        self, request: Request, transaction: Transaction | None, source: Origin, trace: bool
    ) -> Decision:
        decision_id = self._ids.next()
        decision = Decision(decision_id, source.flow, Action.ACCEPT, DUNNO, "no-opinion")
        # Prepended lines add up: one for each mail, however often and wherever Postfix asks.
        if request.stage is Stage.DATA and (transaction is None or not transaction.ticket):
            decision.reply = f"PREPEND {HEADER}: {decision_id}"
            decision.reason = "ticket"
            if transaction is not None:
                transaction.ticket = decision_id
            if trace:
                self._tickets.keep(self._ticket(request, transaction, source, decision_id), self._seconds())
        if transaction is not None:
            self.transactions.remember(transaction, request, decision)
        return decision

    def _ticket(
        self, request: Request, transaction: Transaction | None, source: Origin, decision_id: str
    ) -> Ticket:
        recipients = transaction.accepted() if transaction is not None else ()
        if not recipients and request.recipient:
            recipients = (request.recipient,)
        return Ticket(
            decision_id,
            source.flow,
            request.client_address,
            request.sender.lower(),
            request.sasl_username,
            recipients,
        )
