"""What is left of a decision: one log line, and the counters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mailbase.logs import Log
from mailbase.ticket import Ticket
from mailbase.vocabulary import Action
from policyd.callout.result import Result
from policyd.engine.decision import Decision
from policyd.evidence.facts import Evidence, ExceptionFact, GreylistFact, RecipientFact
from policyd.limits.bucket import Standing
from policyd.limits.limit import Limit
from policyd.observability.metrics import LimitOutcome, Metrics
from policyd.protocol.request import Request, Stage

NULL_SENDER, NONE = "<>", "-"


class Recorder:
    """Arguments:
    log: gets one line a decision.
    metrics: count it.
    """

    def __init__(self, log: Log, metrics: Metrics) -> None:
        self._log = log
        names = ("id", "flow", "stage", "client", "client_name", "sender", "recipient", "action", "reason")
        self._write = log.prepared("decision", *names, "seconds")
        self._write_weighed = log.prepared("decision", *names, "helo", "points", "facts", "shadow", "seconds")
        self.metrics = metrics
        self.tape: Callable[[Request, Decision, float], None] | None = None
        """Told of every decision, repeated ones too, while a recording is under way."""
        self.journal: Callable[[Request, Decision, float], None] | None = None
        """Told of every decision that is not a repetition."""

    def decision(self, request: Request, decision: Decision, seconds: float) -> None:
        """A request was answered; a repeated one is counted as such and nothing else.

        Arguments:
            seconds: from the request to the answer.
        """
        metrics = self.metrics
        metrics.requests[request.stage] += 1
        metrics.times.observe(seconds)
        if self.tape is not None:
            self.tape(request, decision, seconds)
        if decision.repeated:
            metrics.repeated += 1
            return
        if self.journal is not None:
            self.journal(request, decision, seconds)
        metrics.decisions[decision.flow, decision.action] += 1
        for fact in decision.facts:
            if type(fact) is GreylistFact:
                metrics.greylist[fact.grey] += 1
                if fact.shadow and fact.wait and decision.action is Action.ACCEPT:
                    metrics.shadows[decision.flow, Action.DEFER] += 1
            elif type(fact) is ExceptionFact and fact.named is not None:
                metrics.exceptions[fact.effect] += 1
            elif type(fact) is RecipientFact and fact.result is not None:
                self._recipient(fact, fact.result, decision)
        weighed = decision.weighed
        if weighed is not None:
            # What the shadows would have changed, where nothing else kept the mail out.
            shadow = decision.shadow
            if shadow is not Action.ACCEPT and request.stage is Stage.RCPT:
                metrics.shadows[decision.flow, shadow] += 1
            self._write_weighed(
                decision.id,
                decision.flow,
                request.stage,
                request.client_address,
                request.client_name,
                request.sender or NULL_SENDER,
                request.recipient or NONE,
                decision.action,
                decision.reason,
                request.get("helo_name") or NONE,
                f"{weighed.total:g}",
                weighed.text() or NONE,
                shadow if shadow is not Action.ACCEPT else NONE,
                seconds,
            )
            return
        self._write(
            decision.id,
            decision.flow,
            request.stage,
            request.client_address,
            request.client_name,
            request.sender or NULL_SENDER,
            request.recipient or NONE,
            decision.action,
            decision.reason,
            seconds,
        )

    def _recipient(self, fact: RecipientFact, result: Result, decision: Decision) -> None:
        metrics = self.metrics
        metrics.recipients[result] += 1
        if fact.shadow and fact.action is not Action.ACCEPT and decision.action is Action.ACCEPT:
            metrics.shadows[decision.flow, fact.action] += 1

    def established(self, evidence: Sequence[Evidence], times: Mapping[str, float]) -> None:
        """The checks of a request have gathered their evidence.

        Arguments:
            times: seconds from the request, waiting for DNS included, by check.
        """
        metrics = self.metrics
        check_times = metrics.check_times
        for check, seconds in times.items():
            check_times[check].observe(seconds)
        facts = metrics.facts
        for one in evidence:
            fact = one.check, one.name
            if fact in facts:
                facts[fact] += 1

    def late(self) -> None:
        """A request was decided on what was known, for its deadline had come."""
        self.metrics.late += 1

    def limit_passed(self, limit: Limit) -> None:
        """See :class:`policyd.checks.rate.LimitWatch`."""
        self._limit(limit.label, LimitOutcome.PASSED)

    def limit_warned(self, limit: Limit, subject: str, standing: Standing, tell: bool) -> None:
        """Likewise."""
        self._limit(limit.label, LimitOutcome.WARNED)
        if tell:
            self._write_limit("limit-nearly-used-up", limit, subject, standing)

    def limit_refused(self, limit: Limit, subject: str, standing: Standing, tell: bool) -> None:
        """Likewise."""
        self._limit(limit.label, LimitOutcome.SHADOW if limit.shadow else LimitOutcome.REFUSED)
        if tell:
            self._write_limit("limit-used-up", limit, subject, standing)

    def limit_refunded(self, label: str) -> None:
        """A limit got something back; ``label``: its :attr:`~policyd.limits.limit.Limit.label`."""
        self._limit(label, LimitOutcome.REFUNDED)

    def limits_unavailable(self) -> None:
        """The store could not say how much is used, so nobody was stopped."""
        self.metrics.limits_unavailable += 1

    def _limit(self, label: str, outcome: LimitOutcome) -> None:
        flow, _, name = label.partition(".")
        counted = self.metrics.limits
        counted[flow, name, outcome] = counted.get((flow, name, outcome), 0) + 1

    def _write_limit(self, event: str, limit: Limit, subject: str, standing: Standing) -> None:
        self._log.warning(
            event,
            limit=limit.label,
            subject=subject,
            of=limit.of,
            used=round(standing.used),
            allowed=limit.rate.burst,
            shadow=limit.shadow,
        )

    def spamtrap(self, ticket: Ticket) -> None:
        """A mail to spamtraps has come as far as DATA."""
        self.metrics.spamtraps[ticket.flow] += 1
        self._log.info(
            "spamtrap",
            id=ticket.id,
            flow=ticket.flow,
            client=ticket.client,
            sender=ticket.sender or NULL_SENDER,
            user=ticket.user or NONE,
            recipient=ticket.spamtraps[0],
            spamtraps=len(ticket.spamtraps),
            recipients=len(ticket.recipients),
        )

    def check_failed(self, check: str, error: Exception) -> None:
        """A check raised; it has no opinion."""
        failures = self.metrics.check_failures
        failures[check] = failures.get(check, 0) + 1
        self._log.exception("check-failed", error, check=check)

    def engine_failed(self, request: Request, error: Exception) -> None:
        """The engine raised: the connection is closed without a reply."""
        self.metrics.engine_failures += 1
        self._log.exception("engine-failed", error, stage=request.stage.value, client=request.client_address)

    def protocol_error(self, reason: str, peer: str) -> None:
        """Something else than a policy request came in."""
        self.metrics.protocol_errors[reason] += 1
        self._log.warning("protocol-error", reason=reason, peer=peer)
