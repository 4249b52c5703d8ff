"""Decides: a request in, a decision out. No socket, no log, no metrics.

Interface: :meth:`Engine.decide_all` for Postfix's requests, :meth:`Engine.decide` for a single one,
:meth:`Engine.query` for the operator's questions, which leave no trace. All answer at once when every check
does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, Protocol, TypeAlias

from mailbase.ids import IdSource
from mailbase.ticket import HEADER, Ticket
from mailbase.vocabulary import Action, Finding, Flow
from policyd.callout.result import Result
from policyd.checks import Check, RecipientCheck
from policyd.end_of_data.tickets import Tickets
from policyd.engine.decision import Decision
from policyd.engine.policy import Policy
from policyd.engine.transactions import ACCEPTED, KEPT_OUT, SPARED, TICKET, WAITED, Transactions
from policyd.engine.verdict import DUNNO, judged, settles
from policyd.evidence.context import Context, Scope, scope_of
from policyd.evidence.facts import CheckFailed, CheckLate, ExceptionFact, Fact, Grey, GreylistFact
from policyd.evidence.flow import Origin
from policyd.evidence.weights import Weighed
from policyd.limits.charges import Charges
from policyd.protocol.request import Request, Stage
from policyd.spf.received import received_spf

_RCPT, _DATA, _BOTH, _ACCEPT = Stage.RCPT, Stage.DATA, Scope.BOTH, Action.ACCEPT
_MARKS = {Grey.PASSED: WAITED} | dict.fromkeys(
    (Grey.CLIENT_ALLOWED, Grey.CLIENT_LISTED, Grey.SENDER_ALLOWED, Grey.RECIPIENT_ALLOWED, Grey.EXCEPTED),
    SPARED,
)
"""What is noted of a recipient that greylisting let pass. Who has earned it is not among them: then the
content may still ask for a wait."""
_INBOUND = Flow.INBOUND
_UNKNOWN = f"{RecipientCheck.name}-{Result.UNKNOWN}"
"""Why a recipient is refused that its server does not know."""
_blank = object.__new__
"""Makes an object without calling its constructor, which costs five times as much as setting its attributes:
for the two that every request needs."""

Answer: TypeAlias = "Decision | Awaitable[Decision] | Exception"
"""A decision, one that has to be waited for, or why there is none."""
Wait = Callable[[Awaitable[Fact], float], Awaitable[Fact | None]]
"""Waits for a fact until a deadline (seconds of the clock); None if it does not come in time."""


class Watch(Protocol):
    """Is told what goes wrong."""

    def check_failed(self, check: str, error: Exception) -> None:
        """A check raised."""

    def late(self) -> None:
        """A check did not answer in time."""


class OwnMail(Protocol):
    """Is told of mail that is not strangers'."""

    def mailed(self, origin: Origin, request: Request, recipients: tuple[str, ...]) -> None:
        """A mail was accepted at DATA."""

    def unknown(self, origin: Origin, request: Request) -> None:
        """A recipient was refused that its server does not know."""


class Engine:
    """Arguments:
    policy: in force; replaced as a whole at a reload.
    tickets: where tickets are kept.
    seconds: the clock, seconds since the epoch.
    watch: told of each check that raised, or was late.
    wait: for checks that cannot answer at once.
    ids: source of decision ids.
    transactions: what was answered.
    charges: what mails took from limits; None where nothing comes back.
    trapped: told of each ticket with spamtraps.
    own: told of users' and registered systems' mail; None: nobody is.
    """

    def __init__(
        self,
        policy: Policy,
        tickets: Tickets,
        seconds: Callable[[], float],
        watch: Watch,
        wait: Wait,
        ids: IdSource | None = None,
        transactions: Transactions | None = None,
        charges: Charges | None = None,
        trapped: Callable[[Ticket], None] | None = None,
        own: OwnMail | None = None,
    ) -> None:
        self.policy = policy
        self._tickets = tickets
        self._seconds = seconds
        self._watch = watch
        self._until = wait
        self._ids = ids or IdSource()
        self.transactions = Transactions() if transactions is None else transactions
        self._charges = charges
        self._trapped = trapped
        self._own = own

    def decide(self, request: Request) -> Decision | Awaitable[Decision]:
        """The answer to Postfix; the same one if the request is a repetition."""
        return _given(self._side_by_side([request], [self.transactions.question(request)], True))

    def decide_all(self, requests: Sequence[Request]) -> list[Answer]:
        """The answers to some requests, in their order, as :meth:`decide` gives them.

        They are decided side by side, step by step: what is done again at once costs much less.
        """
        questions = [*map(self.transactions.question, requests)]
        if len(set(questions)) == len(questions):
            return self._side_by_side(requests, questions, True)
        # One may be a repetition of another.
        return [
            answer
            for request, question in zip(requests, questions, strict=True)
            for answer in self._side_by_side([request], [question], True)
        ]

    def query(self, request: Request) -> Decision | Awaitable[Decision]:
        """The answer that Postfix would get; nothing is remembered of it."""
        return _given(self._side_by_side([request], [""], False))

    def _side_by_side(
        self, requests: Sequence[Request], questions: Sequence[str], trace: bool
    ) -> list[Answer]:
        now = self._seconds()
        answers: list[Any] = [None] * len(requests)
        steps = [
            self._decide(request, question, now, trace, answers, place)
            for place, (request, question) in enumerate(zip(requests, questions, strict=True))
        ]
        for _ in zip_longest(*steps):
            pass
        return answers

    def _decide(
        self, request: Request, question: str, now: float, trace: bool, answers: list[Answer], place: int
    ) -> Iterator[None]:
        """One decision, in steps.

        Arguments:
            answers: takes it, at ``place``.
        """
        policy = self.policy
        try:
            if question and (known := self.transactions.answer(question)) is not None:
                flow = policy.origins.of(request).flow
                answers[place] = Decision("", flow, _ACCEPT, known, "repeated", repeated=True)
                return
            yield
            scope = scope_of(request.policy_context)
            facts: list[Fact] = []
            context = _blank(Context)
            context.now = now
            context.origin = policy.origins.of(request)
            context.trace = trace
            context.deadline = now + policy.deadline - policy.margin
            context.weighed = self.transactions.weighed(request) if question else None
            context.thresholds = context.allowed = context.taken = None
            context.facts = facts
            yield
            preparations, checks = policy.plan[request.stage, scope]
            for prepare in preparations:
                try:  # noqa: SIM105 - a context manager costs as much as some checks
                    prepare(context)
                except Exception:  # noqa: BLE001, S110 - comes again in its check, where it is counted
                    pass
                yield
            for check in checks:
                try:
                    fact = check.check(request, context)
                except Exception as error:  # noqa: BLE001 - the boundary of a check: counted, logged, no verdict
                    fact = self._failure(check, error)
                if not isinstance(fact, Fact):
                    # Each check before has left a fact.
                    open_checks = checks[len(facts) :]
                    answers[place] = self._decide_later(
                        request, question, context, scope, facts, fact, open_checks
                    )
                    return
                facts.append(fact)
                if context.taken is None:
                    # Else some of it may come back, and the next one may need it.
                    yield
                if settles(fact):
                    break
            answers[place] = self._conclude(request, question, context, scope, facts)
        except Exception as error:  # noqa: BLE001 - the boundary of a request: the others are decided
            answers[place] = error

    async def _decide_later(
        self,
        request: Request,
        question: str,
        context: Context,
        scope: Scope,
        facts: list[Fact],
        waiting: Awaitable[Fact],
        checks: tuple[Check, ...],
    ) -> Decision:
        """Go on where a check could not answer at once: ``checks[0]``."""
        until = context.deadline + self.policy.margin
        found: Fact | Awaitable[Fact] | None = waiting
        fact: Fact | None
        for check in checks:
            try:
                if found is None:
                    found = check.check(request, context)
                fact = found if isinstance(found, Fact) else await self._until(found, until)
            except Exception as error:  # noqa: BLE001 - as above
                fact = self._failure(check, error)
            if fact is None:
                self._watch.late()
                fact = CheckLate(check.name)
            facts.append(fact)
            if settles(fact):
                break
            found = None
        return self._conclude(request, question, context, scope, facts)

    def _failure(self, check: Check, error: Exception) -> CheckFailed:
        self._watch.check_failed(check.name, error)
        return CheckFailed(check.name)

    def _conclude(
        self,
        request: Request,
        question: str,
        context: Context,
        scope: Scope,
        facts: list[Fact],
    ) -> Decision:
        policy = self.policy
        decision_id = self._ids.next()
        established = tuple(facts)
        verdict = judged((established, scope, policy.on_error))
        action = verdict.action
        reply = policy.texts.reply(verdict, decision_id, request)
        weighed = context.weighed
        decision = _blank(Decision)
        decision.id = decision_id
        decision.flow = context.origin.flow
        decision.action = action
        decision.reply = reply
        decision.reason = verdict.reason
        decision.facts = established
        decision.weighed = weighed
        decision.thresholds = context.thresholds
        decision.repeated = False
        mark = ""
        if request.stage is _RCPT:
            if weighed is not None and question:
                self.transactions.keep_weighed(request, weighed)
            if action is _ACCEPT:
                mark = _accepting(established)
            elif scope is not _BOTH:
                # Where one place asks for both, nothing else has let this recipient pass.
                mark = KEPT_OUT
            own = self._own if context.origin.flow is not _INBOUND and question else None
            if own is not None and verdict.reason == _UNKNOWN:
                own.unknown(context.origin, request)
        elif request.stage is _DATA and reply == DUNNO:
            mark = self._prepend(request, question, context, decision)
        if question:
            self.transactions.remember(question, request, decision.reply, mark)
            if context.taken is not None and self._charges is not None:
                ticket_id = self.transactions.ticket(request)
                self._charges.settle(ticket_id, request.stage, action, context.taken, context.now)
        return decision

    def _prepend(self, request: Request, question: str, context: Context, decision: Decision) -> str:
        """Let Postfix put the ticket's id on top of the mail, or what SPF said; returns the mark for it.

        Prepended lines add up: one for each mail, however often and wherever Postfix asks.
        """
        recipients: tuple[str, ...] = ()
        if question:
            if self.transactions.ticket(request):
                return ""
            recipients = self.transactions.accepted(request)
        if not recipients and request.recipient:
            recipients = (request.recipient,)
        if context.origin.flow is not _INBOUND and context.trace and self._own is not None:
            self._own.mailed(context.origin, request, recipients)
        receiver = self.policy.received_spf
        if receiver is not None:
            weighed = context.weighed
            line = received_spf(request, weighed.evidence if weighed else (), receiver)
            if line is None:
                return ""
            decision.reply, decision.reason = f"PREPEND {line}", "received-spf"
            return TICKET + decision.id
        decision.reply = f"PREPEND {HEADER}: {decision.id}"
        decision.reason = "ticket"
        if context.trace:
            traps = self.policy.traps
            spamtraps = tuple(filter(traps.match, recipients)) if traps else ()
            ticket = Ticket(
                decision.id,
                context.origin.flow,
                request.client_address,
                request.sender.lower(),
                request.sasl_username,
                recipients,
                *_known(decision.facts, context.weighed),
                spamtraps,
                "" if context.origin.system is None else context.origin.system.text,
                () if context.weighed is None else context.weighed.texts(),
                self.transactions.greylisting(request) if question else "",
            )
            self._tickets.keep(ticket, context.now)
            if spamtraps and self._trapped is not None:
                self._trapped(ticket)
        return TICKET + decision.id


def _given(answers: list[Answer]) -> Decision | Awaitable[Decision]:
    """The only one of them."""
    (answer,) = answers
    if isinstance(answer, Exception):
        raise answer
    return answer


def _accepting(facts: tuple[Fact, ...]) -> str:
    """The mark for a recipient that nothing kept out."""
    for fact in reversed(facts):
        if type(fact) is GreylistFact:
            # In a shadow nobody has waited.
            return ACCEPTED if fact.shadow else _MARKS.get(fact.grey, ACCEPTED)
    return ACCEPTED


def _known(facts: tuple[Fact, ...], weighed: Weighed | None) -> tuple[tuple[Finding, ...], float]:
    """Findings and points of a ticket; what shadows found is named, and has no part in the points."""
    exceptions = tuple(
        Finding(f"exceptions.{fact.effect}", "", f"{fact.named}:{fact.what}")
        for fact in facts
        if type(fact) is ExceptionFact and fact.named is not None
    )
    if weighed is None:
        return exceptions, 0.0
    findings = exceptions + tuple(
        Finding(f"{one.check}.{one.name}", "", one.detail or ("" if counts else "shadow"))
        for one, counts in zip(weighed.evidence, weighed.acted_on, strict=True)
    )
    return findings, weighed.total
