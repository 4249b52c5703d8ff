"""Our daemons as child processes: started, watched until they answer, ended in order."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from postwarden.sandbox.guard import Guard
from postwarden.sandbox.waiting import wait_until


class ProcessDied(Exception):
    """A program ended when it should be running; the text holds the end of its log."""


class Process:
    """One program with its output in a log file.

    Arguments:
        name: for messages.
        command: program and arguments.
        log: file for stdout and stderr, appended to.
        guard: told of the process id, so that nothing outlives us.
        environment: added to ours.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        guard: Guard,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self._guard = guard
        self._environment = {**os.environ, **(environment or {})}
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running (or last) instance."""
        assert self._popen is not None, f"{self.name} was never started"
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def start(self, ready: Callable[[], object], within: float = 60.0) -> None:
        """Start the program and return once ``ready`` is true.

        Raises:
            ProcessDied: it ended before.
            DeadlineMissed: it was not ready after ``within`` seconds.
        """
        with self.log.open("ab") as output:
            self._popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        self._guard.watch("pid", self.pid)

        def alive_and_ready() -> object:
            if not self.running:
                raise ProcessDied(f"{self.name} ended with status {self._popen_status()}: {self.tail()}")
            return ready()

        wait_until(alive_and_ready, within, f"{self.name} is ready", self.tail)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program itself, not to its children."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self.running:
            self.signal(signal.SIGKILL)
        self._reap(5.0)

    def stop(self, grace: float = 10.0) -> int | None:
        """SIGTERM, after ``grace`` seconds SIGKILL; what is left of its process group goes too.

        Returns:
            The exit status; None if it was never started.
        """
        if self._popen is None:
            return None
        if self.running:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)  # a stopped process would never see SIGTERM
        return self._reap(grace)

    def tail(self, size: int = 2000) -> str:
        """The end of the program's log."""
        try:
            return self.log.read_bytes()[-size:].decode("utf-8", "replace").strip()
        except OSError:
            return ""

    def _popen_status(self) -> int | None:
        return self._popen.returncode if self._popen else None

    def _reap(self, grace: float) -> int:
        assert self._popen is not None
        try:
            status = self._popen.wait(grace)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            status = self._popen.wait(5.0)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._guard.drop("pid", self.pid)
        return status
