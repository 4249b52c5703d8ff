"""Nobody is let in before Postfix's extensions are known, or it is clear that they will not be soon."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from contentfilter.session.doors import PATIENCE, Doors


class Port:
    """As far as a door needs it."""

    def __init__(self) -> None:
        self.reads: list[bool] = []
        self.connected, self.disconnecting = True, False

    def stopReading(self) -> None:
        self.reads.append(False)

    def startReading(self) -> None:
        self.reads.append(True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_they_open_when_all_answers_are_there(clock: Clock) -> None:
    ports, answers = [Port(), Port()], [Deferred[Any](), Deferred[Any]()]
    doors = Doors(clock, ports)
    assert [port.reads for port in ports] == [[False], [False]]
    doors.open_after(answers)
    answers[0].callback("offer")
    assert ports[0].reads == [False]
    answers[1].callback("none: refused")
    assert [port.reads for port in ports] == [[False, True]] * 2
    assert clock.getDelayedCalls() == []


def test_nobody_is_kept_waiting_for_longer_than_that(clock: Clock) -> None:
    port, answer = Port(), Deferred[Any]()
    Doors(clock, [port]).open_after([answer])
    clock.advance(PATIENCE)
    assert port.reads == [False, True]
    answer.callback("late")
    assert port.reads == [False, True]


def test_at_the_end_they_stay_shut(clock: Clock) -> None:
    port, answer = Port(), Deferred[Any]()
    doors = Doors(clock, [port, object()])
    doors.open_after([answer])
    doors.stop()
    answer.callback("late")
    clock.advance(PATIENCE)
    assert port.reads == [False]


def test_a_port_that_is_closed_by_then_stays_shut(clock: Clock) -> None:
    closing, closed, other = Port(), Port(), Port()
    Doors(clock, [closing, closed, other]).open_after([Deferred()])
    closing.disconnecting, closed.connected = True, False
    clock.advance(PATIENCE)
    assert [port.reads for port in (closing, closed, other)] == [[False], [False], [False, True]]
