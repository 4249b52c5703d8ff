"""Several clamds: who gets what, and what happens while some or all of them are gone."""

from __future__ import annotations

import pytest

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.engines.engine import MAX_LOST
from mailbase.vocabulary import Finding

from ..clamds import SILENT, VERSION, Scene

CLEAN = ScanResult()


def reasons(scene: Scene) -> list[str]:
    return [result.reason for result in scene.results if isinstance(result, ScanFailed)]


def test_the_first_gets_what_it_can_take_and_the_others_the_rest():
    scene = Scene(3)
    for server in scene.servers.values():
        server.says = None
    for _ in range(7):
        scene.scan()
    assert [len(server.connections) for server in scene.servers.values()] == [3, 2, 2]
    scene = Scene(3)
    for _ in range(5):
        scene.scan()
    assert [len(server.heard) for server in scene.servers.values()] == [5, 0, 0]


def test_one_that_refuses_costs_no_mail():
    scene = Scene(2)
    scene[0].there = False
    for _ in range(5):
        scene.scan()
    assert scene.results == [CLEAN] * 5
    assert len(scene[0].heard) == 0
    assert scene.engine.moved == 1
    assert [seat.usable for seat in scene.engine.seats] == [False, True]


def test_one_that_dies_under_way_costs_no_mail():
    scene = Scene(2)
    scene[0].says = None
    scene.scan(b"one")
    scene[0].die()
    scene.settle()
    assert scene.results == [CLEAN]
    assert scene[1].heard == [b"one"]


@pytest.mark.parametrize("what", ["closes", "garbage", "error", "silence"])
def test_one_in_trouble_costs_no_mail(what):
    scene = Scene(2)
    if what == "closes":
        scene[0].closes = True
    else:
        scene[0].says = {
            "garbage": lambda _: b"nonsense",
            "error": lambda _: b"stream: Can't allocate memory ERROR",
            "silence": lambda _: SILENT,
        }[what]
    scene.scan(b"one")
    # Half of the time is left for the second.
    scene.pass_time(16, 1)
    assert scene.results == [CLEAN]
    assert scene[1].heard == [b"one"]


def test_one_that_accepts_and_says_nothing_gets_no_more_mail():
    scene = Scene(2)
    scene[0].says, scene[0].version = lambda _: SILENT, SILENT
    scene.scan()
    scene.pass_time(16, 1)
    for _ in range(5):
        scene.scan()
    assert scene.results == [CLEAN] * 6
    assert len(scene[0].heard) == 1
    # It comes back by itself.
    scene[0].says, scene[0].version = lambda _: b"stream: X FOUND", VERSION
    scene.pass_time(30, 0.5)
    scene.scan()
    assert scene.results[-1].findings == (Finding("virus", "", "X"),)


def test_mail_waits_for_a_clamd_that_is_restarted():
    scene = Scene()
    scene[0].says = None
    scene.scan(b"under way")
    scene[0].die()
    scene.settle()
    for _ in range(3):
        scene.scan(b"meanwhile")
    scene.pass_time(8, 0.25)
    assert scene.results == []
    assert scene.engine.waiting == 4
    scene[0].there, scene[0].says = True, lambda _: b"stream: OK"
    scene.pass_time(6, 0.25)
    assert scene.results == [CLEAN] * 4
    assert sorted(scene[0].heard) == [b"meanwhile"] * 3 + [b"under way"]


def test_when_none_comes_back_mail_does_not_wait_for_ever_and_later_mail_not_at_all():
    scene = Scene(2, wait=10.0)
    for server in scene.servers.values():
        server.there = False
    scene.scan()
    scene.pass_time(9, 0.25)
    assert scene.results == []
    scene.pass_time(1.5, 0.25)
    assert reasons(scene) == ["unavailable"]
    scene.scan()
    assert reasons(scene) == ["unavailable"] * 2
    scene[1].there = True
    scene.pass_time(6, 0.25)
    scene.scan()
    assert scene.results[-1] == CLEAN
    # The next time they go, mail waits again.
    scene[1].die()
    scene.scan()
    assert len(scene.results) == 3
    scene.pass_time(11, 0.25)
    assert len(reasons(scene)) == 3


def test_a_mail_whose_time_ends_earlier_waits_no_longer():
    scene = Scene(wait=300.0)
    scene[0].there = False
    scene.scan(timeout=3.0)
    scene.pass_time(2.9)
    assert scene.results == []
    scene.pass_time(0.2)
    assert reasons(scene) == ["unavailable"]
    scene.scan(timeout=0.0)
    scene.scan(timeout=-5.0)
    assert reasons(scene)[1:] == ["timed-out"] * 2
    assert scene.engine.waiting == 0


def test_a_mail_that_ends_every_clamd_is_given_up_soon():
    scene = Scene(4)
    for server in scene.servers.values():
        server.closes = True
    scene.scan()
    scene.pass_time(5)
    assert reasons(scene) == ["crashed"]
    assert sum(len(server.heard) for server in scene.servers.values()) == MAX_LOST


def test_no_more_at_once_than_clamd_has_threads_and_first_come_first_served():
    scene = Scene(at_once=2)
    scene[0].says = None
    for number in range(6):
        scene.scan(b"%d" % number)
    assert scene.engine.waiting == 4
    assert len(scene[0].connections) == 2
    scene[0].says = lambda _: b"stream: OK"
    scene.settle()
    assert scene.results == [CLEAN] * 6
    assert scene[0].heard[2:] == [b"2", b"3", b"4", b"5"]
    assert len(scene[0].connections) == 2


def test_who_waits_for_a_turn_too_long_is_told():
    scene = Scene(at_once=1, timeout=5.0)
    scene[0].says = None
    first = scene.scan()
    scene.pass_time(1)
    scene.scan()
    scene.scan().cancel()
    assert scene.engine.waiting == 1
    scene.pass_time(3.9)
    first.cancel()
    # The first has gone; the second gets what is left of its time.
    assert scene.engine.waiting == 0
    scene.pass_time(2)
    assert reasons(scene) == ["timed-out"]


def test_a_hundred_mails_and_five_seats():
    scene = Scene(at_once=5)
    scene[0].says = None
    for number in range(100):
        scene.scan(b"%d" % number)
    assert scene.engine.seats[0].busy == 5
    assert scene.engine.waiting == 95
    scene[0].says = lambda message: b"stream: X FOUND" if message == b"77" else b"stream: OK"
    scene.settle()
    assert len(scene.results) == 100
    assert sum(bool(result.findings) for result in scene.results) == 1
    assert scene.engine.seats[0].busy == scene.engine.waiting == 0
    assert len(scene[0].connections) == 5


def test_an_engine_is_idle_that_answers_and_has_no_message():
    scene = Scene(2)
    assert scene.engine.idle
    scene[0].says = scene[1].says = None
    scene.scan()
    assert not scene.engine.idle
    scene[0].connections[0].pull()
    scene[0].connections[0].answer(b"stream: OK")
    assert scene.engine.idle
    for server in scene.servers.values():
        server.die()
    scene.scan()
    assert not scene.engine.idle
    scene.pass_time(21)
    assert reasons(scene) == ["unavailable"]
    assert not scene.engine.idle, "nobody is there"
