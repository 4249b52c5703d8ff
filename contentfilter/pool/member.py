"""One worker, as the crew keeps it: what it has in hand, how old it is, why it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar

from twisted.internet.interfaces import IDelayedCall

from contentfilter.content.results import ScanFailed
from contentfilter.pool.frames import Done, Failed, Ready
from contentfilter.pool.process import Handle, Packet

if TYPE_CHECKING:
    from contentfilter.pool.crew import Crew

SCANNER = "workers"
"""The name in :class:`ScanFailed` and in the metrics."""
START_TIMEOUT = 30.0
"""Seconds until a new worker must be ready."""
RETIRE_TIMEOUT = 5.0
"""Seconds until a worker that was told to end must be gone."""
SOUND_AGE = 60.0
"""Seconds of life after which a worker's death is no failed start."""

Fate: TypeAlias = Literal["recycled", "failed", "killed", "crashed"]
"""Why a worker ended: it had done its share; it said itself that a task failed; we killed it; of itself."""
R = TypeVar("R")
Deliver: TypeAlias = Callable[["R | ScanFailed"], None]


class Member(Generic[R]):
    """One worker, as the crew keeps it; it hears of its process through :class:`Events`."""

    handle: Handle

    def __init__(self, crew: Crew[R]) -> None:
        self._crew = crew
        self._born = crew.clock.seconds()
        self._deliver: Deliver[R] | None = None
        self._fate: Fate | None = None
        self._worked = False
        self._timer: IDelayedCall | None = None
        self.ready = False
        self.tasks = 0
        self.aged = False
        """To be replaced once a successor is ready."""

    def begin(self, handle: Handle) -> None:
        """The process is there; it must get ready in time."""
        self.handle = handle
        why = f"not ready within {START_TIMEOUT:g} s"
        self._set_timer(self._crew.clock.callLater(START_TIMEOUT, self.kill, why))

    @property
    def pid(self) -> int:
        return self.handle.pid

    @property
    def busy(self) -> bool:
        return self._deliver is not None

    @property
    def leaving(self) -> bool:
        """Told to end, or killed."""
        return self._fate is not None

    def give(self, task: Packet, descriptor: int, deliver: Deliver[R]) -> None:
        """Hand over a task.

        Raises:
            OSError: the worker takes none.
        """
        self.handle.give(task, descriptor)
        self._deliver = deliver

    def retire(self) -> None:
        """Let the worker end; one that is busy finishes first."""
        if not self.leaving:
            self._leave("recycled")

    def kill(self, why: str) -> None:
        """End the worker at once; what it has in hand is not delivered any more."""
        self._crew.log.warning("worker-killed", worker=self.pid, why=why, busy=self.busy)
        self._worked = self._worked or self.busy
        self._deliver = None
        self._leave("killed")

    def _leave(self, fate: Fate) -> None:
        self._fate = fate
        self._set_timer(None)
        if fate == "killed":
            self.handle.kill()
        elif not self.busy:
            self.handle.retire()
            self._set_timer(self._crew.clock.callLater(RETIRE_TIMEOUT, self.handle.kill))
        self._crew.leaving(self)

    def _set_timer(self, timer: IDelayedCall | None) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = timer

    # Events

    def answered(self, answer: Ready | Done[R] | Failed) -> None:
        """See :class:`contentfilter.pool.process.Events`."""
        if self._fate == "killed":
            return
        match answer:
            case Ready(missing) if not self.ready:
                self.ready = True
                self._set_timer(None)
                if not self.leaving:
                    self._crew.joined(self, missing)
            case Done(result, retire) if self.busy:
                self._completed(result, "recycled" if retire else None)
            case Failed(reason, detail) if self.busy:
                self._completed(ScanFailed(SCANNER, reason, detail), "failed")
            case _:
                self.misbehaved("an answer that nobody asked for")

    def _completed(self, result: R | ScanFailed, fate: Fate | None) -> None:
        deliver, self._deliver = self._deliver, None
        self.tasks += 1
        self._worked = True
        self.aged = self.aged or self.tasks >= self._crew.limits.max_tasks
        if fate is not None or self.leaving:
            self._leave(fate or "recycled")
        else:
            self._crew.rested(self)
        assert deliver is not None
        # Before the answer is dealt with, which takes time: a worker has the next task meanwhile.
        self._crew.accomplished(self)
        deliver(result)

    def misbehaved(self, why: str) -> None:
        """See :class:`contentfilter.pool.process.Events`."""
        deliver = self._deliver
        self.kill(why)
        if deliver is not None:
            deliver(ScanFailed(SCANNER, "protocol", why))

    def ended(self, how: str) -> None:
        """See :class:`contentfilter.pool.process.Events`."""
        deliver, self._deliver = self._deliver, None
        self._set_timer(None)
        fate = self._fate or "crashed"
        # One that was told to end while busy and then crashed has crashed.
        if deliver is not None:
            fate = "crashed"
        young = self._crew.clock.seconds() - self._born < SOUND_AGE
        idle = deliver is None and not self._worked
        self._fate = fate
        self._crew.ended(self, fate, how, stillborn=idle and young and fate in ("killed", "crashed"))
        if deliver is not None:
            reason = "timed-out" if how == "SIGXCPU" else "crashed"
            text = "used up its processor time" if how == "SIGXCPU" else f"worker ended: {how}"
            deliver(ScanFailed(SCANNER, reason, text))
