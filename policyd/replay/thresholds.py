"""What points mail gets, and what thresholds would do with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mailbase.vocabulary import Action
from policyd.engine.decision import Decision
from policyd.evidence.facts import Grey, GreylistFact
from policyd.replay.comparison import mail_of
from policyd.replay.past import Fate, Outcome, Recorded

MAX_OPEN = 500_000
"""Mails whose further way is waited for."""
MAX_SEEN = 100_000
"""Transactions that are told apart."""

GOOD, GAVE_UP, REFUSED, UNKNOWN = "good", "gave_up", "refused", "unknown"
FATES = (GOOD, GAVE_UP, REFUSED, UNKNOWN)
"""Has good history: a known correspondent, or came back after greylisting. Did not come back. Was refused for
its content. Nothing of these."""

_KNOWN = frozenset({Grey.KNOWN, Grey.PASSED, Grey.CLIENT_EARNED, Grey.CLIENT_ALLOWED})
_WAITING = frozenset({Grey.NEW, Grey.EARLY})


@dataclass(slots=True)
class FactCount:
    """One fact.

    Arguments:
        points: that it is worth.
        shadow: whether these do not count.
        mails: that have it.
        above: of them, those at or above the threshold looked at.
    """

    points: float
    shadow: bool
    mails: int = 0
    above: int = 0


@dataclass(slots=True)
class Points:
    """Distribution of points.

    Arguments:
        mark: points from which on a mail is "above".
    """

    mark: float
    mails: Counter[float] = field(default_factory=Counter)
    """Total → mails."""
    shadowed: Counter[float] = field(default_factory=Counter)
    """The same if the shadows counted."""
    recipients: Counter[float] = field(default_factory=Counter)
    """Total → recipients."""
    fates: dict[str, Counter[float]] = field(default_factory=lambda: {fate: Counter() for fate in FATES})
    """What became of recipients → total → recipients."""
    facts: dict[tuple[str, str], FactCount] = field(default_factory=dict)
    unrecorded: int = 0
    """Recipients of whom the recording has no evidence."""
    _seen: dict[str, None] = field(default_factory=dict)
    _open: dict[tuple[str, str, str], Counter[float]] = field(default_factory=dict)
    _passed: dict[tuple[str, str, str], tuple[str, float]] = field(default_factory=dict)
    """Recipients that passed lately, on whom contentfilter's word is still to come."""

    def note(self, recorded: Recorded, decision: Decision) -> None:
        """One recipient; nothing if it has no points."""
        weighed = decision.weighed
        if weighed is None:
            return
        total = round(weighed.total, 3)
        if recorded.evidence is None:
            self.unrecorded += 1
        self.recipients[total] += 1
        if self._is_new(recorded.request.instance):
            self.mails[total] += 1
            self.shadowed[round(weighed.shadow_total, 3)] += 1
            for one, points, counts in zip(weighed.evidence, weighed.points, weighed.acted_on, strict=True):
                name = (one.check, one.name)
                fact = self.facts.setdefault(name, FactCount(points, not counts))
                fact.mails += 1
                fact.above += total >= self.mark
        self._note_fate(recorded, decision, total)

    def _is_new(self, instance: str) -> bool:
        if not instance:
            return True
        if instance in self._seen:
            return False
        if len(self._seen) >= MAX_SEEN:
            del self._seen[next(iter(self._seen))]
        self._seen[instance] = None
        return True

    def _note_fate(self, recorded: Recorded, decision: Decision, total: float) -> None:
        key = mail_of(recorded.request)
        # Who is made to wait by a shadow does not come back for it.
        grey = next(
            (fact.grey for fact in decision.facts if isinstance(fact, GreylistFact) and not fact.shadow), None
        )
        if recorded.fate is Fate.REFUSED:
            self.fates[REFUSED][total] += 1
            self._close(key, REFUSED)
        elif grey in _KNOWN:
            self.fates[GOOD][total] += 1
            self._close(key, GOOD)
            self._remember(recorded, GOOD, total)
        elif grey in _WAITING and not _kept_out(recorded):
            if len(self._open) >= MAX_OPEN and key not in self._open:
                self._close(next(iter(self._open)), UNKNOWN)
            self._open.setdefault(key, Counter())[total] += 1
        else:
            self.fates[UNKNOWN][total] += 1
            self._remember(recorded, UNKNOWN, total)

    def _remember(self, recorded: Recorded, fate: str, total: float) -> None:
        if len(self._passed) >= MAX_SEEN:
            del self._passed[next(iter(self._passed))]
        request = recorded.request
        sender = request.sender.lower()
        self._passed[sender, request.recipient.lower(), "" if sender else request.client_address] = (
            fate,
            total,
        )

    def note_outcome(self, outcome: Outcome) -> None:
        """What contentfilter did with a mail; that it kept it out is the last word on its recipients."""
        if outcome.action not in (Action.REJECT, Action.QUARANTINE, Action.DISCARD):
            return
        for recipient in outcome.recipients:
            key = (outcome.sender, recipient.lower(), "" if outcome.sender else outcome.client)
            if (passed := self._passed.pop(key, None)) is not None:
                fate, total = passed
                self.fates[fate][total] -= 1
                self.fates[REFUSED][total] += 1

    def _close(self, key: tuple[str, str, str], fate: str) -> None:
        """What became of a mail that waited is what became of all its attempts."""
        waiting = self._open.pop(key, None)
        if waiting is not None:
            self.fates[fate].update(waiting)

    def end(self) -> None:
        """The recording ends: who has not come back did not."""
        for key in list(self._open):
            self._close(key, GAVE_UP)

    def thresholds(self, current: Iterable[float] = ()) -> list[float]:
        """Those worth looking at: whole numbers up to the most that mail has, and the ``current`` ones."""
        most = max((total for total in self.shadowed if total > 0), default=0.0)
        return sorted({*map(float, range(1, min(int(most), 100) + 1)), *current})

    def at(self, threshold: float) -> dict[str, Any]:
        """What is at or above ``threshold``, as JSON types."""
        recipients = _above(self.recipients, threshold)
        return {
            "threshold": threshold,
            "mails": _above(self.mails, threshold),
            "recipients": recipients,
            "share": round(recipients / max(1, self.recipients.total()), 5),
            "with_shadows": _above(self.shadowed, threshold),
            **{fate: _above(self.fates[fate], threshold) for fate in FATES},
        }

    def distribution(self) -> list[dict[str, Any]]:
        """Mails by whole points: the bucket 3 has those with 3 and less than 4."""
        buckets: Counter[int] = Counter()
        for total, count in self.mails.items():
            buckets[int(total // 1)] += count
        return [{"points": bucket, "mails": buckets[bucket]} for bucket in sorted(buckets)]

    def ranked_facts(self) -> list[dict[str, Any]]:
        """The facts, those first that bring most points into mail."""
        ranked = sorted(self.facts.items(), key=lambda item: -abs(item[1].points) * item[1].mails)
        return [
            {
                "check": check,
                "fact": name,
                "points": fact.points,
                "shadow": fact.shadow,
                "mails": fact.mails,
                "sum": round(fact.points * fact.mails, 1),
                "above": fact.above,
            }
            for (check, name), fact in ranked
        ]


def _kept_out(recorded: Recorded) -> bool:
    """Whether it was refused then, so that it had no reason to come back."""
    return recorded.answer is not None and recorded.answer.action is Action.REJECT


def _above(counter: Counter[float], threshold: float) -> int:
    return sum(count for total, count in counter.items() if total >= threshold)
