"""Runs the checks that gather evidence on client, HELO and sender, once in a mail transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping

from mailbase.addresses import split_mailbox
from mailbase.vocabulary import Action, Flow
from policyd.context import Context
from policyd.facts import PointsFact
from policyd.inquiry import Collected, EvidenceCheck, Gather, subject_of
from policyd.request import Request, Stage
from policyd.weights import Weights, points_fact

_NONE = points_fact(Action.ACCEPT)


class PointsCheck:
    """Arguments:
    checks: those that run, by flow; a flow without any has no entry.
    weights: what their facts are worth, by flow.
    gather: asks them.
    exempt: local parts whose mail gets no points, lower case.
    """

    name = "points"
    stages = frozenset({Stage.RCPT})

    def __init__(
        self,
        checks: Mapping[Flow, tuple[EvidenceCheck, ...]],
        weights: Mapping[Flow, Weights],
        gather: Gather,
        *,
        exempt: Collection[str] = (),
    ) -> None:
        self._checks = checks
        self._weights = weights
        self._gather = gather
        self._exempt = frozenset(exempt)

    def check(self, request: Request, context: Context) -> PointsFact | Awaitable[PointsFact]:
        """What the evidence comes to; ``context.weighed`` holds it, and is reused if it is there already."""
        origin = context.origin
        checks = self._checks.get(origin.flow)
        if checks is None or origin.address is None or self._is_exempt(request.recipient):
            context.weighed = None
            return _NONE
        if context.weighed is not None:
            return context.weighed.fact
        subject = subject_of(request, origin.address, origin)
        collected = self._gather(checks, subject, context.deadline, context.trace)
        if isinstance(collected, Collected):
            return self._weigh(collected, context)
        return self._wait(collected, context)

    async def _wait(self, collecting: Awaitable[Collected], context: Context) -> PointsFact:
        return self._weigh(await collecting, context)

    def _weigh(self, collected: Collected, context: Context) -> PointsFact:
        weighed = self._weights[context.origin.flow].weigh(collected.evidence, collected.late)
        context.weighed = weighed
        return weighed.fact

    def _is_exempt(self, recipient: str) -> bool:
        mailbox = split_mailbox(recipient)
        return mailbox is not None and mailbox.local.lower().partition("+")[0] in self._exempt
