"""Runs the checks that gather evidence on client, HELO and sender, once in a mail transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass

from mailbase.addresses import split_mailbox
from mailbase.registry import Domain, Registry
from mailbase.registry.model import FLOW
from mailbase.vocabulary import Action, Flow
from policyd.evidence.context import Context
from policyd.evidence.facts import Evidence, PointsFact
from policyd.evidence.inquiry import Collected, EvidenceCheck, Gather, subject_of
from policyd.evidence.weights import Thresholds, Weighed, Weights, points_fact
from policyd.protocol.request import Request, Stage

_NONE = points_fact(Action.ACCEPT)


@dataclass(frozen=True, slots=True)
class FlowPoints:
    """How mail of one flow gets points.

    Arguments:
        checks: those that run.
        weights: what their facts are worth.
        thresholds: where a recipient's domain has none of its own.
        settled_at: points from which on every domain refuses; None: some domain never does.
    """

    checks: tuple[EvidenceCheck, ...]
    weights: Weights
    thresholds: Thresholds
    settled_at: float | None = None

    def is_settled(self, evidence: Sequence[Evidence], still_open: Sequence[str]) -> bool:
        """Whether the mail is refused for ``evidence``, whatever the checks ``still_open`` might say."""
        weights = self.weights
        if weights.actions and any(
            weights.action_for(one) is Action.REJECT and weights.counts(one) for one in evidence
        ):
            return True
        return self.settled_at is not None and weights.reaches(evidence, self.settled_at, still_open)


class PointsCheck:
    """Arguments:
    flows: by flow; one whose mail gets no points has no entry.
    gather: asks the checks.
    registry: knows which domains have thresholds of their own.
    exempt: local parts whose mail gets no points, lower case.
    """

    name = "points"
    stages = frozenset({Stage.RCPT})

    def __init__(
        self,
        flows: Mapping[Flow, FlowPoints],
        gather: Gather,
        registry: Registry,
        *,
        exempt: Collection[str] = (),
    ) -> None:
        self._flows = flows
        self._gather = gather
        self._registry = registry
        self._exempt = frozenset(exempt)

    def check(self, request: Request, context: Context) -> PointsFact | Awaitable[PointsFact]:
        """What the evidence comes to; ``context.weighed`` holds it, and is reused if it is there already."""
        origin = context.origin
        points = self._flows.get(origin.flow)
        if points is None or origin.address is None or context.allowed is not None:
            context.weighed = None
            return _NONE
        thresholds = self._thresholds(request.recipient, points.thresholds, origin.flow)
        if thresholds is None:
            context.weighed = None
            return _NONE
        context.thresholds = thresholds
        if context.weighed is not None:
            return context.weighed.under(thresholds)
        subject = subject_of(request, origin.address, origin)
        collected = self._gather(points.checks, subject, context.deadline, context.trace, points.is_settled)
        if isinstance(collected, Collected):
            return self._weigh(collected, context, points.weights).under(thresholds)
        return self._wait(collected, context, points.weights, thresholds)

    async def _wait(
        self, collecting: Awaitable[Collected], context: Context, weights: Weights, thresholds: Thresholds
    ) -> PointsFact:
        return self._weigh(await collecting, context, weights).under(thresholds)

    def _weigh(self, collected: Collected, context: Context, weights: Weights) -> Weighed:
        context.weighed = weighed = weights.weigh(collected.evidence, collected.late, collected.times)
        return weighed

    def _thresholds(self, recipient: str, otherwise: Thresholds, flow: Flow) -> Thresholds | None:
        """What holds for ``recipient``; None if its mail gets no points."""
        mailbox = split_mailbox(recipient)
        if mailbox is None:
            return otherwise
        if mailbox.local.lower().partition("+")[0] in self._exempt:
            return None
        if flow is not Flow.INBOUND:
            # A domain's protection is against strangers, not against our own systems and users.
            return otherwise
        domain = self._registry.domain(mailbox.domain)
        return otherwise if domain is None else own_thresholds(domain, otherwise)


def own_thresholds(domain: Domain, otherwise: Thresholds) -> Thresholds:
    """The thresholds of a registered domain's recipients for inbound mail: its own where it names any."""
    defer_at, reject_at = domain.defer_at, domain.reject_at
    if defer_at == FLOW and reject_at == FLOW:
        return otherwise
    return Thresholds(
        otherwise.defer_at if defer_at == FLOW else defer_at,
        otherwise.reject_at if reject_at == FLOW else reject_at,
    )
