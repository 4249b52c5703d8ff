"""A worker process: takes a descriptor, or a small message, scans it, answers, takes the next.

It is the only place where foreign bytes are parsed, so it holds nothing worth having: no socket but the one
to the daemon, no secret, no mail but the one at hand. It trusts the daemon; the daemon does not trust it.

Descriptors at start: 0 the task socket, 1 the answer pipe, 2 the daemon's log. Argument: the settings as
JSON (:class:`Settings`).
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from contentfilter.analysis.knowledge import Knowledge
from contentfilter.content.results import ScanResult
from contentfilter.pool.beginning import begin, settle, where
from contentfilter.pool.confinement import AddressSpace, CpuTime, Orphaned, confine
from contentfilter.pool.frames import Done, Failed, Garbage, Ready
from contentfilter.pool.messages import MAX_TASK, Answer, Task, encode

Scan: TypeAlias = Callable[[Task, int, Knowledge], ScanResult]
"""Gets the task, the descriptor, which stays the caller's, and what the worker was given at its start. The
descriptor is -1 where the task has the content itself."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the daemon tells a worker at its start.

    Arguments:
        parent: process id of the daemon.
        memory: octets of address space.
        cpu_time: seconds of processor time for each task.
        scan: ``module:function`` of type :data:`Scan`; tests put a rogue in its place.
        knowledge: what :meth:`Knowledge.load` gets.
    """

    parent: int
    memory: int
    cpu_time: float
    scan: str = "contentfilter.pool.scanning:scan"
    knowledge: Mapping[str, Any] = field(default_factory=dict)

    def encode(self) -> str:
        return json.dumps(asdict(self))


class Worker:
    """The loop of one worker.

    Arguments:
        tasks: the task socket.
        answers: descriptor of the answer pipe.
        scan: does the work.
        settings: the limits.
        memory: what of it is used.
        knowledge: for the scan.
    """

    def __init__(
        self,
        tasks: socket.socket,
        answers: int,
        scan: Scan,
        settings: Settings,
        memory: AddressSpace,
        knowledge: Knowledge,
    ) -> None:
        self._tasks = tasks
        self._answers = answers
        self._scan = scan
        self._cpu_time = CpuTime(settings.cpu_time)
        self._knowledge = knowledge
        # Memory that a parser never gives back would make a later, innocent mail hit the limit.
        self._memory = memory
        self._enough = (memory.used() + settings.memory) // 2

    def run(self) -> None:
        """Work until the daemon closes the socket.

        Raises:
            OSError: the daemon is gone.
            Garbage: it sent no task; only a daemon of another version would.
        """
        while True:
            packet, descriptors, _flags, _address = socket.recv_fds(self._tasks, MAX_TASK, 1)
            if not packet:
                return
            task = Task.decode(packet)
            if len(descriptors) != (0 if task.content else 1):
                raise Garbage("a task without a descriptor")
            self._cpu_time.allow()
            answer = self._work(task, descriptors[0] if descriptors else -1)
            self.answer(answer)
            if isinstance(answer, Failed):
                # What a failed parser left in memory is anybody's guess.
                return

    def answer(self, answer: Answer) -> None:
        """Write one answer."""
        frame = memoryview(encode(answer))
        while frame:
            frame = frame[os.write(self._answers, frame) :]

    def _work(self, task: Task, descriptor: int) -> Answer:
        started = time.monotonic()
        try:
            actual = os.fstat(descriptor).st_size if descriptor >= 0 else task.size
            if actual < task.size:
                return Failed("protocol", f"{actual} octets behind the descriptor, {task.size} expected")
            result = self._scan(task, descriptor, self._knowledge)
        except MemoryError:
            return Failed("out-of-memory")
        except Exception as error:  # noqa: BLE001 - the boundary: the daemon counts and logs it
            return Failed("crashed", where(error))
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        seconds = time.monotonic() - started
        return Done(result.timed(seconds), retire=self._memory.used() > self._enough)


def _load(name: str) -> Scan:
    module, _, function = name.partition(":")
    scan: Scan = getattr(__import__(module, fromlist=[function]), function)
    return scan


def main(argument: str) -> int:
    """Run a worker; returns the process's exit code."""
    settings = Settings(**json.loads(argument))
    tasks, answers = begin()
    try:
        # Loading is the slow part; confinement would only make it fail.
        scan = _load(settings.scan)
        knowledge = Knowledge.load(settings.knowledge)
        settle()
        memory = AddressSpace()
        missing = confine(settings.memory, settings.parent)
        worker = Worker(tasks, answers, scan, settings, memory, knowledge)
        worker.answer(Ready(tuple(missing)))
        worker.run()
    except (BrokenPipeError, ConnectionError, Orphaned):
        # The daemon is gone, and with it everyone who might read an explanation.
        return 1
    return 0
