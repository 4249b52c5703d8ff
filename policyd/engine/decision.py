"""A decision: what is answered, and why."""

from __future__ import annotations

from dataclasses import dataclass

from mailbase.vocabulary import Action, Flow
from policyd.evidence.facts import Fact, PointsFact
from policyd.evidence.weights import Thresholds, Weighed


@dataclass(slots=True)
class Decision:
    """The answer to one request. Not changed once it is given; not frozen, for one is made for each request.

    Arguments:
        id: stands in the reply text, the log line and, at DATA, the header line.
        flow: where the mail comes from.
        action: in the words of the product.
        reply: in the words of Postfix; encoded on the way out.
        reason: the fact that decided, as a name.
        facts: everything that was established.
        weighed: the evidence and its points; None where none was looked for.
        thresholds: that its points were held against, likewise.
    repeated: whether it was given before, for the same request; then only ``reply`` is known.
    """

    id: str
    flow: Flow
    action: Action
    reply: str
    reason: str
    facts: tuple[Fact, ...] = ()
    weighed: Weighed | None = None
    thresholds: Thresholds | None = None
    repeated: bool = False

    @property
    def shadow(self) -> Action:
        """What shadows alone would have done; accept where something else decided, or they change nothing."""
        if self.action is not Action.REJECT:
            for fact in self.facts:
                if type(fact) is PointsFact and fact.shadow is not fact.action:
                    return fact.shadow
        return Action.ACCEPT
