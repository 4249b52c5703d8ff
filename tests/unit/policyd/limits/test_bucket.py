"""The arithmetic of limits."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.limits.bucket import Rate, put_back, stand

NOW = 1_800_000_000.0
HOURLY = Rate(60, 3600.0, 60)


def fill(rate: Rate, times: int, now: float = NOW, full_at: float = 0.0) -> float:
    for _ in range(times):
        standing = stand(full_at, 1, rate, now)
        assert standing.passed
        full_at = standing.full_at
    return full_at


def test_as_many_pass_at_once_as_the_bucket_holds() -> None:
    standing = stand(fill(HOURLY, 60), 1, HOURLY, NOW)
    assert not standing.passed
    assert (standing.used, standing.wait) == (pytest.approx(60), pytest.approx(60))


def test_who_waits_as_long_as_told_passes() -> None:
    full_at = fill(HOURLY, 60)
    wait = stand(full_at, 5, HOURLY, NOW).wait
    assert wait == pytest.approx(300)
    assert not stand(full_at, 5, HOURLY, NOW + wait - 1).passed
    assert stand(full_at, 5, HOURLY, NOW + wait).passed


def test_a_smaller_burst_spreads_the_same_rate() -> None:
    rate = Rate(60, 3600.0, 2)
    full_at = fill(rate, 2)
    assert not stand(full_at, 1, rate, NOW).passed
    assert stand(full_at, 1, rate, NOW + 60).passed


def test_what_is_more_than_the_bucket_holds_never_passes() -> None:
    standing = stand(0.0, 61, HOURLY, NOW)
    assert (standing.passed, standing.wait, standing.used) == (False, math.inf, 0)


def test_units_given_back_can_be_taken_again() -> None:
    full_at = put_back(fill(HOURLY, 60), 3, HOURLY, NOW)
    assert stand(full_at, 3, HOURLY, NOW).passed
    assert not stand(full_at, 4, HOURLY, NOW).passed
    assert put_back(fill(HOURLY, 1), 3, HOURLY, NOW) <= NOW


@pytest.mark.parametrize("rate", [HOURLY, Rate(6, 60.0, 6)])
@pytest.mark.parametrize("used", [1, 60])
def test_a_clock_set_back_or_a_smaller_limit_holds_nobody(rate: Rate, used: int) -> None:
    full_at = fill(HOURLY, used, NOW + 86400)
    standing = stand(full_at, rate.burst, rate, NOW)
    assert standing.passed
    assert standing.full_at == pytest.approx(NOW + rate.depth)
    assert stand(put_back(full_at, 1, rate, NOW), rate.burst, rate, NOW).passed


@pytest.mark.parametrize("larger", [Rate(1000, 86400.0, 1000), Rate(60, 3600.0, 600)])
def test_of_a_limit_made_larger_nothing_comes_back_but_what_was_taken(larger: Rate) -> None:
    before = fill(HOURLY, 1)
    used = stand(fill(larger, 500, full_at=before), 0, larger, NOW).used
    left = stand(put_back(fill(larger, 500, full_at=before), 1, HOURLY, NOW), 0, larger, NOW).used
    assert left == pytest.approx(used - HOURLY.interval / larger.interval)


@pytest.mark.parametrize("ahead", [0.5, 59.0])
def test_nodes_whose_clocks_differ_a_little_share_a_limit(ahead: float) -> None:
    """Who goes from one to the other gets no second bucket."""
    full_at = fill(HOURLY, 60, NOW + ahead)
    standing = stand(full_at, 1, HOURLY, NOW)
    assert (standing.passed, standing.used) == (False, pytest.approx(60))
    assert put_back(full_at, 1, HOURLY, NOW) == pytest.approx(NOW + HOURLY.depth - HOURLY.interval)


@given(
    limit=st.integers(1, 10**9),
    within=st.floats(1.0, 30 * 86400.0),
    costs=st.lists(st.integers(1, 10**6), max_size=30),
    gaps=st.lists(st.floats(0, 100.0), min_size=30, max_size=30),
)
def test_never_more_than_the_burst_and_what_was_refilled(
    limit: int, within: float, costs: list[int], gaps: list[float]
) -> None:
    rate = Rate(limit, within, max(1, limit // 2))
    full_at, now, taken = 0.0, NOW, 0
    for cost, gap in zip(costs, gaps, strict=False):
        now += gap
        standing = stand(full_at, cost, rate, now)
        assert 0 <= standing.used <= rate.burst + 0.01 / rate.interval + 0.01
        if standing.passed:
            full_at, taken = standing.full_at, taken + cost
    refilled = (now - NOW) / rate.interval
    assert taken <= rate.burst + refilled + (len(costs) + 1) * 0.002 / rate.interval
