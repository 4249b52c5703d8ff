"""Worker processes as Twisted sees them: start, hand over a task, read answers, kill, learn of the end."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO, Generic, Protocol, TypeVar

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from contentfilter.content.results import ScanResult
from contentfilter.pool.frames import Done, Failed, Frames, Garbage, Ready
from contentfilter.pool.heap import VARIABLES
from contentfilter.pool.messages import MAX_TASK, decode
from contentfilter.pool.worker import Settings
from mailbase.logs import Log
from mailbase.replies import printable

MAX_LOG_LINES = 40
"""Lines of a worker's standard error that are logged for each task; a crash report fits."""
MAX_LOG_LINE = 300
LINGER = 1.0
"""Seconds after a worker's end in which its pipes may still be read."""

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
R_contra = TypeVar("R_contra", contravariant=True)

_ARGUMENT = 3
"""The descriptor with a program's argument. A command line can hold 128 KiB, rules be longer; and whoever
looks at the processes wants to see what they are."""
_BOOT = """import gc, os, sys
gc.disable()
sys.path[:] = {path!r}
from {program} import main
argument = os.pread({argument}, os.fstat({argument}).st_size, 0)
os.close({argument})
sys.exit(main(argument.decode()))
"""


class Events(Protocol[R_contra]):
    """Who wants to know what becomes of a worker."""

    def answered(self, answer: Ready | Done[R_contra] | Failed) -> None:
        """A valid answer came."""

    def misbehaved(self, why: str) -> None:
        """What came was no answer; nothing more will be reported but the end."""

    def ended(self, how: str) -> None:
        """The process is gone, and everything it said was reported.

        Arguments:
            how: ``exit 0``, ``SIGSEGV`` and the like.
        """


class Packet(Protocol):
    """A task for a worker."""

    def encode(self) -> bytes:
        """What goes to the worker, in one piece."""


class Handle(Protocol):
    """One worker process, from the outside."""

    pid: int

    def give(self, task: Packet, descriptor: int) -> None:
        """Hand over a task; the descriptor stays the caller's, and is -1 where the task needs none.

        Raises:
            OSError: the worker takes nothing; it is dead or dying.
        """

    def retire(self) -> None:
        """Tell the worker to end once it is idle."""

    def kill(self) -> None:
        """End the worker at once."""


class Launcher(Protocol[R_co]):
    """Starts workers."""

    def launch(self, events: Events[R_co]) -> Handle:
        """Start one.

        Raises:
            OSError: no process can be had.
        """


class ProgramLauncher(Generic[R]):
    """Starts processes that run a program of ours.

    Arguments:
        reactor: for processes and time.
        program: module with a ``main`` that takes one argument and returns the exit status.
        argument: for it.
        decode: reads an answer; raises Garbage.
        log: gets what workers write to standard error.
    """

    def __init__(
        self,
        reactor: Any,
        program: str,
        argument: str,
        decode: Callable[[bytes], Ready | Done[R] | Failed],
        log: Log,
    ) -> None:
        self._reactor = reactor
        self._program = program
        self._argument = argument
        self._decode = decode
        self._log = log

    def launch(self, events: Events[R]) -> Handle:
        """Start a worker; see :class:`Launcher`."""
        with _in_memory(self._argument.encode()) as argument:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                ours.setblocking(False)
                # Whatever sockets have by default: a packet must fit.
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAX_TASK)
                process = WorkerProcess(self._reactor, ours, events, self._decode, self._log)
                # Isolated from the environment; it imports what the daemon would import.
                path = [os.path.abspath(folder) for folder in sys.path]
                boot = _BOOT.format(path=path, program=self._program, argument=_ARGUMENT)
                try:
                    self._reactor.spawnProcess(
                        process,
                        sys.executable,
                        [sys.executable, "-I", "-X", "faulthandler", "-c", boot, self._program],
                        env={"LANG": "C.UTF-8", "PATH": os.defpath, **VARIABLES},
                        childFDs={0: theirs.fileno(), 1: "r", 2: "r", _ARGUMENT: argument.fileno()},
                    )
                except BaseException:
                    ours.close()
                    raise
        return process


def _in_memory(data: bytes) -> BinaryIO:
    """A file without a name that holds ``data``."""
    file = open(os.memfd_create("argument", os.MFD_CLOEXEC), "wb", buffering=0)  # noqa: SIM115 - the caller's
    try:
        file.write(data)
    except OSError:
        file.close()
        raise
    return file


class ProcessLauncher(ProgramLauncher[ScanResult]):
    """Starts scan workers.

    Arguments:
        reactor: for processes and time.
        settings: for each worker.
        names: of the findings there are; other names in an answer are garbage.
        log: gets what workers write to standard error.
    """

    def __init__(self, reactor: Any, settings: Settings, names: frozenset[str], log: Log) -> None:
        super().__init__(
            reactor, "contentfilter.pool.worker", settings.encode(), partial(decode, names=names), log
        )


class WorkerProcess(ProcessProtocol, Generic[R]):
    """The daemon's end of one worker."""

    def __init__(
        self,
        reactor: Any,
        tasks: socket.socket,
        events: Events[R],
        decode: Callable[[bytes], Ready | Done[R] | Failed],
        log: Log,
    ) -> None:
        self._reactor = reactor
        self._tasks = tasks
        self._events = events
        self._decode = decode
        self._log = log
        self._frames = Frames()
        self._garbled = False
        self._complaint = b""
        self._lines_left = MAX_LOG_LINES
        self._linger: Any = None
        self.pid = 0

    def give(self, task: Packet, descriptor: int) -> None:
        self._lines_left = MAX_LOG_LINES
        # The socket holds one packet at most, so this either works at once or never will.
        if descriptor < 0:
            self._tasks.send(task.encode())
        else:
            socket.send_fds(self._tasks, [task.encode()], [descriptor])

    def retire(self) -> None:
        self._tasks.close()

    def kill(self) -> None:
        if self.transport is None:
            return
        try:
            self.transport.signalProcess("KILL")
        except ProcessExitedAlready:
            return

    # What Twisted reports

    def connectionMade(self) -> None:
        self.pid = self.transport.pid  # type: ignore[union-attr]

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        if childFD == 2:
            self._complain(data)
        elif not self._garbled:
            self._answer(data)

    def processExited(self, reason: Failure) -> None:
        # Whatever a worker left running would keep the pipes open, and us waiting for their end.
        self._linger = self._reactor.callLater(LINGER, self._let_go)

    def processEnded(self, reason: Failure) -> None:
        if self._linger is not None and self._linger.active():
            self._linger.cancel()
        if self._complaint:
            self._complain(b"\n")
        self._tasks.close()
        self._events.ended(_how(reason.value))

    def _let_go(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def _answer(self, data: bytes) -> None:
        try:
            frame = self._frames.feed(data)
            if frame is not None:
                self._events.answered(self._decode(frame))
        except Garbage as error:
            self._garbled = True
            self._events.misbehaved(str(error))

    def _complain(self, data: bytes) -> None:
        if self._lines_left <= 0:
            return
        *lines, rest = (self._complaint + data).split(b"\n")
        self._complaint = rest[:MAX_LOG_LINE]
        for line in lines[: self._lines_left]:
            if line.strip():
                self._log.warning("worker-says", worker=self.pid, text=printable(line, MAX_LOG_LINE))
        self._lines_left -= len(lines)
        if self._lines_left <= 0:
            self._log.warning("worker-says", worker=self.pid, text="and more, which is dropped")
            self._complaint = b""


def _how(end: object) -> str:
    number = getattr(end, "signal", None)
    if number is not None:
        try:
            return signal.Signals(number).name
        except ValueError:
            return f"signal {number}"
    return f"exit {getattr(end, 'exitCode', None)}"
