"""Several things at once: in their order, and all of them or none."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from contentfilter.together import Awaited, alongside, begin, together


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


def test_what_is_there_already_stands_among_them(three):
    three[1] = "there"
    _, results = waiting(three)
    three[0].callback(0)
    three[2].callback(2)
    assert results == [[0, "there", 2]]


def test_what_is_there_already_needs_no_cancelling(three):
    three[0] = "there"
    _, results = waiting(three)
    three[1].errback(ValueError("x"))
    assert results[0].check(ValueError)


def test_what_is_begun_now_stands_before_what_is_under_way(three):
    results: list[Any] = []
    Deferred.fromCoroutine(alongside(several(three[:1]), [three[1], "there"])).addBoth(results.append)
    three[1].callback(2)
    assert results == []
    three[0].callback(1)
    assert results == [(1, [2, "there"])]


@pytest.mark.parametrize("fails", [True, False])
def test_what_is_begun_now_takes_what_is_under_way_with_it(three, fails):
    cancelled = []
    three[:] = [Deferred(cancelled.append) for _ in three]
    work = Deferred.fromCoroutine(alongside(several(three[:1]), [three[1], "there", three[2]]))
    results: list[Any] = []
    work.addBoth(results.append)
    if fails:
        three[0].errback(KeyError("x"))
    else:
        work.cancel()
    assert results[0].check(KeyError if fails else CancelledError)
    assert cancelled[-2:] == three[1:]
    assert len(cancelled) == (2 if fails else 3)


def test_what_is_told_once_is_told_to_all_before_and_after():
    value: Awaited[int] = Awaited()
    results: list[Any] = []
    given_up = Deferred.fromCoroutine(value.get()).addErrback(lambda failure: failure.type)
    Deferred.fromCoroutine(value.get()).addBoth(results.append)
    given_up.cancel()
    value.tell(1)
    value.tell(2)
    Deferred.fromCoroutine(value.get()).addBoth(results.append)
    assert results == [1, 1]
    assert given_up.result is CancelledError


async def several(waits: list[Deferred[int]]) -> int:
    total = 0
    for one in waits:
        try:
            total += await one
        except ValueError:
            total += 100
    return total


def test_what_need_not_wait_is_begun_and_ended_at_once(three):
    for number, one in enumerate(three):
        one.callback(number)
    assert begin(several(three)) == 3


def test_what_waits_goes_on_where_it_stood_however_often_and_whatever_comes(three):
    begun = begin(several(three))
    results: list[Any] = []
    begun.addBoth(results.append)
    three[0].callback(1)
    three[1].errback(ValueError("x"))
    assert results == []
    three[2].callback(2)
    assert results == [103]


def test_what_fails_before_it_waits_fails_as_what_fails_later(three):
    async def failing(waits: Any) -> None:
        if waits is not None:
            await waits
        raise KeyError("x")

    for waits in (None, three[0]):
        begun = begin(failing(waits))
        results: list[Any] = []
        begun.addErrback(results.append)
        if waits is not None:
            assert results == []
            waits.callback(0)
        assert results[0].check(KeyError)


def test_what_is_given_up_is_told_so_where_it_waits():
    seen = []
    inner: Deferred[None] = Deferred(lambda _: seen.append("cancelled"))

    async def cleaning() -> None:
        try:
            await inner
        except CancelledError:
            seen.append("told")
            raise
        finally:
            seen.append("cleaned")

    begun = begin(cleaning())
    begun.addErrback(lambda failure: seen.append(failure.type))
    begun.cancel()
    assert seen == ["cancelled", "told", "cleaned", CancelledError]
