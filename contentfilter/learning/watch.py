"""Notices when there is another model file: workers must be started anew to map it.

A model that is trained again stands in the same file, which they have mapped; another file comes where
policyd started after contentfilter, or somebody deleted it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from twisted.internet.interfaces import IDelayedCall, IReactorTime

EVERY = 10.0
"""Seconds between two looks."""


class ModelWatch:
    """Arguments:
    clock: the reactor.
    path: of the model; None: there is none. May be replaced.
    changed: called when there is another file.
    """

    def __init__(self, clock: IReactorTime, path: Path | None, changed: Callable[[], object]) -> None:
        self._clock = clock
        self.path = path
        self._changed = changed
        self._seen = self._look()
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to look."""
        self._timer = self._clock.callLater(EVERY, self._again)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _again(self) -> None:
        self.start()
        found = self._look()
        if found != self._seen:
            self._seen = found
            if found is not None:
                self._changed()

    def _look(self) -> tuple[int, int, int] | None:
        if self.path is None:
            return None
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_size
