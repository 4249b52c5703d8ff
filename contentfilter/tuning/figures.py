"""What a sample of ham and spam says about thresholds and clues. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from contentfilter.tuning.chance import allowed, at_least, at_most, needed

STEP = 0.1
"""Points between two thresholds that are recommended."""
LISTED = 10
"""Mails of a list that are named."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One mail, as the filter judges it.

    Arguments:
        path: of the file.
        spam: what its folder says that it is.
        points: the total.
        items: points by clue and finding, those that count.
        seen: names of the others: worth nothing, or in shadow.
        refused: the finding for which it would be refused whatever its points are; empty for none.
    """

    path: str
    spam: bool
    points: float
    items: Mapping[str, float] = field(default_factory=dict)
    seen: frozenset[str] = frozenset()
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Rates:
    """What a threshold does.

    Arguments:
        threshold: in points.
        caught: spam that reaches it.
        spam: all of it.
        wrong: ham that reaches it.
        ham: all of it.
    """

    threshold: float
    caught: int
    spam: int
    wrong: int
    ham: int

    @property
    def catch(self) -> float:
        """Share of spam."""
        return self.caught / self.spam if self.spam else 0.0

    @property
    def false(self) -> float:
        """Share of ham."""
        return self.wrong / self.ham if self.ham else 0.0

    @property
    def catch_bounds(self) -> tuple[float, float]:
        """Between which the catch rate lies, each bound with 95 %."""
        return at_least(self.caught, self.spam), at_most(self.caught, self.spam)

    @property
    def false_bound(self) -> float:
        """What the rate of false positives does not exceed, with 95 %."""
        return at_most(self.wrong, self.ham)


@dataclass(frozen=True, slots=True)
class Advice:
    """The threshold for a wished rate of false positives.

    Arguments:
        wished: share of ham that may reach it.
        rates: of the threshold; None if the sample is too small to name one.
        needed: ham mails that a sample needs at least for it.
    """

    wished: float
    rates: Rates | None
    needed: int


@dataclass(frozen=True, slots=True)
class ClueFigures:
    """What one clue or finding does.

    Arguments:
        name: its name.
        points: what it is worth on average, where it is seen.
        spam: share of spam in which it is seen.
        ham: share of ham.
        catches: spam that would not reach the threshold without it.
        harms: ham likewise.
    """

    name: str
    points: float
    spam: float
    ham: float
    catches: int
    harms: int

    @property
    def precision(self) -> float:
        """How sure it is: spam's share among those in which it is seen, if there were as much ham as spam."""
        both = self.spam + self.ham
        return self.spam / both if both else 0.0


class Sample:
    """Ham and spam that was judged.

    Arguments:
        mails: all of them.
    """

    def __init__(self, mails: Iterable[Judged]) -> None:
        self.mails = tuple(mails)
        self.ham = tuple(mail for mail in self.mails if not mail.spam)
        self.spam = tuple(mail for mail in self.mails if mail.spam)
        self._ham = sorted(mail.points for mail in self.ham)
        self._spam = sorted(mail.points for mail in self.spam)

    def at(self, threshold: float) -> Rates:
        """What a threshold does."""
        return Rates(
            threshold,
            len(self._spam) - bisect_left(self._spam, threshold),
            len(self._spam),
            len(self._ham) - bisect_left(self._ham, threshold),
            len(self._ham),
        )

    def advise(self, wished: float) -> Advice:
        """The lowest threshold that ham reaches no more often than wished, with 95 % confidence.

        It is put above all ham but as many as the size of the sample allows
        (:func:`contentfilter.tuning.chance.allowed`), which is decided before any is looked at.
        """
        spare = allowed(len(self._ham), wished)
        if spare is None:
            return Advice(wished, None, needed(wished))
        return Advice(wished, self.at(self._above(spare)), needed(wished))

    def lowest(self, share: float) -> Rates:
        """The lowest threshold that no more than ``share`` of this very sample's ham reaches."""
        return self.at(self._above(math.floor(share * len(self._ham) + 1e-9)))

    def clues(self, threshold: float) -> list[ClueFigures]:
        """What clues do, those first that catch most.

        Arguments:
            threshold: that mails have to reach.
        """
        worth: dict[str, list[float]] = {}
        seen: dict[tuple[str, bool], int] = {}
        turns: dict[tuple[str, bool], int] = {}
        for mail in self.mails:
            for name in {*mail.items, *mail.seen}:
                points = mail.items.get(name, 0.0)
                worth.setdefault(name, []).append(points)
                seen[name, mail.spam] = seen.get((name, mail.spam), 0) + 1
                if mail.points >= threshold > mail.points - points:
                    turns[name, mail.spam] = turns.get((name, mail.spam), 0) + 1
        figures = [
            ClueFigures(
                name,
                sum(points) / len(points),
                seen.get((name, True), 0) / max(1, len(self.spam)),
                seen.get((name, False), 0) / max(1, len(self.ham)),
                turns.get((name, True), 0),
                turns.get((name, False), 0),
            )
            for name, points in worth.items()
        ]
        return sorted(figures, key=lambda one: (-one.catches, -one.spam, one.name))

    def curve(self) -> list[Rates]:
        """Every threshold that makes a difference, from the one that nothing reaches down to all."""
        places = sorted({*self._ham, *self._spam}, reverse=True)
        return [self.at(place) for place in ([places[0] + 1.0, *places] if places else [])]

    def quantiles(self, spam: bool, shares: Sequence[float]) -> list[float]:
        """The points that so large a share of the mails does not exceed."""
        points = self._spam if spam else self._ham
        if not points:
            return [math.nan for _ in shares]
        return [points[max(0, math.ceil(share * len(points)) - 1)] for share in shares]

    def doubtful(self, spam: bool, threshold: float) -> list[Judged]:
        """Mails on the wrong side of the threshold, the worst first: to be looked at by a person."""
        if spam:
            missed = sorted(
                (mail for mail in self.spam if mail.points < threshold), key=lambda mail: mail.points
            )
        else:
            missed = sorted(
                (mail for mail in self.ham if mail.points >= threshold), key=lambda mail: -mail.points
            )
        return missed[:LISTED]

    def _above(self, spare: int) -> float:
        """A threshold, in whole steps, that no more than ``spare`` of the ham reaches."""
        if spare >= len(self._ham):
            return round(min((*self._ham, *self._spam, 0.0)), 1)
        highest = self._ham[len(self._ham) - 1 - spare]
        return round((math.floor(round(highest / STEP, 6)) + 1) * STEP, 1)
