"""From evidence to points, and from points to an action."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from mailbase.vocabulary import SEVERITY, Action
from policyd.evidence.facts import Evidence, PointsFact


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which total on what is done.

    Arguments:
        defer_at: points; None: never.
        reject_at: likewise.
    """

    defer_at: float | None = None
    reject_at: float | None = None

    def action(self, total: float) -> Action:
        """What is done at ``total`` points."""
        if self.reject_at is not None and total >= self.reject_at:
            return Action.REJECT
        if self.defer_at is not None and total >= self.defer_at:
            return Action.DEFER
        return Action.ACCEPT


@dataclass(frozen=True, slots=True)
class Weighed:
    """What is known of a transaction's client, HELO and sender, and what it is worth.

    Arguments:
        evidence: in the order of the checks.
        points: of each, in the same order.
        acted_on: whether each counts, or belongs to a shadow.
        actions: what the configuration does for each by itself, whatever the points; else accept.
        total: points of those that count.
        shadow_total: of all, the shadows' included.
        late: whether the deadline came before all answers.
    times: seconds until each check was done, by its name.
    """

    evidence: tuple[Evidence, ...]
    points: tuple[float, ...]
    acted_on: tuple[bool, ...]
    actions: tuple[Action, ...]
    total: float
    shadow_total: float
    late: bool = False
    times: Mapping[str, float] = field(default_factory=dict)

    def under(self, thresholds: Thresholds) -> PointsFact:
        """The outcome for a recipient with these thresholds.

        The reason is the fact whose own action decided, else the one with most points; of several the first.
        """
        action, shadow = thresholds.action(self.total), thresholds.action(self.shadow_total)
        reason, most = None, 0.0
        for place, points in enumerate(self.points):
            if points > most and self.acted_on[place]:
                reason, most = place, points
        for place, own in enumerate(self.actions):
            if own is not _ACCEPT:
                if SEVERITY[own] > SEVERITY[shadow]:
                    shadow = own
                if self.acted_on[place] and SEVERITY[own] > SEVERITY[action]:
                    action, reason = own, place
        if reason is None:
            return points_fact(action, "", "", shadow)
        one = self.evidence[reason]
        return points_fact(action, one.check, one.name, shadow)

    def favoured_by(self, check: str) -> bool:
        """Whether a fact of ``check`` that counts speaks for the client: it has negative points.

        So a list of good clients (``dnswl``) spares its clients greylisting, unless it is a shadow.
        """
        for place, one in enumerate(self.evidence):
            if one.check == check and self.points[place] < 0 and self.acted_on[place]:
                return True
        return False

    def text(self) -> str:
        """For the log: ``fcrdns.no-ptr:2,(sender_domain.null-mx:4)``, shadows in brackets."""
        return ",".join(self.texts())

    def texts(self) -> tuple[str, ...]:
        """Each of them by itself."""
        return tuple(
            [
                _text(one.check, one.name, points, counts)
                for one, points, counts in zip(self.evidence, self.points, self.acted_on, strict=True)
            ]
        )


@dataclass(frozen=True, slots=True)
class Weights:
    """What evidence is worth in one flow.

    Arguments:
        points: check → fact → points; what is not there has none.
        actions: check → fact → what is done for that fact by itself.
        shadows: checks that are counted and not acted on.
        shadow_facts: single facts (check, fact) likewise.
    """

    points: Mapping[str, Mapping[str, float]]
    actions: Mapping[str, Mapping[str, Action]] = field(default_factory=dict)
    shadows: frozenset[str] = frozenset()
    shadow_facts: frozenset[tuple[str, str]] = frozenset()
    _known: dict[tuple[str, str], tuple[float, bool, Action]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """What was looked up of facts before; there are as many as checks have names for."""

    def weigh(
        self, evidence: tuple[Evidence, ...], late: bool = False, times: Mapping[str, float] | None = None
    ) -> Weighed:
        """What ``evidence`` is worth; points add up. For the rest see :class:`Weighed`."""
        worth, acted_on, actions = [], [], []
        total = shadow_total = 0.0
        for one in evidence:
            points, counts, action = self._worth(one)
            worth.append(points)
            acted_on.append(counts)
            actions.append(action)
            shadow_total += points
            if counts:
                total += points
        return Weighed(
            evidence,
            tuple(worth),
            tuple(acted_on),
            tuple(actions),
            _exact(total),
            _exact(shadow_total),
            late,
            times or {},
        )

    def _worth(self, one: Evidence) -> tuple[float, bool, Action]:
        key = one.check, one.name
        own = self._known.get(key)
        if own is None:
            own = self._known[key] = self.points_for(one), self.counts(one), self.action_for(one)
        return own

    def points_for(self, one: Evidence) -> float:
        """What this fact is worth by itself."""
        return self.points.get(one.check, _NOTHING).get(one.name, 0.0)

    def counts(self, one: Evidence) -> bool:
        """Whether this fact is acted on, and not a shadow's."""
        return one.check not in self.shadows and (
            not self.shadow_facts or (one.check, one.name) not in self.shadow_facts
        )

    def action_for(self, one: Evidence) -> Action:
        """What is done for this fact by itself."""
        if not self.actions:
            return Action.ACCEPT
        return self.actions.get(one.check, {}).get(one.name, Action.ACCEPT)

    def reaches(self, evidence: Iterable[Evidence], points: float, still_open: Iterable[str]) -> bool:
        """Whether ``evidence`` comes to ``points``, whatever relief the checks ``still_open`` might bring."""
        total = 0.0
        for one in evidence:
            worth, counts, _action = self._worth(one)
            if counts:
                total += worth
        total = _exact(total)
        return total >= points and total + sum(map(self._relief, still_open)) >= points

    def _relief(self, check: str) -> float:
        """By how many points the facts of ``check`` can lower the total at most; 0 or less."""
        if check in self.shadows:
            return 0.0
        return _exact(sum(points for points in self.points.get(check, _NOTHING).values() if points < 0))


_ACCEPT = Action.ACCEPT
_NOTHING: Mapping[str, float] = {}


def _exact(points: float) -> float:
    # 0.1 + 0.2 must reach a threshold of 0.3.
    return round(points, 6)


@lru_cache(maxsize=1000)
def _text(check: str, name: str, points: float, counts: bool) -> str:
    return f"{check}.{name}:{points:g}" if counts else f"({check}.{name}:{points:g})"


@lru_cache(maxsize=1000)
def points_fact(
    action: Action, check: str = "", name: str = "", shadow: Action = Action.ACCEPT
) -> PointsFact:
    """The fact, always the same object for the same arguments."""
    return PointsFact(action, check, name, shadow)
