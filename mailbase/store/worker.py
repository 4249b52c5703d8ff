"""A thread beside the reactor: runs jobs in order, hands each outcome back to the reactor."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol

Job = Callable[[], Any]
Done = Callable[[Any, "Exception | None"], None]
"""Called with the job's result, or with the exception it raised."""


class Worker(Protocol):
    """Runs jobs one after another, elsewhere."""

    def submit(self, job: Job, done: Done) -> None:
        """Run ``job``; then call ``done`` in the reactor's thread."""

    def stop(self, timeout: float) -> bool:
        """Let the jobs end; False if they did not within ``timeout`` seconds."""


class ThreadWorker:
    """A :class:`Worker` with a thread of its own.

    Arguments:
        name: of the thread.
        call_from_thread: the reactor's way to run a function in its own thread.
    """

    def __init__(self, name: str, call_from_thread: Callable[..., object]) -> None:
        self._call = call_from_thread
        self._jobs: queue.SimpleQueue[tuple[Job, Done] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job, done: Done) -> None:
        self._jobs.put((job, done))

    def stop(self, timeout: float) -> bool:
        self._jobs.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, done = item
            try:
                result, failed = job(), None
            except Exception as error:  # noqa: BLE001 - the boundary of the thread: handed to the reactor
                result, failed = None, error
            self._call(done, result, failed)
