"""From lessons to a model. Pure.

A weight for each number is first taken from how often mails of spam and of ham have it (naive Bayes), which
tells much after few mails; then logistic regression corrects the weights in several passes, wherever a mail
is not judged right by a margin. The order of passes is drawn from a fixed seed: the same lessons give the
same model, on every node and after whatever was undone. Lessons that are gone have left no trace.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from mailbase.statistics.lesson import SLOTS
from mailbase.statistics.model import Description
from policyd.learning.calibration import ENOUGH, calibrate

PASSES = 4
PRIOR = 0.1
"""Share of naive Bayes' weights that training begins with."""
SMOOTHING = 0.01
STEP = 2.0
MARGIN = 3.0
"""A mail that is judged right by less than this score changes weights."""
FOLDS = 10
"""Parts of the lessons; each is judged by a model of the others, to know how well mail is judged that was
never learned."""
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
    known: numbers that were seen at all.
    missed: share of the spam that would not be tagged for its statistics alone, judged by :data:`FOLDS`.
    wronged: share of the ham that would be.
    """

    weights: array[float]
    description: Description
    known: int
    missed: float
    wronged: float


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
    weights = _fit(examples, turn)
    known = sum(map(bool, weights))
    knots: tuple[tuple[float, float], ...] = ()
    missed, wronged = 1.0, 0.0
    if min(spam, ham) >= ENOUGH:
        scores = _judge_apart(examples, turn)
        pro = [score for score, example in zip(scores, examples, strict=True) if example.spam]
        contra = [score for score, example in zip(scores, examples, strict=True) if not example.spam]
        knots = calibrate(pro, contra)
        if knots:
            told = Description(knots=knots)
            missed = sum(told.points(score) < 5.0 for score in pro) / len(pro)
            wronged = sum(told.points(score) >= 5.0 for score in contra) / len(contra)
    return Trained(weights, Description(now, spam, ham, 0.0, knots), known, missed, wronged)


def _fit(examples: Sequence[Example], turn: Callable[[], None]) -> array[float]:
    """The weights of a model of ``examples``."""
    weights = _prior(examples)
    order = list(range(len(examples)))
    random = Random(SEED)  # noqa: S311 - to be the same each time
    roots = [len(example.slots) ** -0.5 for example in examples]
    getter = weights.__getitem__
    for _pass in range(PASSES):
        random.shuffle(order)
        changed = False
        for count, place in enumerate(order):
            if count % 256 == 0:
                turn()
            example, root = examples[place], roots[place]
            score = sum(map(getter, example.slots)) * root
            right = score if example.spam else -score
            if right < MARGIN:
                changed = True
                change = STEP * root / (1.0 + math.exp(min(right, 50.0)))
                if not example.spam:
                    change = -change
                for slot in example.slots:
                    weights[slot] += change
        if not changed:
            break
    return weights


def _prior(examples: Sequence[Example]) -> array[float]:
    """Naive Bayes: how much more often spam has a number than ham, as a logarithm."""
    counts = {True: array("I", bytes(4 * SLOTS)), False: array("I", bytes(4 * SLOTS))}
    mails = {True: 0, False: 0}
    for example in examples:
        mails[example.spam] += 1
        table = counts[example.spam]
        for slot in example.slots:
            table[slot] += 1
    below = {spam: number + 2 * SMOOTHING for spam, number in mails.items()}
    weights = array("d", bytes(8 * SLOTS))
    log = math.log
    for slot, (often, seldom) in enumerate(zip(counts[True], counts[False], strict=True)):
        if often or seldom:
            shares = (often + SMOOTHING) / below[True], (seldom + SMOOTHING) / below[False]
            weights[slot] = PRIOR * log(shares[0] / shares[1])
    return weights


def _judge_apart(examples: Sequence[Example], turn: Callable[[], None]) -> list[float]:
    """The score of each example by a model that did not learn it."""
    order = list(range(len(examples)))
    Random(SEED).shuffle(order)  # noqa: S311
    # As many of each kind in each part.
    order.sort(key=lambda place: examples[place].spam)
    scores = [0.0] * len(examples)
    for fold in range(FOLDS):
        apart = set(order[fold::FOLDS])
        weights = _fit([one for place, one in enumerate(examples) if place not in apart], turn)
        for place in apart:
            slots = examples[place].slots
            scores[place] = sum(map(weights.__getitem__, slots)) * len(slots) ** -0.5
    return scores
