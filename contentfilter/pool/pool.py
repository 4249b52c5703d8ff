"""The scan pool's queue: what waits for a worker, and how long it may.

Messages wait in one queue, first come, first served. A message waits within its deadline or not at all, and
beyond the backlog it is refused at once: a flood must not eat memory. A worker that dies or is killed takes
only the message it had, which ends as :class:`ScanFailed`, never as a pass.

Beside them there may be tasks that nobody waits for. They are done one at a time, when no message waits and a
worker is left for the next one.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.pool.crew import Crew, NobodyIdle, Observer
from contentfilter.pool.member import SCANNER, Member
from contentfilter.pool.messages import Task
from contentfilter.pool.process import Launcher, Packet
from mailbase.logs import Log

NOTHING: Mapping[str, Any] = {}
MOST_ASIDE = 8
"""Tasks that nobody waits for, before a worker has them."""
LONGEST_ASIDE = 30.0
"""Seconds that one of them waits."""
R = TypeVar("R")


class Limits(Protocol):
    """What the pool reads of ``contentfilter.workers``."""

    @property
    def count(self) -> int: ...
    @property
    def max_tasks(self) -> int: ...
    @property
    def deadline(self) -> float: ...
    @property
    def backlog(self) -> int: ...


@dataclass(eq=False, slots=True)
class _Job(Generic[R]):
    task: Packet
    descriptor: int
    seconds: float
    queue: deque[_Job[R]]
    answer: Deferred[R | ScanFailed] = field(init=False)
    timer: IDelayedCall | None = None
    member: Member[R] | None = None


class Pool(Generic[R]):
    """Hands messages to workers.

    Arguments:
        clock: for deadlines and pauses.
        limits: ``contentfilter.workers`` of the configuration.
        launcher: starts workers.
        log: for workers that die.
        observer: counts them.
    """

    def __init__(
        self, clock: IReactorTime, limits: Limits, launcher: Launcher[R], log: Log, observer: Observer
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._crew: Crew[R] = Crew(clock, limits, launcher, log, observer, self._dispatch)
        self._queue: deque[_Job[R]] = deque()
        self._aside: deque[_Job[R]] = deque()
        self._done_aside: _Job[R] | None = None
        """The one that a worker has."""
        self._running = False
        self._in_hand = 0
        self._drained: Deferred[None] | None = None

    @property
    def busy(self) -> int:
        """Workers with a task."""
        return self._crew.busy

    @property
    def idle(self) -> int:
        """Workers without one."""
        return self._crew.idle

    @property
    def able(self) -> bool:
        """Whether there is a worker that takes tasks, now or after its current one."""
        return self._crew.able

    @property
    def waiting(self) -> int:
        """Tasks without a worker, but for those that nobody waits for."""
        return len(self._queue)

    def start(self) -> None:
        """Start the workers; tasks may come from now on."""
        self._running = True
        self._crew.start()

    async def stop(self) -> None:
        """Finish the tasks there are, take no more, and end all workers."""
        self._running = False
        for job in list(self._aside):
            self._drop(job, ScanFailed(SCANNER, "unavailable", "the pool is not running"))
        if self._in_hand:
            self._drained = Deferred()
            await self._drained
        await self._crew.stop()

    def reconfigure(self, limits: Limits, launcher: Launcher[R]) -> None:
        """Take other limits; each worker is replaced by one that has them. No task is lost."""
        self._limits = limits
        self._crew.reconfigure(limits, launcher)

    async def scan(
        self: Pool[ScanResult],
        message: int | bytes,
        wire_size: int,
        timeout: float | None = None,
        given: Mapping[str, Any] = NOTHING,
        dotted: bool = True,
    ) -> ScanResult | ScanFailed:
        """Scan a message in its dot-stuffed wire form; see :meth:`submit`, and the rest of a task.

        Arguments:
            message: a descriptor, or a small one's octets.
        """
        content, descriptor = (message, -1) if isinstance(message, bytes) else (b"", message)
        task = Task("wire", wire_size, given=given, dotted=dotted, content=content)
        return await self.submit(task, descriptor, timeout)

    def submit(self, task: Packet, descriptor: int, timeout: float | None = None) -> Deferred[R | ScanFailed]:
        """Scan what is behind ``descriptor``.

        Arguments:
            descriptor: becomes the pool's, which closes it; -1 where the task needs none.
            timeout: seconds, waiting included; at most, and by default, the configured deadline.

        Returns:
            Fires with the result, never with a failure of ours. Cancelled, it gives up a task that waits; a
            worker that has it finishes, since that is cheaper than a new worker.
        """
        seconds = self._limits.deadline if timeout is None else min(timeout, self._limits.deadline)
        return self._take(_Job(task, descriptor, seconds, self._queue), self._refusal(seconds))

    def aside(self, task: Packet, descriptor: int) -> Deferred[R | ScanFailed]:
        """As :meth:`submit`, for what nobody waits for and may as well be left undone."""
        refusal = self._refusal(LONGEST_ASIDE)
        if len(self._aside) >= MOST_ASIDE:
            refusal = ScanFailed(SCANNER, "overload", f"{MOST_ASIDE} tasks wait aside already")
        return self._take(_Job(task, descriptor, LONGEST_ASIDE, self._aside), refusal)

    def _take(self, job: _Job[R], refusal: ScanFailed | None) -> Deferred[R | ScanFailed]:
        self._in_hand += 1
        job.answer = Deferred(lambda _answer: self._abandon(job))
        if refusal is not None:
            self._finish(job, refusal)
            return job.answer
        job.timer = self._clock.callLater(job.seconds, self._expire, job)
        job.queue.append(job)
        self._dispatch()
        return job.answer

    def _refusal(self, seconds: float) -> ScanFailed | None:
        if not self._running:
            return ScanFailed(SCANNER, "unavailable", "the pool is not running")
        if seconds <= 0:
            return ScanFailed(SCANNER, "timed-out", "no time left")
        if len(self._queue) >= self._limits.backlog and not self._crew.idle:
            return ScanFailed(SCANNER, "overload", f"{len(self._queue)} messages wait already")
        return None

    def _dispatch(self) -> None:
        while self._queue and self._crew.idle:
            self._hand_over(self._queue.popleft())
        # One worker stays for the next mail, where there are several.
        if self._aside and self._done_aside is None and self._crew.idle >= min(2, self._limits.count):
            job = self._aside.popleft()
            self._hand_over(job)
            if job.member is not None and job.timer is not None:
                self._done_aside = job
                # No worker is killed because the task had waited for it.
                job.seconds = self._limits.deadline
                job.timer.reset(job.seconds)

    def _hand_over(self, job: _Job[R]) -> None:
        try:
            job.member = self._crew.hand_over(job.task, job.descriptor, partial(self._finish, job))
        except NobodyIdle:
            job.queue.appendleft(job)
        else:
            # The worker has a descriptor of its own now.
            self._close(job)

    def _expire(self, job: _Job[R]) -> None:
        if job.member is None:
            self._drop(job, ScanFailed(SCANNER, "overload", f"waited {job.seconds:g} s for a worker"))
        else:
            why = f"no answer within {job.seconds:g} s"
            job.member.kill(why)
            self._finish(job, ScanFailed(SCANNER, "timed-out", why))

    def _abandon(self, job: _Job[R]) -> None:
        if job.member is None:
            self._drop(job, None)

    def _drop(self, job: _Job[R], result: ScanFailed | None) -> None:
        """A task is done with that no worker has."""
        job.queue.remove(job)
        self._finish(job, result)

    def _finish(self, job: _Job[R], result: R | ScanFailed | None) -> None:
        self._close(job)
        if job is self._done_aside:
            self._done_aside = None
            self._dispatch()
        if job.timer is not None and job.timer.active():
            job.timer.cancel()
        self._in_hand -= 1
        if result is not None and not job.answer.called:
            job.answer.callback(result)
        if not self._in_hand and self._drained is not None:
            drained, self._drained = self._drained, None
            drained.callback(None)

    @staticmethod
    def _close(job: _Job[R]) -> None:
        if job.descriptor >= 0:
            os.close(job.descriptor)
            job.descriptor = -1
