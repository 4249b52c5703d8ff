"""The pool and its crew, with scripted workers and a clock of our own."""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.pool import messages
from contentfilter.pool.crew import FIRST_PAUSE, LONGEST_PAUSE
from contentfilter.pool.frames import Done, Failed, Ready
from contentfilter.pool.member import RETIRE_TIMEOUT, SOUND_AGE, START_TIMEOUT
from contentfilter.pool.messages import Task, decode, encode
from contentfilter.pool.pool import LONGEST_ASIDE, MOST_ASIDE, Pool
from contentfilter.pool.process import MAX_LOG_LINES, Events, WorkerProcess
from mailbase.config import FINDING_NAMES
from mailbase.logs import Log

CLEAN = Done(ScanResult(parts=1))


@dataclass
class Limits:
    count: int = 2
    max_tasks: int = 100
    deadline: float = 45.0
    backlog: int = 3


class FakeWorker:
    """A worker whose words are the test's."""

    def __init__(self, events: Events, pid: int) -> None:
        self.events = events
        self.pid = pid
        self.tasks: list[str] = []
        self.deaf = False
        self.retired = False
        self.killed = False

    def give(self, task: Task, descriptor: int) -> None:
        if self.deaf:
            raise BrokenPipeError(32, "Broken pipe")
        if not task.content:
            os.fstat(descriptor)
        self.tasks.append(task.name)

    def retire(self) -> None:
        self.retired = True

    def kill(self) -> None:
        self.killed = True


class Scene:
    def __init__(self, start: bool = True, **limits: Any) -> None:
        self.clock = Clock()
        self.limits = Limits(**limits)
        self.workers: list[FakeWorker] = []
        self.fates: list[str] = []
        self.output = io.StringIO()
        self.refuse_launch = False
        self.results: dict[str, Any] = {}
        self.descriptors: dict[str, int] = {}
        log = Log("test", stream=self.output, level="debug")
        self.pool = Pool(self.clock, self.limits, self, log, self)
        if start:
            self.pool.start()
            for worker in list(self.workers):
                worker.events.answered(Ready())

    def launch(self, events: Events) -> FakeWorker:
        if self.refuse_launch:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        worker = FakeWorker(events, 100 + len(self.workers))
        self.workers.append(worker)
        return worker

    def worker_ended(self, fate: str) -> None:
        self.fates.append(fate)

    def submit(self, name: str, timeout: float | None = None) -> Deferred[Any]:
        self.descriptors[name] = os.memfd_create(name)
        answer = self.pool.submit(Task("message", 0, name), self.descriptors[name], timeout)
        return answer.addBoth(lambda result: self.results.__setitem__(name, result))

    def aside(self, name: str) -> Deferred[Any]:
        self.descriptors[name] = os.memfd_create(name)
        answer = self.pool.aside(Task("message", 0, name), self.descriptors[name])
        return answer.addBoth(lambda result: self.results.__setitem__(name, result))

    def holder(self, name: str) -> FakeWorker:
        (worker,) = [worker for worker in self.workers if worker.tasks and worker.tasks[-1] == name]
        return worker

    def done(self, name: str, answer: messages.Answer = CLEAN) -> None:
        self.holder(name).events.answered(answer)

    def reason(self, name: str) -> str:
        result = self.results[name]
        assert isinstance(result, ScanFailed), result
        assert result.scanner == "workers"
        return result.reason

    def closed(self, name: str) -> bool:
        """Whether the pool let go of a task's descriptor; its number may be another's by now."""
        try:
            return f"memfd:{name} " not in os.readlink(f"/proc/self/fd/{self.descriptors[name]}")
        except FileNotFoundError:
            return True


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


def test_a_small_message_needs_no_descriptor(scene):
    found: list[Any] = []
    Deferred.fromCoroutine(scene.pool.scan(b"hello", 5)).addCallback(found.append)
    scene.workers[-1].events.answered(CLEAN)
    assert found == [CLEAN.result]


class Heard:
    def __init__(self) -> None:
        self.said: list[Any] = []

    def answered(self, answer: messages.Answer) -> None:
        self.said.append(answer)

    def misbehaved(self, why: str) -> None:
        self.said.append(why)

    def ended(self, how: str) -> None:
        self.said.append(("ended", how))


def edge() -> tuple[WorkerProcess, Heard, io.StringIO]:
    heard, output = Heard(), io.StringIO()
    log = Log("test", stream=output)
    read = partial(decode, names=FINDING_NAMES)
    return WorkerProcess(Clock(), None, heard, read, log), heard, output  # type: ignore[arg-type]


def test_after_garbage_nothing_more_is_heard():
    process, heard, _output = edge()
    process.childDataReceived(1, struct.pack(">I", 5) + b"hello")
    process.childDataReceived(1, encode(CLEAN))
    assert heard.said == ["not JSON: JSONDecodeError"]


def test_what_workers_write_is_logged_in_bounded_lines():
    process, _heard, output = edge()
    process.childDataReceived(2, b"one\ntw")
    process.childDataReceived(2, b"o\r\nbell\x07\xff\n" + b"x" * 100_000)
    process.childDataReceived(2, b"\n" + b"line\n" * 1000)
    process.childDataReceived(2, b"line\n" * 1000)
    lines = output.getvalue().splitlines()
    assert "text=one" in lines[0]
    assert 'text="two?"' in lines[1] or "text=two?" in lines[1]
    assert "bell??" in lines[2]
    assert len(lines) == MAX_LOG_LINES + 1
    assert len(output.getvalue()) < 10_000
