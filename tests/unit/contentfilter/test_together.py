"""Several things at once: in their order, and all of them or none."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from contentfilter.together import together


@pytest.fixture
def three():
    return [Deferred(), Deferred(), Deferred()]


def waiting(started: list[Deferred[Any]]) -> tuple[Deferred[Any], list[Any]]:
    results: list[Any] = []
    return Deferred.fromCoroutine(together(started)).addBoth(results.append), results


def test_what_each_gives_stands_in_their_order(three):
    _, results = waiting(three)
    for number in (2, 0, 1):
        assert results == []
        three[number].callback(number)
    assert results == [[0, 1, 2]]


def test_one_that_fails_ends_all(three):
    cancelled = []
    three[2] = Deferred(cancelled.append)
    _, results = waiting(three)
    three[1].errback(ValueError("x"))
    three[0].callback(0)
    assert results[0].check(ValueError)
    assert cancelled


def test_nobody_who_waits_leaves_anything_under_way(three):
    cancelled = []
    three[:] = [Deferred(cancelled.append) for _ in three]
    work, results = waiting(three)
    work.cancel()
    assert results[0].check(CancelledError)
    assert len(cancelled) == 3
