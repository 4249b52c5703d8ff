"""Any program as a virus engine: it gets the message as a file, and tells by its exit status what it found.

That it cannot be started, crashes, ends with another status or does not end is never taken for a clean
message.
"""

from __future__ import annotations

import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.task import deferLater

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.engines.answers import MAX_TEXT, fact, result
from contentfilter.engines.program import Ended, Runner
from contentfilter.engines.seat import Message
from contentfilter.spool.seal import intact
from contentfilter.spool.unstuffing import unstuffed
from mailbase.config.engines import FILE
from mailbase.logs import Log
from mailbase.replies import printable
from mailbase.vocabulary import Unscanned

PREFIX = "engine-"
"""The names of the files for programs begin so."""
RETRY = 1.0
"""Seconds until it is looked again whether a program that could not be started is there."""


class Settings(Protocol):
    """What of ``contentfilter.command`` is read here."""

    @property
    def run(self) -> Sequence[str]: ...
    @property
    def clean(self) -> Sequence[int]: ...
    @property
    def infected(self) -> Sequence[int]: ...
    @property
    def incomplete(self) -> Sequence[int]: ...
    @property
    def name(self) -> str: ...
    @property
    def suspected(self) -> Sequence[str]: ...


class CommandSeat:
    """See :class:`contentfilter.engines.seat.Seat`.

    Arguments:
        reactor: for the time.
        settings: ``contentfilter.command`` of the configuration.
        runner: runs the program.
        folder: for the messages' files; only contentfilter may read it.
        log: for a program that cannot be started.
        changed: told when it becomes usable, or no more so.
    """

    signatures = 0.0

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        runner: Runner,
        folder: Path,
        log: Log,
        changed: Callable[[], None],
    ) -> None:
        self.place = settings.run[0]
        self.blind = False
        self.busy = 0
        self._reactor = reactor
        self._settings = settings
        self._runner = runner
        self._folder = folder
        self._log = log
        self._changed = changed
        self._starts = True
        self._again: Any = None

    @property
    def usable(self) -> bool:
        """Whether mail is given to it: it could be started last time, and finds the test virus."""
        return self._starts and not self.blind

    async def look(self, message: Message, seconds: float) -> ScanResult | ScanFailed:
        """See :class:`contentfilter.engines.seat.Seat`."""
        started = self._reactor.seconds()
        self.busy += 1
        try:
            async with self._file(message) as (path, descriptor):
                command = [word.replace(FILE, path) for word in self._settings.run]
                left = seconds - (self._reactor.seconds() - started)
                try:
                    running = self._runner.run(command, descriptor, left)
                except OSError as error:
                    return self._not_started(str(error))
                ended = await running
        finally:
            self.busy -= 1
        return judge(ended, self._settings, self._reactor.seconds() - started)

    def start(self) -> None:
        """Remove files that a contentfilter left which did not end in order."""
        for path in self._folder.glob(f"{PREFIX}*"):
            with suppress(OSError):
                path.unlink()

    def close(self) -> None:
        """See :class:`contentfilter.engines.seat.Seat`."""
        if self._again is not None and self._again.active():
            self._again.cancel()

    def _not_started(self, problem: str) -> ScanFailed:
        if self._starts:
            self._log.error("engine-down", engine="command", place=self.place, detail=problem)
            self._starts = False
            self._again = self._reactor.callLater(RETRY, self._try_again)
            self._changed()
        return ScanFailed("command", "unavailable", problem)

    def _try_again(self) -> None:
        if not os.access(self.place, os.X_OK):
            self._again = self._reactor.callLater(RETRY, self._try_again)
            return
        self._log.info("engine-answers", engine="command", place=self.place)
        self._starts = True
        self._changed()

    @asynccontextmanager
    async def _file(self, message: Message) -> AsyncIterator[tuple[str, int]]:
        """``message`` as its recipient gets it, in a file: its path, and a descriptor at its beginning.

        Other mail goes on between two pieces of it. The file has a name only while the program may need it.
        """
        descriptor, path = tempfile.mkstemp(prefix=PREFIX, dir=self._folder)
        try:
            if not any(FILE in word for word in self._settings.run):
                os.unlink(path)
            for number, piece in enumerate(unstuffed(intact(message.chunks(), message.digest))):
                if number:
                    await deferLater(self._reactor, 0, lambda: None)
                view = memoryview(piece)
                while view:
                    view = view[os.write(descriptor, view) :]
            os.lseek(descriptor, 0, os.SEEK_SET)
            yield path, descriptor
        finally:
            os.close(descriptor)
            with suppress(FileNotFoundError):
                os.unlink(path)


def judge(ended: Ended, settings: Settings, seconds: float) -> ScanResult | ScanFailed:
    """What it means how a program ended.

    Arguments:
        seconds: how long it took.
    """
    said = printable(ended.output.strip(), MAX_TEXT)
    if ended.stopped:
        reason = "timed-out" if ended.stopped.startswith("no end") else "protocol"
        return ScanFailed("command", reason, ended.stopped)
    if ended.status < 0:
        return ScanFailed("command", "crashed", f"{_signal(-ended.status)}: {said}")
    if ended.status in settings.clean:
        return ScanResult(seconds=seconds)
    if ended.status in settings.infected:
        named = re.search(settings.name, ended.output.decode("latin-1"))
        # Found is found, also where the name is not.
        name = printable(named[1] or "", MAX_TEXT).strip() if named else ""
        return result(fact(name or "without a name", settings.suspected), seconds)
    if ended.status in settings.incomplete:
        return result(Unscanned("", "unsupported", said), seconds)
    return ScanFailed("command", "protocol", f"exit status {ended.status}: {said}")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
