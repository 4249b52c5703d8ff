"""What is waited for, until its deadline and no longer."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbase.store import StoreError
from policyd.evidence.deadline import Patience

FACT: Any = object()
OTHER: Any = object()


async def check(waiting: Deferred[Any]) -> Any:
    try:
        return await waiting
    except StoreError:
        return OTHER


def told(waiting: Awaitable[Any]) -> list[Any]:
    heard: list[Any] = []
    assert isinstance(waiting, Deferred)
    waiting.addBoth(heard.append)
    return heard


def test_a_fact_that_comes_in_time() -> None:
    clock, waiting = Clock(), Deferred[Any]()
    heard = told(Patience(clock).wait(check(waiting), 5.0))
    clock.advance(4.9)
    assert heard == []
    waiting.callback(FACT)
    assert heard == [FACT]
    assert not clock.getDelayedCalls()


def test_a_fact_that_does_not() -> None:
    clock, waiting = Clock(), Deferred[Any]()
    heard = told(Patience(clock).wait(check(waiting), 5.0))
    clock.advance(5.0)
    assert heard == [None]
    waiting.errback(StoreError("late"))
    assert heard == [None]


def test_a_check_may_deal_with_what_fails_while_it_waits() -> None:
    """As limits and greylisting do where their server falls silent."""
    waiting: Deferred[Any] = Deferred()
    heard = told(Patience(Clock()).wait(check(waiting), 5.0))
    waiting.errback(StoreError("no reply in time"))
    assert heard == [OTHER]


def test_a_check_that_fails_itself_is_told() -> None:
    waiting: Deferred[Any] = Deferred()
    heard = told(Patience(Clock()).wait(check(waiting), 5.0))
    waiting.errback(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        heard[0].raiseException()
