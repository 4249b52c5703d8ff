"""A pool with scripted workers and a clock of our own."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.pool import messages
from contentfilter.pool.frames import Done, Ready
from contentfilter.pool.messages import Task
from contentfilter.pool.pool import Pool
from contentfilter.pool.process import Events
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
