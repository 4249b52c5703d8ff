"""A decision: what is answered, and why."""

from __future__ import annotations

from dataclasses import dataclass

from mailbase.vocabulary import Action, Flow
from policyd.facts import Fact
from policyd.weights import Weighed


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
        repeated: whether it was given before, for the same request; then only ``reply`` is known.
    """

    id: str
    flow: Flow
    action: Action
    reply: str
    reason: str
    facts: tuple[Fact, ...] = ()
    weighed: Weighed | None = None
    repeated: bool = False
