"""Threads beside the reactor, without a thread."""

from __future__ import annotations

from collections import deque

from mailbase.store.worker import Done, Job


class ManualWorker:
    """Runs jobs when told to, as a thread would some time later."""

    def __init__(self) -> None:
        self.jobs: deque[tuple[Job, Done]] = deque()

    def submit(self, job: Job, done: Done) -> None:
        self.jobs.append((job, done))

    def run(self) -> None:
        while self.jobs:
            job, done = self.jobs.popleft()
            try:
                result, failed = job(), None
            except Exception as error:
                result, failed = None, error
            done(result, failed)

    def stop(self, timeout: float) -> bool:
        self.run()
        return True
