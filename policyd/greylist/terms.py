"""The greylisting decision itself: from what is remembered of a triplet, to the answer. Pure.

Every function takes the remembered entry, the time and the terms, and gives the new entry and the answer.
Nothing here reads a clock or a store, so that the same decision can be made elsewhere.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from mailbase.remembered import Remembered

REFRESH = 3600
"""Seconds by which ``last`` may lag behind; saves a write for each mail of a busy correspondence."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator decided; seconds and counts as in ``policyd.greylist`` of the configuration."""

    delay: float = 300.0
    retry_window: float = 2 * 86400.0
    lifetime: float = 35 * 86400.0
    auto_allow_after: int = 5
    auto_allow_lifetime: float = 35 * 86400.0


class Entry(NamedTuple):
    """What is remembered of a triplet; seconds since the epoch.

    Arguments:
        first: when it was first seen.
        passed: when a retry first passed; 0 until then.
        last: when it was last seen, give or take :data:`REFRESH`.
    """

    first: int
    passed: int
    last: int


class Client(NamedTuple):
    """What is remembered of a client network.

    Arguments:
        retries: triplets of it that passed.
        last: when it last made one pass or was spared, give or take :data:`REFRESH`.
    """

    retries: int
    last: int


class Outcome(enum.StrEnum):
    """How a triplet stands."""

    NEW = "new"
    """Never seen, or the first retry came after the window: it waits."""
    EARLY = "early"
    """Tried again before the delay was over: it waits."""
    PASSED = "passed"
    """The first good retry."""
    KNOWN = "known"
    """Passed before."""

    # Enum's own hash is a Python function, and too slow for the hot path.
    __hash__ = str.__hash__


class Answer(NamedTuple):
    """Arguments:
    outcome: how the triplet stands.
    wait: whole seconds until a retry passes; 0 when it passes now.
    """

    outcome: Outcome
    wait: int = 0


_KNOWN = Answer(Outcome.KNOWN)
_PASSED = Answer(Outcome.PASSED)


@lru_cache(maxsize=8)
def _new(delay: float) -> Answer:
    return Answer(Outcome.NEW, math.ceil(delay))


def judge(entry: Entry | None, now: float, terms: Terms) -> tuple[Entry | None, Answer]:
    """The answer to a triplet, and its new entry, or None if nothing needs to be written.

    Arguments:
        entry: what is remembered; None for nothing.
        now: seconds since the epoch. Times are compared in whole seconds, so that who waits exactly as long
            as told passes.
    """
    second = int(now)
    if entry is None:
        return _first((second, terms.delay))
    if entry.passed:
        if second - entry.last > terms.lifetime:
            return _first((second, terms.delay))
        # A clock that was set back must not freeze the entry in the future.
        if second - entry.last >= REFRESH or second < entry.last:
            return entry._replace(last=second), _KNOWN
        return None, _KNOWN
    if second < entry.first:
        return Entry(second, 0, second), Answer(Outcome.EARLY, math.ceil(terms.delay))
    waited = second - entry.first
    if waited > terms.retry_window:
        return _first((second, terms.delay))
    if waited < terms.delay:
        return None, Answer(Outcome.EARLY, math.ceil(terms.delay - waited))
    return Entry(entry.first, second, second), _PASSED


def is_current(passed: int, last: int, now: float, terms: Terms) -> bool:
    """Whether :func:`judge` would say of an entry that it passed before, and write nothing."""
    return passed > 0 and 0 <= int(now) - last < REFRESH and int(now) - last <= terms.lifetime


def _first_seen(second_and_delay: tuple[int, float]) -> tuple[Entry, Answer]:
    second, delay = second_and_delay
    if delay <= 0:
        return Entry(second, second, second), _PASSED
    return Entry(second, 0, second), _new(delay)


_first = Remembered(_first_seen, 8).__getitem__
"""The entry and the answer: the same for all that come within a second."""


def expiry(entry: Entry, terms: Terms) -> int:
    """When an entry may be forgotten, in seconds since the epoch."""
    if entry.passed:
        return int(entry.last + terms.lifetime) + 1
    return int(entry.first + terms.retry_window) + 1


def good_retry(client: Client | None, now: float) -> Client:
    """A client network after one more of its triplets has passed."""
    return Client(client.retries + 1 if client else 1, int(now))


def is_allowed(client: Client | None, now: float, terms: Terms) -> bool:
    """Whether a client network has earned being spared."""
    return (
        client is not None
        and 0 < terms.auto_allow_after <= client.retries
        and int(now) - client.last <= terms.auto_allow_lifetime
    )


def seen_again(client: Client, now: float) -> Client | None:
    """A spared client network that came again, or None if nothing needs to be written."""
    second = int(now)
    if second - client.last >= REFRESH or second < client.last:
        return client._replace(last=second)
    return None
