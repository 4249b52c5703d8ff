"""The workers of the pool: when they begin, end and are replaced."""

from __future__ import annotations

import pytest

from contentfilter.content.results import ScanResult
from contentfilter.pool.crew import FIRST_PAUSE, LONGEST_PAUSE
from contentfilter.pool.frames import Done, Ready
from contentfilter.pool.member import RETIRE_TIMEOUT, SOUND_AGE, START_TIMEOUT

from .pooled import CLEAN, Limits, Scene


@pytest.fixture
def scene():
    return Scene()


def test_recycling_keeps_the_old_until_the_new_is_ready():
    scene = Scene(count=1, max_tasks=2)
    for name in "ab":
        scene.submit(name)
        scene.done(name)
    old, new = scene.workers
    assert not old.retired
    scene.submit("c")
    scene.submit("d")
    assert old.tasks == ["a", "b", "c"]
    new.events.answered(Ready())
    assert new.tasks == ["d"]
    scene.done("c")
    assert old.retired
    old.events.ended("exit 0")
    scene.submit("e")
    assert scene.pool.waiting == 1
    scene.done("d")
    assert new.tasks == ["d", "e"]
    assert scene.fates == ["recycled"]
    assert len(scene.workers) == 2


def test_a_successor_that_does_not_start_leaves_the_old_at_work():
    scene = Scene(count=1, max_tasks=1)
    scene.submit("a")
    scene.done("a")
    scene.workers[1].events.ended("exit 1")
    scene.submit("b")
    assert scene.workers[0].tasks == ["a", "b"]


def test_a_worker_that_asks_to_retire_gets_no_more(scene):
    scene.submit("a")
    worker = scene.holder("a")
    scene.done("a", Done(ScanResult(), retire=True))
    assert scene.results["a"] == ScanResult()
    assert worker.retired
    assert len(scene.workers) == 3
    scene.clock.advance(RETIRE_TIMEOUT)
    assert worker.killed


def test_workers_that_die_at_start_are_tried_with_growing_pauses():
    scene = Scene(start=False, count=1)
    scene.pool.start()
    pauses: list[float] = []
    for _ in range(14):
        count = len(scene.workers)
        scene.workers[-1].events.ended("exit 1")
        pause = 0.0
        while len(scene.workers) == count:
            scene.clock.advance(FIRST_PAUSE)
            pause += FIRST_PAUSE
        pauses.append(round(pause, 1))
    assert pauses[:5] == pytest.approx([0.0, 0.1, 0.2, 0.4, 0.8], abs=0.11)
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE, abs=0.11)
    # One that gets somewhere ends it.
    scene.workers[-1].events.answered(Ready())
    scene.submit("a")
    scene.done("a")
    for how in ("SIGKILL", "exit 1"):
        count = len(scene.workers)
        scene.workers[-1].events.ended(how)
        assert len(scene.workers) == count + 1


def test_mails_that_kill_their_workers_make_no_pause(scene):
    for number in range(10):
        scene.submit(str(number))
        count = len(scene.workers)
        scene.holder(str(number)).events.ended("SIGSEGV")
        assert len(scene.workers) == count + 1
        scene.workers[-1].events.answered(Ready())


def test_an_old_worker_that_is_killed_idle_is_replaced_at_once(scene):
    for _ in range(5):
        scene.clock.advance(SOUND_AGE)
        count = len(scene.workers)
        scene.workers[-1].events.ended("SIGKILL")
        assert len(scene.workers) == count + 1
        scene.workers[-1].events.answered(Ready())


def test_a_system_without_processes_is_asked_again():
    scene = Scene(start=False, count=1)
    scene.refuse_launch = True
    scene.pool.start()
    scene.submit("a")
    scene.refuse_launch = False
    scene.clock.advance(FIRST_PAUSE)
    scene.workers[0].events.answered(Ready())
    assert scene.workers[0].tasks == ["a"]
    # The worker that never was is not waited for.
    scene.clock.advance(START_TIMEOUT)
    assert "worker-killed" not in scene.output.getvalue()


def test_a_worker_that_does_not_get_ready_is_killed():
    scene = Scene(start=False, count=1)
    scene.pool.start()
    assert not scene.pool.able
    scene.clock.advance(START_TIMEOUT)
    assert scene.workers[0].killed
    assert len(scene.workers) == 2


def test_other_limits_replace_every_worker_without_losing_a_task(scene):
    scene.submit("b")
    scene.submit("a")
    scene.done("b")
    scene.pool.reconfigure(Limits(count=1, max_tasks=50), scene)
    assert len(scene.workers) == 3
    scene.workers[2].events.answered(Ready())
    # The idle one goes first.
    busy = scene.holder("a")
    assert [worker for worker in scene.workers[:2] if not worker.retired] == [busy]
    scene.submit("c")
    assert scene.workers[2].tasks == ["c"]
    scene.done("a")
    assert scene.results["a"] == CLEAN.result
    assert busy.retired
    for worker in scene.workers[:2]:
        worker.events.ended("exit 0")
    assert len(scene.workers) == 3


def test_what_the_kernel_does_not_grant_is_said_once():
    scene = Scene(start=False)
    scene.pool.start()
    for worker in scene.workers:
        worker.events.answered(Ready(("network namespace",)))
    assert scene.output.getvalue().count('missing="network namespace"') == 1


# Messages
