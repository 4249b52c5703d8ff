"""What a score is worth in points, from the scores of mails that were judged without having been learned.

A score that speaks for neither is worth nothing: as large a share of ham lies above it as of spam below. What
``SURE`` of the ham reaches is worth 5, enough to tag a mail. That share is not counted, which would leave all
to one or two odd mails, but read off the tail of the hundredth of the ham with the highest scores, which is
taken to fall by the same factor from step to step; further up, ten times more seldom is 3 points more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mailbase.config.points import TAG_AT

ENOUGH = 200
"""Mails of each kind, without which nothing is said."""
SURE = 0.002
"""Share of ham that may reach as many points as tag a mail. Each was judged by one model, that has learned
less than the mean of all, which is used."""
PER_DECADE = 3.0
TOP = 7.0
"""Most points: no mail is deferred for its statistics alone."""
BOTTOM = -2.0
"""For what hardly any spam stays below."""
SPAM_BELOW = 0.002
"""Share of the spam that may get ``BOTTOM``."""
RARE = 0.01
"""Share of the ham whose scores show how the tail falls."""
FEW = 5
"""Mails that show it, at least."""
WRONG = 0.2
"""Ham that scores higher than this share of the spam is taken for spam that somebody gave as ham …"""
MOST_WRONG = 0.03
"""… unless more than this share of the ham does."""
LEAST = 0.1
"""Score that a point takes, where hardly any mail lies between the kinds."""

Knots = tuple[tuple[float, float], ...]


def calibrate(spam: Sequence[float], ham: Sequence[float]) -> Knots:
    """(score, points), both rising; empty where too little is known.

    Arguments:
        spam: scores of mails that are spam.
        ham: of those that are not.
    """
    if min(len(spam), len(ham)) < ENOUGH:
        return ()
    rising, falling = sorted(spam), sorted(ham, reverse=True)
    middle = _even(rising, falling)
    falling = _trusted(falling, rising[int(len(rising) * WRONG)])
    count = max(FEW, int(len(falling) * RARE))
    rare = falling[count]
    decade = math.log(10) * sum(score - rare for score in falling[:count]) / count
    point = max(decade / PER_DECADE, LEAST)
    sure = max(rare + decade * math.log10(count / (len(falling) * SURE)), middle + TAG_AT * LEAST)
    clean = min(rising[int(len(rising) * SPAM_BELOW)], middle + BOTTOM * point)
    return (clean, BOTTOM), (middle, 0.0), (sure, TAG_AT), (sure + (TOP - TAG_AT) * point, TOP)


def _even(rising: Sequence[float], falling: Sequence[float]) -> float:
    """The score that as large a share of ham is above as of spam is below."""
    for place, score in enumerate(falling):
        above = place / len(falling)
        below = rising[min(len(rising) - 1, int(above * len(rising)))]
        if score <= below:
            return (score + below) / 2
    return falling[-1]


def _trusted(falling: list[float], spam: float) -> list[float]:
    """Scores of ham without those that are as high as spam's, where these are few."""
    wrong = sum(score > spam for score in falling)
    return falling[wrong:] if wrong <= len(falling) * MOST_WRONG else falling
