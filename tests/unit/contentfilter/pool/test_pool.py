"""The pool, with scripted workers: who gets which task, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from contentfilter.content.results import ScanFailed
from contentfilter.pool.frames import Failed, Ready
from contentfilter.pool.member import RETIRE_TIMEOUT

from .pooled import CLEAN, Scene


@pytest.fixture
def scene():
    return Scene()


def test_tasks_are_taken_in_their_order_one_a_worker(scene):
    for name in "abcd":
        scene.submit(name)
    assert sorted(worker.tasks for worker in scene.workers) == [["a"], ["b"]]
    assert (scene.pool.busy, scene.pool.waiting) == (2, 2)
    scene.done("b")
    assert scene.results == {"b": CLEAN.result}
    assert scene.holder("c")
    scene.done("a")
    scene.done("d")
    scene.done("c")
    assert set(scene.results) == set("abcd")
    assert scene.pool.idle == 2
    assert scene.clock.getDelayedCalls() == []


def test_a_worker_has_the_next_task_before_its_answer_is_dealt_with(scene):
    seen = []
    scene.submit("a").addCallback(lambda _: seen.append([list(worker.tasks) for worker in scene.workers]))
    for name in "bc":
        scene.submit(name)
    scene.done("a")
    assert [sorted(tasks) for tasks in seen] == [[["a", "c"], ["b"]]]


def test_descriptors_are_closed_once_the_worker_has_its_own(scene):
    for name in "abc":
        scene.submit(name)
    assert [scene.closed(name) for name in "abc"] == [True, True, False]
    scene.done("a")
    assert scene.closed("c")


def test_beyond_the_backlog_mail_is_refused_at_once(scene):
    for name in "abcde":
        scene.submit(name)
    assert not scene.results
    scene.submit("f")
    assert scene.reason("f") == "overload"
    assert scene.closed("f")
    scene.done("a")
    scene.submit("g")
    assert "g" not in scene.results


def test_without_a_backlog_an_idle_worker_still_takes_mail():
    scene = Scene(backlog=0)
    scene.submit("a")
    scene.submit("b")
    scene.submit("c")
    assert list(scene.results) == ["c"]


def test_the_deadline_kills_the_worker_alone_and_counts_from_the_beginning(scene):
    scene.submit("a")
    scene.clock.advance(10)
    for name in "bcd":
        scene.submit(name)
    scene.clock.advance(34.9)
    assert not scene.results
    scene.clock.advance(0.1)
    assert scene.reason("a") == "timed-out"
    assert scene.holder("a").killed
    assert not scene.holder("b").killed
    # Its place is taken at once, not when the kernel has cleared up.
    assert len(scene.workers) == 3
    scene.holder("a").events.ended("SIGKILL")
    scene.workers[2].events.answered(Ready())
    assert scene.holder("c") is scene.workers[2]
    # d waited for nothing: not the worker's fault, and no more than its own time.
    scene.clock.advance(10)
    assert (scene.reason("b"), scene.reason("c"), scene.reason("d")) == ("timed-out", "timed-out", "overload")
    assert scene.closed("d")
    assert scene.fates == ["killed"]


def test_a_mail_may_have_less_time_than_the_deadline_but_not_more(scene):
    scene.submit("a", timeout=5)
    scene.submit("b", timeout=500)
    scene.submit("c", timeout=0)
    assert scene.reason("c") == "timed-out"
    scene.clock.advance(5)
    assert scene.reason("a") == "timed-out"
    scene.clock.advance(40)
    assert scene.reason("b") == "timed-out"


def test_what_a_killed_worker_still_says_counts_for_nothing(scene):
    scene.submit("a", timeout=1)
    scene.clock.advance(1)
    scene.submit("b")
    scene.done("a")
    assert scene.reason("a") == "timed-out"
    assert "b" not in scene.results
    assert scene.output.getvalue().count("worker-killed") == 1


@pytest.mark.parametrize(
    ("how", "reason"),
    [("SIGSEGV", "crashed"), ("exit 0", "crashed"), ("SIGKILL", "crashed"), ("SIGXCPU", "timed-out")],
)
def test_a_worker_that_dies_fails_its_mail_and_no_other(scene, how, reason):
    for name in "abc":
        scene.submit(name)
    scene.holder("a").events.ended(how)
    assert scene.reason("a") == reason
    assert list(scene.results) == ["a"]
    assert len(scene.workers) == 3
    scene.workers[2].events.answered(Ready())
    assert scene.holder("c") is scene.workers[2]
    assert scene.fates == ["crashed"]
    assert "pause" not in scene.output.getvalue()


def test_a_worker_that_says_it_failed_is_replaced(scene):
    scene.submit("a")
    worker = scene.holder("a")
    scene.done("a", Failed("out-of-memory", "detail"))
    assert scene.results["a"] == ScanFailed("workers", "out-of-memory", "detail")
    assert worker.retired
    scene.submit("b")
    scene.submit("c")
    assert worker.tasks == ["a"]
    worker.events.ended("exit 0")
    assert scene.fates == ["failed"]


def test_garbage_kills_the_worker_and_fails_the_mail(scene):
    scene.submit("a")
    worker = scene.holder("a")
    worker.events.misbehaved("more than one answer")
    assert scene.reason("a") == "protocol"
    assert worker.killed
    worker.events.ended("SIGKILL")
    assert scene.fates == ["killed"]


@pytest.mark.parametrize("answer", [CLEAN, Failed("crashed"), Ready()])
def test_an_answer_that_nobody_asked_for_kills_the_worker(scene, answer):
    scene.workers[0].events.answered(answer)
    assert scene.workers[0].killed
    scene.submit("a")
    scene.submit("b")
    assert scene.workers[0].tasks == []


def test_a_second_greeting_is_no_answer(scene):
    scene.submit("a")
    worker = scene.holder("a")
    worker.events.answered(Ready())
    assert worker.killed
    assert scene.reason("a") == "protocol"


def test_a_mail_goes_to_another_worker_if_the_first_takes_nothing(scene):
    scene.workers[1].deaf = True
    scene.submit("a")
    assert scene.workers[0].tasks == ["a"]
    assert scene.workers[1].killed
    scene.workers[0].deaf = True
    scene.done("a")
    scene.submit("b")
    assert scene.pool.waiting == 1
    assert not scene.closed("b")
    scene.workers[2].events.answered(Ready())
    assert scene.workers[2].tasks == ["b"]


def test_a_task_that_nobody_wants_any_more_leaves_the_queue(scene):
    for name in "ab":
        scene.submit(name)
    waiting = scene.submit("c")
    waiting.cancel()
    assert isinstance(scene.results["c"].value, CancelledError)
    assert scene.closed("c")
    assert scene.pool.waiting == 0


def test_a_worker_finishes_what_nobody_wants_any_more(scene):
    task = scene.submit("a")
    task.cancel()
    worker = scene.holder("a")
    assert not worker.killed
    assert scene.pool.busy == 1
    worker.events.answered(CLEAN)
    assert scene.pool.idle == 2


def test_stopping_drains_then_retires_then_kills(scene):
    for name in "abc":
        scene.submit(name)
    over: list[None] = []
    Deferred.fromCoroutine(scene.pool.stop()).addCallback(over.append)
    scene.submit("late")
    assert scene.reason("late") == "unavailable"
    for name in "abc":
        scene.done(name)
    assert set(scene.results) == {"a", "b", "c", "late"}
    assert all(worker.retired for worker in scene.workers)
    assert not over
    scene.workers[0].events.ended("exit 0")
    scene.clock.advance(RETIRE_TIMEOUT)
    assert scene.workers[1].killed
    assert not over
    scene.workers[1].events.ended("SIGKILL")
    assert over == [None]
    assert len(scene.workers) == 2
    assert scene.clock.getDelayedCalls() == []


def test_a_small_message_needs_no_descriptor(scene):
    found: list[Any] = []
    Deferred.fromCoroutine(scene.pool.scan(b"hello", 5)).addCallback(found.append)
    scene.workers[-1].events.answered(CLEAN)
    assert found == [CLEAN.result]
