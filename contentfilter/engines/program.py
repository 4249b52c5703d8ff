"""Runs a program on a file: alone, in time, with bounded output, and with nothing of it left behind.

The program leads a process group of its own. When it ends, or its time is over, all of that group is killed
before the program is reaped: its number cannot belong to anybody else until then.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred

MAX_OUTPUT = 64 * 1024
"""Octets of what a program says that are kept."""
MAX_FLOOD = 4 << 20
"""Octets after which it is killed."""
READ = 64 * 1024
ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
"""All that a program finds in its environment."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended.

    Arguments:
        status: exit status; negative: the number of the signal that ended it.
        output: what it said on standard output and standard error, cut.
        stopped: why it was killed by us; empty if it was not.
    """

    status: int
    output: bytes
    stopped: str = ""


class Runner(Protocol):
    """Runs programs."""

    def run(self, command: Sequence[str], stdin: int, seconds: float) -> Deferred[Ended]:
        """Run ``command``.

        Arguments:
            stdin: a descriptor for its standard input; stays the caller's.
            seconds: after which it is killed.

        Returns:
            Fires when it is gone; cancelled, it is killed at once.

        Raises:
            OSError: it cannot be started.
        """


class ProgramRunner:
    """Runs real programs.

    Arguments:
        reactor: for their output, their end, and the time.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def run(self, command: Sequence[str], stdin: int, seconds: float) -> Deferred[Ended]:
        """See :class:`Runner`."""
        process = subprocess.Popen(
            list(command),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=ENVIRONMENT,
            process_group=0,
        )
        try:
            end = os.pidfd_open(process.pid)
        except OSError:
            _kill(process)
            process.wait()
            raise
        return _Program(self._reactor, process, end, seconds).ended


class _Program:
    """One that runs."""

    def __init__(self, reactor: Any, process: subprocess.Popen[bytes], end: int, seconds: float) -> None:
        self._reactor = reactor
        self._process = process
        self._output = b""
        self._said = 0
        self._stopped = ""
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self.ended: Deferred[Ended] = Deferred(lambda _cancelled: self.stop("nobody waits any more"))
        self._speech = _Reader(process.stdout.fileno(), self._read)
        self._end = _Reader(end, self._exited)
        self._timer = reactor.callLater(seconds, self.stop, f"no end within {seconds:g} s")
        reactor.addReader(self._speech)
        reactor.addReader(self._end)

    def stop(self, why: str) -> None:
        """Kill it; its end is reported soon."""
        if not self._stopped:
            self._stopped = why
            _kill(self._process)

    def _read(self) -> None:
        try:
            data = os.read(self._speech.fileno(), READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._reactor.removeReader(self._speech)
            return
        self._said += len(data)
        self._output += data[: MAX_OUTPUT - len(self._output)]
        if self._said > MAX_FLOOD:
            self.stop(f"more than {MAX_FLOOD} octets of output")

    def _exited(self) -> None:
        # What it has left running goes too, and must not keep the pipe open.
        _kill(self._process)
        status = self._process.wait()
        self._reactor.removeReader(self._end)
        os.close(self._end.fileno())
        self._drain()
        self._reactor.removeReader(self._speech)
        assert self._process.stdout is not None
        self._process.stdout.close()
        if self._timer.active():
            self._timer.cancel()
        if not self.ended.called:
            self.ended.callback(Ended(status, self._output, self._stopped))

    def _drain(self) -> None:
        """What it said last is in the pipe still; a pipe holds 64 KiB."""
        with suppress(OSError):
            while len(self._output) < MAX_OUTPUT and (data := os.read(self._speech.fileno(), READ)):
                self._output += data[: MAX_OUTPUT - len(self._output)]


class _Reader:
    """A descriptor for the reactor (IReadDescriptor)."""

    def __init__(self, descriptor: int, ready: Any) -> None:
        self._descriptor = descriptor
        self._ready = ready

    def fileno(self) -> int:
        return self._descriptor

    def doRead(self) -> None:
        self._ready()

    def connectionLost(self, _reason: object) -> None:
        """The reactor stops; the program's end is not waited for."""

    def logPrefix(self) -> str:
        return "program"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill it and all of its group; it has not been reaped, so the number is its own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
