"""Has the model trained whenever the lessons are others: soon, not all the time, in a process of its own.

Diagnostics: ``statistics-trained`` with what the model is worth, ``statistics-not-trained`` and
``lessons-not-read`` with the reason; the model that there was stays, and it is tried again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from mailbase.logs import Log
from mailbase.statistics.model import Model, ModelError, make_model
from mailbase.store import StoreError
from policyd.control.pausing import pause
from policyd.learning.lessons import Lesson, Lessons
from policyd.learning.trainer import frame

SOON = 1.0
"""Seconds after a change until training begins: a command brings many in a row."""
BREATHER = 1.0
"""Times as long as the last training took that nothing is trained afterwards."""
AGAIN = 60.0
"""Seconds until a training that failed is tried again, and expired lessons are looked for."""
LONGEST = 1800.0
"""Seconds for one training."""
STEP = 200
"""Lessons that are handed over before the reactor gets its turn."""
MAX_OUTPUT = 4096

_BOOT = """import sys
sys.path[:] = {path!r}
from policyd.learning.trainer import main
sys.exit(main(sys.argv[1]))
"""


class School:
    """Arguments:
    reactor: Twisted's.
    path: of the model's file.
    log: see the module's diagnostics.

    Attributes:
        lessons: what is to be learned, which tell :meth:`changed` when they change; set before the start.
        summary: of the last training, as :mod:`policyd.learning.trainer` prints it.
        failures: trainings that failed.
    """

    def __init__(self, reactor: Any, path: Path, log: Log) -> None:
        self._reactor = reactor
        self.lessons: Lessons | None = None
        self._path = path
        self._log = log
        self._timer: Any = None
        self._tick: Any = None
        self._process: Any = None
        self._stale = False
        self._busy = False
        self._not_before = 0.0
        self._stopped = False
        self.summary: dict[str, Any] = {}
        self.failures = 0

    def start(self) -> None:
        """Make the model's file, read the lessons, and train if the model is not one of them."""
        try:
            make_model(self._path)
            told = Model.open(self._path).describe()
            if told is not None and told.trained:
                self.summary = {
                    "trained": told.trained, "spam": told.spam, "ham": told.ham, "judges": bool(told.knots),
                }  # fmt: skip
        except (OSError, ModelError) as error:
            self._log.warning("statistics-not-trained", error=f"{self._path}: {error}")
        self._round()

    def stop(self) -> None:
        """End it, and a training that goes on."""
        self._stopped = True
        for timer in (self._timer, self._tick):
            if timer is not None and timer.active():
                timer.cancel()
        if self._process is not None:
            self._process.kill()

    @property
    def busy(self) -> bool:
        """Whether the model does not know all lessons yet."""
        return self._busy or self._stale

    def reload(self) -> None:
        """Read the lessons again; another node has changed them."""
        Deferred.fromCoroutine(self._load())

    def changed(self) -> None:
        """The lessons are others."""
        self._stale = True
        self._plan(SOON)

    def _plan(self, delay: float) -> None:
        if self._busy or self._stopped or (self._timer is not None and self._timer.active()):
            return
        wait = max(delay, self._not_before - self._reactor.seconds())
        self._timer = self._reactor.callLater(wait, self._begin)

    def _round(self) -> None:
        self._tick = self._reactor.callLater(AGAIN, self._round)
        Deferred.fromCoroutine(self._look())

    async def _look(self) -> None:
        assert self.lessons is not None
        if not self.lessons.loaded:
            await self._load()
        await self.lessons.forget_expired()
        if self._stale:
            self._plan(0.0)

    async def _load(self) -> None:
        assert self.lessons is not None
        first = not self.lessons.loaded
        try:
            await self.lessons.load()
        except StoreError as error:
            self._log.warning("lessons-not-read", error=str(error), next_attempt=AGAIN)
            return
        if first and self._stale and self._is_of(self.lessons.all.values()):
            # The model of before the restart.
            self._stale = False
            if self._timer is not None and self._timer.active():
                self._timer.cancel()

    def _is_of(self, lessons: Collection[Lesson]) -> bool:
        """Whether the model that there is was trained from these."""
        spam = sum(one.spam for one in lessons)
        newest = max((one.learned for one in lessons), default=0)
        told = tuple(self.summary.get(name, 0) for name in ("spam", "ham"))
        # Training begins a moment after the last of them.
        return told == (spam, len(lessons) - spam) and newest < self.summary.get("trained", 0)

    def _begin(self) -> None:
        self._busy, self._stale = True, False
        Deferred.fromCoroutine(self._train())

    async def _train(self) -> None:
        began, well = self._reactor.seconds(), False
        try:
            self.summary = await self._ask()
            well = True
            self._log.info("statistics-trained", **self.summary)
        except (OSError, StoreError, ValueError) as error:
            self.failures += 1
            self._stale = True
            self._log.warning("statistics-not-trained", error=str(error), next_attempt=AGAIN)
        taken = self._reactor.seconds() - began
        self._busy = False
        self._not_before = self._reactor.seconds() + min(BREATHER * taken, 10 * AGAIN)
        if self._stale and well:
            self._plan(SOON)

    def _spawn(self, process: _Trainer) -> _Trainer:
        boot = _BOOT.format(path=[os.path.abspath(folder) for folder in sys.path])
        self._reactor.spawnProcess(
            process,
            sys.executable,
            [sys.executable, "-I", "-c", boot, str(self._path)],
            env={"LANG": "C.UTF-8", "PATH": os.defpath},
        )
        return process

    async def _ask(self) -> dict[str, Any]:
        assert self.lessons is not None
        process = _Trainer()
        self._process = self._spawn(process)
        late = self._reactor.callLater(LONGEST, process.kill)
        try:
            count = 0
            async for spam, packed in self.lessons.packed():
                process.give(frame(spam, packed))
                count += 1
                if count % STEP == 0:
                    await pause(self._reactor)
                    await process.ready()
            process.finish()
            return _summary(await process.ended)
        except StoreError:
            process.kill()
            raise
        finally:
            self._process = None
            if late.active():
                late.cancel()


def _summary(output: bytes) -> dict[str, Any]:
    try:
        found = json.loads(output)
    except ValueError:
        found = None
    if not isinstance(found, dict) or "error" in found:
        raise ValueError(found["error"] if isinstance(found, dict) else "the trainer ended without a word")
    return found


class _Trainer(ProcessProtocol):
    """The daemon's end of a trainer."""

    def __init__(self) -> None:
        self.ended: Deferred[bytes] = Deferred()
        self._output = b""
        self._full: Deferred[None] | None = None
        self._paused = False
        self._gone = False
        self._input: Any = None

    def connectionMade(self) -> None:
        self._input = cast(Any, self.transport).pipes[0]
        self._input.registerProducer(self, True)

    def give(self, data: bytes) -> None:
        if not self._gone and self.transport is not None:
            self.transport.writeToChild(0, data)

    async def ready(self) -> None:
        """Wait until it has read what it was given."""
        if self._paused and not self._gone:
            self._full = Deferred()
            await self._full

    def finish(self) -> None:
        if not self._gone and self.transport is not None:
            self._input.unregisterProducer()
            self.transport.closeStdin()

    def kill(self) -> None:
        if self.transport is None or self._gone:
            return
        try:
            self.transport.signalProcess("KILL")
        except ProcessExitedAlready:
            return

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._go_on()

    def stopProducing(self) -> None:
        self._go_on()

    def _go_on(self) -> None:
        full, self._full = self._full, None
        if full is not None:
            full.callback(None)

    def outReceived(self, data: bytes) -> None:
        self._output = (self._output + data)[:MAX_OUTPUT]

    def errReceived(self, data: bytes) -> None:
        return

    def processEnded(self, reason: Failure) -> None:
        self._gone = True
        self._go_on()
        self.ended.callback(self._output)
