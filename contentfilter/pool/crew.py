"""The workers' life: as many as there should be, replaced when they die, are killed, or did their share.

A worker that is due for replacement stays until its successor is ready, so recycling makes no gap. Workers
that die before they get anywhere are started again at once the first time, then with growing pauses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from contentfilter.pool.member import Deliver, Fate, Member
from contentfilter.pool.process import Launcher, Packet
from mailbase.logs import Log

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0
"""Seconds between starts when workers do not get anywhere."""

R = TypeVar("R")


class Limits(Protocol):
    """What of ``contentfilter.workers`` concerns the crew."""

    @property
    def count(self) -> int: ...
    @property
    def max_tasks(self) -> int: ...


class Observer(Protocol):
    """Counts what happens to workers."""

    def worker_ended(self, fate: Fate) -> None: ...


class NobodyIdle(Exception):
    """No worker takes the task."""


class Crew(Generic[R]):
    """Keeps workers.

    Arguments:
        clock: for time-outs and pauses.
        limits: how many, and for how long each.
        launcher: starts them.
        log: for those that die.
        observer: counts them.
        available: called when a worker has become idle, or has gone.
    """

    def __init__(
        self,
        clock: IReactorTime,
        limits: Limits,
        launcher: Launcher[R],
        log: Log,
        observer: Observer,
        available: Callable[[], None],
    ) -> None:
        self.clock = clock
        self.limits = limits
        self.log = log
        self._launcher = launcher
        self._observer = observer
        self._available = available
        self._members: dict[Member[R], None] = {}
        """In the order of their start."""
        self._idle: list[Member[R]] = []
        self._failures = 0
        self._pause: IDelayedCall | None = None
        self._running = False
        self._gone: Deferred[None] | None = None
        self._weaknesses: tuple[str, ...] | None = None

    @property
    def idle(self) -> int:
        """Workers that could take a task now."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """Workers that have a task."""
        return sum(member.busy for member in self._members)

    @property
    def able(self) -> bool:
        """Whether any worker is ready."""
        return any(member.ready and not member.leaving for member in self._members)

    def start(self) -> None:
        """Start the workers."""
        self._running = True
        self._level()

    async def stop(self) -> None:
        """End all workers; returns when the last is gone."""
        self._running = False
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        for member in list(self._members):
            member.retire()
        if self._members:
            self._gone = Deferred()
            await self._gone

    def reconfigure(self, limits: Limits, launcher: Launcher[R]) -> None:
        """Take other limits; each worker is replaced by one that has them."""
        self.limits = limits
        self._launcher = launcher
        for member in self._members:
            member.aged = True
        self._level()

    def hand_over(self, task: Packet, descriptor: int, deliver: Deliver[R]) -> Member[R]:
        """Give a task to an idle worker.

        Arguments:
            descriptor: stays the caller's.
            deliver: called once with the result, unless the worker is killed by the caller.

        Raises:
            NobodyIdle: there is none.
        """
        while self._idle:
            member = self._idle.pop()
            try:
                member.give(task, descriptor, deliver)
            except OSError as error:
                # Dead, and its end not reported yet.
                member.kill(f"takes no task: {error.strerror}")
            else:
                return member
        raise NobodyIdle

    # What members report

    def joined(self, member: Member[R], missing: tuple[str, ...]) -> None:
        """A new worker is ready."""
        if missing != self._weaknesses:
            self._weaknesses = missing
            report = self.log.warning if missing else self.log.info
            report("worker-confinement", missing=", ".join(missing) or "nothing")
        self.log.debug("worker-ready", worker=member.pid)
        self.rested(member)
        # Only now, so that the one it replaces is the one to go.
        self._level()
        self._available()

    def rested(self, member: Member[R]) -> None:
        """A worker can take a task."""
        self._idle.append(member)

    def accomplished(self, member: Member[R]) -> None:
        """A task was answered: workers do get somewhere, and this one may be due for replacement."""
        self._failures = 0
        if member.aged:
            self._level()
        self._available()

    def leaving(self, member: Member[R]) -> None:
        """A worker takes no more tasks."""
        if member in self._idle:
            self._idle.remove(member)
        self._level()

    def ended(self, member: Member[R], fate: Fate, how: str, stillborn: bool) -> None:
        """A worker's process is gone.

        Arguments:
            stillborn: it died young and without a task.
        """
        self._members.pop(member, None)
        self._observer.worker_ended(fate)
        if fate == "crashed":
            self.log.warning("worker-crashed", worker=member.pid, how=how, tasks=member.tasks)
        if stillborn:
            self._failed_start()
        self.leaving(member)
        self._available()
        if not self._members and self._gone is not None:
            gone, self._gone = self._gone, None
            gone.callback(None)

    # As many as there should be

    def _level(self) -> None:
        if not self._running:
            return
        staying = [member for member in self._members if not member.leaving and not member.aged]
        for member in staying[self.limits.count :]:
            member.aged = True
        if self._pause is None:
            for _ in range(self.limits.count - len(staying)):
                if not self._launch():
                    break
        # The old go when the young can take over.
        able = [member for member in self._members if member.ready and not member.leaving]
        aged = sorted((member for member in able if member.aged), key=lambda member: member.busy)
        for member in aged[: max(0, len(able) - self.limits.count)]:
            member.retire()

    def _launch(self) -> bool:
        member: Member[R] = Member(self)
        try:
            member.begin(self._launcher.launch(member))
        except OSError as error:
            self.log.error("worker-start-failed", error=str(error))
            self._failures = max(self._failures, 1)
            self._failed_start()
            return False
        self._members[member] = None
        return True

    def _failed_start(self) -> None:
        """Start the next at once after one failure, later after several."""
        self._failures += 1
        if self._failures > 1 and self._pause is None and self._running:
            seconds = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures - 2, 20))
            self.log.error("workers-do-not-start", failures=self._failures, pause=seconds)
            self._pause = self.clock.callLater(seconds, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._level()
