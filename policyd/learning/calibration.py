"""What a score is worth in points, from the scores of mails that were judged without having been learned.

Points follow from how seldom ham reaches a score: one in a thousand is worth 5, enough to tag a mail; ten
times as many, 3 less. Beyond what so few mails can show, the tail of their scores is taken to fall as it
falls near its end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

ENOUGH = 200
"""Mails of each kind, without which nothing is said."""
SURE = 0.001
"""Share of ham that may reach 5 points."""
PER_DECADE = 3.0
TOP, AT_TOP = 6.0, 5.0
"""Most points, and those at ``SURE``."""
BOTTOM = -2.0
"""For what hardly any spam stays below."""
UNUSUAL = 0.003
RARE = 0.01
"""Share of the ham whose scores show how the tail falls."""
SPAM_BELOW = 0.002
"""Share of spam that may get ``BOTTOM``."""

Knots = tuple[tuple[float, float], ...]


def calibrate(spam: Sequence[float], ham: Sequence[float]) -> Knots:
    """(score, points), both rising; empty where too little is known, or the two cannot be told apart.

    Arguments:
        spam: scores of mails that are spam.
        ham: of those that are not.
    """
    if min(len(spam), len(ham)) < ENOUGH:
        return ()
    falling = sorted(ham, reverse=True)
    count = max(5, int(len(falling) * RARE))
    rare = falling[count]
    slope = sum(score - rare for score in falling[:count]) / count
    allowed = int(len(falling) * SURE)
    sure = falling[allowed]
    if not allowed:
        sure = max(sure, rare + slope * math.log(count / (len(falling) * SURE)))
    # Above the first that may not reach it, by what no rounding takes away.
    sure += 1e-3 * max(1.0, abs(sure))
    unusual = int(len(falling) * UNUSUAL)
    rising = sorted(spam)
    middle = _even(rising, falling)
    clean = min(rising[int(len(rising) * SPAM_BELOW)], middle)
    span = max(sure - middle, 1e-3)
    knots = [
        (clean - 0.05 * span, BOTTOM),
        (middle, 0.0),
        *((falling[place], _worth((place + 1) / len(falling))) for place in (count, unusual)),
        (sure, AT_TOP),
        (sure + span / 2, TOP),
    ]
    return tuple(_rising(knots))


def _worth(share: float) -> float:
    """Points of a score that this share of ham reaches."""
    return AT_TOP + PER_DECADE * math.log10(SURE / max(share, SURE))


def _even(rising: Sequence[float], falling: Sequence[float]) -> float:
    """The score that as large a share of ham is above as of spam is below."""
    for place, score in enumerate(falling):
        above = place / len(falling)
        below = rising[min(len(rising) - 1, int(above * len(rising)))]
        if score <= below:
            return (score + below) / 2
    return falling[-1]


def _rising(knots: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The knots without those that are out of order; the one that tags always stays."""
    sure = next(knot for knot in knots if knot[1] == AT_TOP)
    kept: list[tuple[float, float]] = []
    for score, points in knots:
        if kept and (score <= kept[-1][0] or points <= kept[-1][1]):
            continue
        if points < AT_TOP and score >= sure[0]:
            continue
        kept.append((score, points))
    return kept
