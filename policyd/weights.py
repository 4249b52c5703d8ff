"""From evidence to points, and from points to an action."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from mailbase.vocabulary import Action
from policyd.facts import Evidence, PointsFact


@dataclass(frozen=True, slots=True)
class Weighed:
    """What is known of a transaction's client, HELO and sender, and what it comes to.

    Arguments:
        evidence: in the order of the checks.
        points: of each, in the same order.
        acted_on: whether each counts, or belongs to a shadow.
        total: of those that count.
        shadow_total: of all, the shadows' included.
        fact: the outcome.
        shadow_action: what it would be if the shadows counted.
        late: whether the deadline came before all answers.
    """

    evidence: tuple[Evidence, ...]
    points: tuple[float, ...]
    acted_on: tuple[bool, ...]
    total: float
    shadow_total: float
    fact: PointsFact
    shadow_action: Action
    late: bool = False

    def text(self) -> str:
        """For the log: ``fcrdns.no-ptr:2,(sender_domain.null-mx:4)``, shadows in brackets."""
        return ",".join(
            f"{one.check}.{one.name}:{points:g}" if counts else f"({one.check}.{one.name}:{points:g})"
            for one, points, counts in zip(self.evidence, self.points, self.acted_on, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Weights:
    """What evidence is worth in one flow.

    Arguments:
        points: check → fact → points; what is not there has none.
        shadows: checks that are counted and not acted on.
        defer_at: points; None: never.
        reject_at: likewise.
    """

    points: Mapping[str, Mapping[str, float]]
    shadows: frozenset[str] = frozenset()
    defer_at: float | None = None
    reject_at: float | None = None

    def weigh(self, evidence: tuple[Evidence, ...], late: bool = False) -> Weighed:
        """Points add up; the fact with most points is the reason, of several the first."""
        nothing: Mapping[str, float] = {}
        points = tuple(self.points.get(one.check, nothing).get(one.name, 0.0) for one in evidence)
        acted_on = tuple(one.check not in self.shadows for one in evidence)
        total = _sum(points[place] for place, counts in enumerate(acted_on) if counts)
        shadow_total = _sum(points)
        strongest = max(
            (place for place, counts in enumerate(acted_on) if counts and points[place] > 0),
            key=points.__getitem__,
            default=None,
        )
        action = self.action(total)
        fact = (
            points_fact(action)
            if strongest is None
            else points_fact(action, evidence[strongest].check, evidence[strongest].name)
        )
        return Weighed(evidence, points, acted_on, total, shadow_total, fact, self.action(shadow_total), late)

    def action(self, total: float) -> Action:
        """What is done at ``total`` points."""
        if self.reject_at is not None and total >= self.reject_at:
            return Action.REJECT
        if self.defer_at is not None and total >= self.defer_at:
            return Action.DEFER
        return Action.ACCEPT


def _sum(points: Iterable[float]) -> float:
    # 0.1 + 0.2 must reach a threshold of 0.3.
    return round(sum(points), 6)


@lru_cache(maxsize=1000)
def points_fact(action: Action, check: str = "", name: str = "") -> PointsFact:
    """The fact, always the same object for the same arguments."""
    return PointsFact(action, check, name)
