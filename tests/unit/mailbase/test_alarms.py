"""Many alarms behind one timer."""

from __future__ import annotations

from twisted.internet.task import Clock

from mailbase.alarms import Alarms


class Sleeper:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.woken: list[float] = []

    def wake(self) -> None:
        self.woken.append(self.clock.seconds())


def test_each_is_woken_once_at_its_time_behind_one_timer() -> None:
    clock = Clock()
    alarms = Alarms(clock)
    sleepers = [Sleeper(clock) for _ in range(100)]
    for sleeper in sleepers:
        alarms.set(sleeper, clock.seconds() + 5)
        clock.advance(0.01)
    assert len(clock.getDelayedCalls()) == 1
    clock.pump([0.01] * 700)
    assert all(len(sleeper.woken) == 1 for sleeper in sleepers)
    assert all(
        5 + number * 0.01 - 1e-6 <= sleeper.woken[0] < 5.02 + number * 0.01
        for number, sleeper in enumerate(sleepers)
    )
    assert not clock.getDelayedCalls()


def test_who_is_cleared_sleeps_on_and_nobody_leaves_a_timer() -> None:
    clock = Clock()
    alarms = Alarms(clock)
    first, second = Sleeper(clock), Sleeper(clock)
    alarms.set(first, 1.0)
    alarms.set(second, 2.0)
    assert alarms.clear(first)
    assert not alarms.clear(first)
    clock.advance(1.0)
    assert not first.woken
    assert len(alarms) == 1
    assert alarms.clear(second)
    assert not clock.getDelayedCalls()
    clock.advance(9.0)
    assert not second.woken


def test_one_who_wakes_may_set_and_clear_others() -> None:
    clock = Clock()
    alarms = Alarms(clock)
    other, third = Sleeper(clock), Sleeper(clock)

    class Meddler(Sleeper):
        def wake(self) -> None:
            super().wake()
            alarms.clear(other)
            alarms.set(third, 3.0)

    meddler = Meddler(clock)
    alarms.set(meddler, 1.0)
    alarms.set(other, 2.0)
    clock.pump([1.0] * 4)
    assert (meddler.woken, other.woken, third.woken) == ([1.0], [], [3.0])


def test_none_is_taken_for_before_the_last() -> None:
    alarms = Alarms(Clock())
    sleeper = Sleeper(Clock())
    assert alarms.set(sleeper, 3.0)
    assert alarms.set(Sleeper(Clock()), 3.0)
    assert not alarms.set(Sleeper(Clock()), 2.9)
    assert len(alarms) == 2


def test_a_clock_that_was_put_back_is_followed_when_nobody_waits() -> None:
    clock = Clock()
    alarms = Alarms(clock)
    first, second = Sleeper(clock), Sleeper(clock)
    assert alarms.set(first, 1000.0)
    assert alarms.clear(first)
    assert alarms.set(second, 2.0)
    clock.advance(2.0)
    assert second.woken == [2.0]


class SetBack(Clock):
    """Its timers go by themselves, as with :class:`mailbase.wallclock.WallClock`; its time may be set."""

    corrected = 0.0

    def wall(self) -> float:
        return self.rightNow + self.corrected


def test_a_clock_that_is_set_back_lets_nobody_sleep_on() -> None:
    clock = SetBack()
    wall = Clock()
    wall.seconds = clock.wall  # type: ignore[method-assign]
    wall.callLater = clock.callLater  # type: ignore[method-assign]
    alarms = Alarms(wall)
    sleepers = [Sleeper(clock) for _ in range(3)]
    for number, sleeper in enumerate(sleepers):
        assert alarms.set(sleeper, clock.wall() + 5 + number)
    clock.corrected = -3600.0
    clock.pump([0.5] * 16)
    assert [sleeper.woken for sleeper in sleepers] == [[5.0], [6.0], [7.0]]
    assert alarms.set(Sleeper(clock), clock.wall() + 5)
    assert len(clock.getDelayedCalls()) == 1
