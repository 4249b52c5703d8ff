"""The signer processes: as many as configured, with the keys that are in force, replaced without a gap."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from contentfilter.content.results import ScanFailed
from contentfilter.pool.crew import Observer
from contentfilter.pool.pool import Pool
from contentfilter.pool.process import Launcher
from contentfilter.signing.messages import Result, SignTask
from mailbase.logs import Log

HANDOVER = 30.0
"""Seconds for signers with other keys to be ready; after that those that are there go on."""
STEP = 0.05
"""Seconds between looks whether they are."""


@dataclass(frozen=True, slots=True)
class Limits:
    """See :class:`contentfilter.pool.pool.Limits`."""

    count: int
    max_tasks: int
    deadline: float
    backlog: int


class Signers:
    """Arguments:
    clock: for deadlines and pauses.
    log: for signers that die.
    observer: counts them.
    """

    def __init__(self, clock: IReactorTime, log: Log, observer: Observer) -> None:
        self._clock = clock
        self._log = log
        self._observer = observer
        self._pool: Pool[Result] | None = None
        self._running = False
        self._handover: _Handover | None = None

    @property
    def able(self) -> bool:
        """Whether a message could be signed, or none is to be."""
        return self._pool is None or self._pool.able

    @property
    def replacing(self) -> bool:
        """Whether others are about to take over."""
        return self._handover is not None

    def start(self) -> None:
        """Start the processes."""
        self._running = True
        if self._pool is not None:
            self._pool.start()

    async def stop(self) -> None:
        """Finish what is in hand, and end all processes."""
        self._running = False
        self._give_up_handover()
        if self._pool is not None:
            await self._pool.stop()

    def submit(self, task: SignTask, descriptor: int) -> Deferred[Result | ScanFailed]:
        """Sign a message; see :meth:`contentfilter.pool.pool.Pool.submit`."""
        if self._pool is None:
            os.close(descriptor)
            nothing: Deferred[Result | ScanFailed] = Deferred()
            nothing.callback(ScanFailed("signers", "unavailable", "nothing is signed any more"))
            return nothing
        return self._pool.submit(task, descriptor)

    def replace(self, limits: Limits, launcher: Launcher[Result], in_force: Callable[[], None]) -> None:
        """Take other processes.

        Arguments:
            in_force: called in the moment from which on tasks go to them, and not at all if they don't get
                ready. A task for a key that only they have would fail before.
        """
        self._give_up_handover()
        pool = Pool(self._clock, limits, launcher, self._log, self._observer)
        if self._pool is None or not self._running:
            self._pool = pool
            in_force()
            if self._running:
                pool.start()
            return
        pool.start()
        self._handover = _Handover(self._clock, pool, lambda ready: self._taken_over(pool, ready, in_force))

    def remove(self) -> None:
        """End all processes once they are done: nothing is signed any more."""
        self._give_up_handover()
        if self._pool is not None:
            _end(self._pool)
            self._pool = None

    def _taken_over(self, pool: Pool[Result], ready: bool, in_force: Callable[[], None]) -> None:
        self._handover = None
        if not ready:
            self._log.error("signers-not-replaced", why=f"not ready within {HANDOVER:g} s; the old go on")
            _end(pool)
            return
        old, self._pool = self._pool, pool
        in_force()
        if old is not None:
            _end(old)

    def _give_up_handover(self) -> None:
        if self._handover is not None:
            self._handover.give_up()
            _end(self._handover.pool)
            self._handover = None


class _Handover:
    """Waits until new processes are ready."""

    def __init__(self, clock: IReactorTime, pool: Pool[Result], over: Callable[[bool], None]) -> None:
        self.pool = pool
        self._clock = clock
        self._over = over
        self._until = clock.seconds() + HANDOVER
        self._timer: IDelayedCall = clock.callLater(STEP, self._look)

    def give_up(self) -> None:
        if self._timer.active():
            self._timer.cancel()

    def _look(self) -> None:
        if self.pool.able or self._clock.seconds() >= self._until:
            self._over(self.pool.able)
        else:
            self._timer = self._clock.callLater(STEP, self._look)


def _end(pool: Pool[Result]) -> None:
    Deferred.fromCoroutine(pool.stop())
