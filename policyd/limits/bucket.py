"""The arithmetic of a limit: a token bucket, kept as one number (GCRA). Pure.

A bucket holds ``burst`` units and is refilled steadily, with ``limit`` units in ``within`` seconds. All there
is to remember is when it will be full again; of a bucket that is full nothing need be remembered. Nothing
here reads a clock or a store, so that the same decision can be made elsewhere.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

TOLERANCE = 0.001
"""Seconds by which a bucket may be overdrawn: times since the epoch, added up, are not exact."""
SKEW = 60.0
"""Seconds by which the clocks of two nodes may differ and still share a limit."""


class Rate(NamedTuple):
    """Arguments:
    limit: units refilled in ``within``.
    within: seconds.
    burst: units that the full bucket holds, and so the most that can be taken at once.
    """

    limit: int
    within: float
    burst: int

    @property
    def interval(self) -> float:
        """Seconds in which one unit is refilled."""
        return self.within / self.limit

    @property
    def depth(self) -> float:
        """Seconds in which the empty bucket is full again."""
        return self.burst * self.within / self.limit


class Standing(NamedTuple):
    """How a bucket stands for what was asked of it.

    Arguments:
        passed: whether it has enough.
        full_at: when it will be full again, seconds since the epoch: after taking if it has enough.
        used: units that are missing in it, likewise.
        wait: seconds until it has enough; 0 if it has, infinite if it never will.
    """

    passed: bool
    full_at: float
    used: float
    wait: float


def stand(full_at: float, cost: int, rate: Rate, now: float) -> Standing:
    """How a bucket stands for ``cost`` units.

    Arguments:
        full_at: what is remembered; 0 for nothing.
        now: seconds since the epoch.
    """
    interval, depth = rate.interval, rate.depth
    held = _held(full_at, depth, now)
    after = held + cost * interval
    over = after - now - depth
    if over <= TOLERANCE:
        return Standing(True, after, (after - now) / interval, 0.0)
    return Standing(False, held, (held - now) / interval, inf if cost > rate.burst else over)


def put_back(full_at: float, cost: int, rate: Rate, now: float) -> float:
    """When a bucket will be full again that gets ``cost`` units back; ``now`` or before if it is full.

    Arguments:
        rate: by which they were taken. The limit may have been made larger since, and be used by more than
            that bucket ever held: nothing of it comes back but ``cost``. Whether the clock was set back is
            for :func:`stand` to see.
    """
    emptiest = now + rate.depth
    if emptiest < full_at <= emptiest + SKEW:
        full_at = emptiest
    return max(full_at, now) - cost * rate.interval


def _held(full_at: float, depth: float, now: float) -> float:
    """When a bucket is full again as things are.

    None can be emptier than empty. One that seems so by the clocks of two nodes is empty; by more, the clock
    was set back or the limit made smaller. What is remembered then says nothing of what was taken, and would
    say so, and hold its subject up, for as long as the clock was set back: the bucket is full.
    """
    if full_at > now + depth:
        return now + depth if full_at <= now + depth + SKEW else now
    return max(full_at, now)
