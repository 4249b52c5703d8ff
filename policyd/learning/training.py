"""From lessons to a model. Pure.

A weight for each number is first taken from how often mails of spam and of ham have it (naive Bayes), which
tells much after few mails; then logistic regression corrects the weights in several passes, wherever a mail
is not judged right by a margin. A number that one mail alone has says nothing about others and has no weight.

The lessons are cut into parts, and for each part a model learns all others. What these models say of mails
that they have not learned shows what a score is worth; the mean of them is the model, which judges better
than each of them does. The order of passes is drawn from a fixed seed: the same lessons give the same model,
on every node and after whatever was undone. Lessons that are gone have left no trace.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import sub
from random import Random
from typing import NamedTuple

from mailbase.config.points import TAG_AT
from mailbase.statistics.lesson import SLOTS
from mailbase.statistics.model import Description
from policyd.learning.calibration import ENOUGH, calibrate

PASSES = 3
PRIOR = 0.1
"""Share of naive Bayes' weights that training begins with."""
SMOOTHING = 0.01
STEP = 8.0
MARGIN = 3.0
"""A mail that is judged right by less than this score changes weights."""
LEAST = 2
"""Mails that have a number which has a weight."""
PARTS = 5
SEED = 1


@dataclass(frozen=True, slots=True)
class Example:
    """Arguments:
    slots: of the lesson.
    spam: what it was said to be.
    """

    slots: Sequence[int]
    spam: bool


@dataclass(frozen=True, slots=True)
class Trained:
    """Arguments:
    weights: ``SLOTS`` of them.
    description: for the model's file.
    known: numbers that have a weight.
    missed: share of the spam that would not be tagged for its statistics alone, judged by a model that has
        not learned it.
    wronged: share of the ham that would be.
    """

    weights: array[float]
    description: Description
    known: int
    missed: float
    wronged: float


@dataclass(frozen=True, slots=True)
class _Lesson:
    """An example in the numbers of :func:`_numbered`, which leave those out that have no weight.

    Arguments:
        root: what the sum of its weights is multiplied with, to make a score.
    """

    numbers: Sequence[int]
    spam: bool
    root: float

    def score(self, weights: Sequence[float]) -> float:
        return sum(map(weights.__getitem__, self.numbers)) * self.root

    def only(self, known: Sequence[int]) -> _Lesson:
        """Without the numbers that have a nought in ``known``."""
        left = compress(self.numbers, map(known.__getitem__, self.numbers))
        return _Lesson(array("I", left), self.spam, self.root)


def train(examples: Sequence[Example], now: float, turn: Callable[[], None] = lambda: None) -> Trained:
    """A model of the examples.

    Arguments:
        examples: in an order that depends on them alone.
        now: seconds since the epoch, for the description.
        turn: called now and then.
    """
    examples = [example for example in examples if example.slots]
    spam = sum(example.spam for example in examples)
    ham = len(examples) - spam
    if not spam or not ham:
        # There is nothing to tell apart.
        return Trained(array("d", bytes(8 * SLOTS)), Description(now, spam, ham), 0, 1.0, 0.0)
    slots, lessons = _numbered(examples)
    knots: tuple[tuple[float, float], ...] = ()
    missed, wronged = 1.0, 0.0
    if min(spam, ham) < ENOUGH:
        weights = _fit(lessons, _count(lessons, len(slots)), turn)
    else:
        weights, scores = _fit_in_parts(lessons, len(slots), turn)
        pro = [score for score, lesson in zip(scores, lessons, strict=True) if lesson.spam]
        contra = [score for score, lesson in zip(scores, lessons, strict=True) if not lesson.spam]
        knots = calibrate(pro, contra)
        told = Description(knots=knots)
        missed = sum(told.points(score) < TAG_AT for score in pro) / len(pro)
        wronged = sum(told.points(score) >= TAG_AT for score in contra) / len(contra)
    placed = array("d", bytes(8 * SLOTS))
    for slot, weight in zip(slots, weights, strict=True):
        placed[slot] = weight
    known = sum(map(bool, weights))
    return Trained(placed, Description(now, spam, ham, 0.0, knots), known, missed, wronged)


def _numbered(examples: Sequence[Example]) -> tuple[array[int], list[_Lesson]]:
    """The slots that at least ``LEAST`` of the examples have, numbered, and the examples in these numbers.

    There are far fewer of them than ``SLOTS``: all weights lie close together, which is half of the speed.
    """
    counts = array("I", bytes(4 * SLOTS))
    for example in examples:
        for slot in example.slots:
            counts[slot] += 1
    slots = array("I", [slot for slot, count in enumerate(counts) if count >= LEAST])
    numbers = array("I", bytes(4 * SLOTS))
    for number, slot in enumerate(slots):
        numbers[slot] = number
    lessons = [
        _Lesson(
            array("I", [numbers[slot] for slot in example.slots if counts[slot] >= LEAST]),
            example.spam,
            len(example.slots) ** -0.5,
        )
        for example in examples
    ]
    return slots, lessons


def _fit_in_parts(
    lessons: Sequence[_Lesson], size: int, turn: Callable[[], None]
) -> tuple[list[float], list[float]]:
    """The mean of models that learned all parts but one, and of each lesson the score by the one that did
    not learn it.
    """
    order = list(range(len(lessons)))
    Random(SEED).shuffle(order)  # noqa: S311
    # As many of each kind in each part.
    order.sort(key=lambda place: lessons[place].spam)
    parts = [order[part::PARTS] for part in range(PARTS)]
    counts = [_count([lessons[place] for place in part], size) for part in parts]
    everywhere = _Counts(*(list(map(sum, zip(*kind, strict=True))) for kind in zip(*counts, strict=True)))
    scores = [0.0] * len(lessons)
    mean = [0.0] * size
    for part, apart in zip(parts, counts, strict=True):
        others = _Counts(*(list(map(sub, *pair)) for pair in zip(everywhere, apart, strict=True)))
        left_out = set(part)
        weights = _fit([one for place, one in enumerate(lessons) if place not in left_out], others, turn)
        for place in part:
            scores[place] = lessons[place].score(weights)
        mean = [sum_ + weight / PARTS for sum_, weight in zip(mean, weights, strict=True)]
    return mean, scores


def _fit(lessons: Sequence[_Lesson], counts: _Counts, turn: Callable[[], None]) -> list[float]:
    """The weights of a model of ``lessons``, which ``counts`` are of."""
    weights = _prior(counts, sum(lesson.spam for lesson in lessons), len(lessons))
    # Numbers that too few of these have are passed over.
    known = bytes([often + seldom >= LEAST for often, seldom in zip(*counts, strict=True)])
    lessons = [lesson.only(known) for lesson in lessons]
    order = list(range(len(lessons)))
    random = Random(SEED)  # noqa: S311 - to be the same each time
    for _pass in range(PASSES):
        random.shuffle(order)
        changed = False
        for count, place in enumerate(order):
            if count % 256 == 0:
                turn()
            lesson = lessons[place]
            score = lesson.score(weights)
            right = score if lesson.spam else -score
            if right < MARGIN:
                changed = True
                change = STEP * lesson.root / (1.0 + math.exp(min(right, 50.0)))
                if not lesson.spam:
                    change = -change
                for number in lesson.numbers:
                    weights[number] += change
        if not changed:
            break
    return weights


class _Counts(NamedTuple):
    """How many mails of each kind have each number."""

    spam: list[int]
    ham: list[int]


def _count(lessons: Sequence[_Lesson], size: int) -> _Counts:
    counts = _Counts([0] * size, [0] * size)
    for lesson in lessons:
        table = counts.spam if lesson.spam else counts.ham
        for number in lesson.numbers:
            table[number] += 1
    return counts


def _prior(counts: _Counts, spam: int, mails: int) -> list[float]:
    """Naive Bayes: how much more often spam has a number than ham, as a logarithm."""
    balance = (mails - spam + 2 * SMOOTHING) / (spam + 2 * SMOOTHING)
    pairs = list(zip(*counts, strict=True))
    # Most numbers are seldom: the same few pairs come again and again.
    worth = {
        pair: PRIOR * math.log((pair[0] + SMOOTHING) / (pair[1] + SMOOTHING) * balance)
        if sum(pair) >= LEAST
        else 0.0
        for pair in set(pairs)
    }
    return [worth[pair] for pair in pairs]
