"""The time of day may be set; what is to happen in a while happens all the same."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.interfaces import IReactorCore, IReactorTCP, IReactorTime

from mailbase.reactor import Reactor
from mailbase.wallclock import WallClock


class Times:
    def __init__(self) -> None:
        self.wall, self.steady = 1_800_000_000.0, 70.0
        self.reactor: Any = Reactor()
        self.clock = WallClock(self.reactor, lambda: self.wall, lambda: self.steady)
        self.called: list[str] = []

    def pass_by(self, seconds: float, corrected: float = 0.0) -> None:
        self.wall += seconds + corrected
        self.steady += seconds
        self.reactor.runUntilCurrent()


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.mark.parametrize("corrected", [-3600.0, 0.0, 3600.0])
def test_timers_keep_their_time_whatever_the_clock_is_set_to(times: Times, corrected: float) -> None:
    times.clock.callLater(5.0, times.called.append, "due")
    times.pass_by(4.0, corrected)
    assert times.called == []
    assert times.reactor.timeout() == 1.0
    times.pass_by(1.0)
    assert times.called == ["due"]
    assert times.clock.seconds() == 1_800_000_005.0 + corrected


def test_one_that_was_put_off_does_too(times: Times) -> None:
    timer = times.clock.callLater(5.0, times.called.append, "due")
    times.pass_by(4.0, -3600.0)
    timer.reset(2.0)
    times.pass_by(1.9)
    assert times.called == []
    times.pass_by(0.1)
    assert times.called == ["due"]


def test_it_is_a_reactor_for_all_else(times: Times) -> None:
    assert IReactorTime.providedBy(times.clock)
    assert IReactorTCP.providedBy(times.clock)
    assert IReactorCore.providedBy(times.clock)
    assert times.clock.getDelayedCalls() == []
    assert times.clock.running is False
