"""How much a count in a sample says about all mail: bounds on a share (Clopper and Pearson 1934). Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

CONFIDENCE = 0.95
_STEPS = 60
"""Halvings of an interval; after them it is below what a float can tell apart."""


def at_most(count: int, size: int, confidence: float = CONFIDENCE) -> float:
    """The share that is not exceeded, if ``count`` of ``size`` were seen: an upper bound, one-sided.

    Returns:
        1 for an empty sample.
    """
    if count >= size:
        return 1.0
    return _root(lambda share: _tail(count, size, share) > 1.0 - confidence)


def at_least(count: int, size: int, confidence: float = CONFIDENCE) -> float:
    """The share that there is at least: a lower bound, one-sided."""
    if count <= 0:
        return 0.0
    return 1.0 - at_most(size - count, size, confidence)


@lru_cache(maxsize=64)
def allowed(size: int, share: float, confidence: float = CONFIDENCE) -> int | None:
    """How many of ``size`` may be seen so that :func:`at_most` is no more than ``share``.

    It depends on the size of the sample alone. So a threshold that is put above all but so many of the
    sample, whichever these are, keeps the share with this confidence: no look at the sample has chosen it.

    Returns:
        None if the sample is too small to say so even if none is seen.
    """
    low, high = -1, math.floor(size * share) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if at_most(middle, size, confidence) <= share:
            low = middle
        else:
            high = middle
    return None if low < 0 else low


def needed(share: float, confidence: float = CONFIDENCE) -> int:
    """How large a sample must be that says ``share`` if none is seen."""
    return math.ceil(math.log(1.0 - confidence) / math.log1p(-share))


def _tail(count: int, size: int, share: float) -> float:
    """The chance to see ``count`` or fewer of ``size``."""
    if share <= 0.0:
        return 1.0
    if share >= 1.0:
        return 0.0
    chosen, rest = math.log(share), math.log1p(-share)
    whole = math.lgamma(size + 1)

    def chance(seen: int) -> float:
        ways = whole - math.lgamma(seen + 1) - math.lgamma(size - seen + 1)
        return math.exp(ways + seen * chosen + (size - seen) * rest)

    if count > size // 2:
        return 1.0 - math.fsum(map(chance, range(count + 1, size + 1)))
    return math.fsum(map(chance, range(count + 1)))


def _root(above: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if above(middle):
            low = middle
        else:
            high = middle
    return high
