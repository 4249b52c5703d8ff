"""Tasks that no mail waits for."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from contentfilter.pool.frames import Ready
from contentfilter.pool.pool import LONGEST_ASIDE, MOST_ASIDE

from .pooled import CLEAN, Scene


@pytest.fixture
def scene():
    return Scene()


def test_what_nobody_waits_for_leaves_a_worker_for_the_next_mail(scene):
    for name in "xyz":
        scene.aside(name)
    assert sorted(worker.tasks for worker in scene.workers) == [[], ["x"]]
    assert scene.pool.waiting == 0
    # A mail finds the other one, and those that came before it wait for it.
    scene.submit("a")
    scene.done("x")
    scene.submit("b")
    assert scene.holder("b")
    scene.done("a")
    assert set(scene.results) == {"x", "a"}
    scene.done("b")
    assert scene.holder("y")
    scene.done("y")
    scene.done("z")
    assert set(scene.results) == set("xyzab")
    assert all(map(scene.closed, "xyz"))
    assert scene.clock.getDelayedCalls() == []


def test_mail_that_waits_goes_before_what_nobody_waits_for():
    scene = Scene(count=1)
    scene.submit("a")
    scene.aside("x")
    scene.submit("b")
    scene.done("a")
    assert scene.workers[0].tasks == ["a", "b"]
    scene.done("b")
    assert scene.workers[0].tasks == ["a", "b", "x"]


def test_only_so_much_waits_aside_and_takes_no_place_from_mail(scene):
    for number in range(MOST_ASIDE + 2):
        scene.aside(f"x{number}")
    assert list(scene.results) == [f"x{MOST_ASIDE + 1}"]
    assert scene.reason(f"x{MOST_ASIDE + 1}") == "overload"
    assert scene.closed(f"x{MOST_ASIDE + 1}")
    for name in "abcd":
        scene.submit(name)
    assert not set("abcd") & set(scene.results)
    assert scene.pool.waiting == 3


def test_what_waits_aside_too_long_is_dropped_and_kills_nobody(scene):
    scene.submit("a")
    scene.aside("x")
    scene.aside("y")
    scene.clock.advance(LONGEST_ASIDE - 1)
    scene.done("a")
    # The time with the worker is another one.
    scene.clock.advance(1)
    assert list(scene.results) == ["a", "y"]
    assert scene.reason("y") == "overload"
    scene.clock.advance(scene.limits.deadline - 1)
    assert scene.reason("x") == "timed-out"
    assert scene.workers[0].killed != scene.workers[1].killed
    scene.aside("z")
    assert "z" not in scene.results


def test_a_worker_that_ends_over_it_makes_room_for_the_next(scene):
    scene.aside("x")
    scene.aside("y")
    scene.holder("x").events.ended("SIGSEGV")
    assert scene.reason("x") == "crashed"
    scene.workers[2].events.answered(Ready())
    assert scene.holder("y")


def test_a_worker_that_takes_nothing_leaves_it_waiting(scene):
    for worker in scene.workers:
        worker.deaf = True
    scene.aside("x")
    assert not scene.closed("x")
    for worker in scene.workers[2:]:
        worker.events.answered(Ready())
    assert scene.holder("x")
    scene.done("x")
    assert scene.results["x"] == CLEAN.result


def test_what_waits_aside_may_be_given_up(scene):
    scene.submit("a")
    scene.aside("x").cancel()
    assert scene.closed("x")
    scene.done("a")
    assert scene.pool.idle == 2


def test_stopping_does_not_wait_for_what_waits_aside(scene):
    scene.aside("x")
    scene.aside("y")
    over: list[None] = []
    Deferred.fromCoroutine(scene.pool.stop()).addCallback(over.append)
    assert scene.reason("y") == "unavailable"
    scene.aside("late")
    assert scene.reason("late") == "unavailable"
    scene.done("x")
    for worker in scene.workers:
        worker.events.ended("exit 0")
    assert over == [None]
