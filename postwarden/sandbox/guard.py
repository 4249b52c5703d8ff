"""A guard that ends what a sandbox started, even when the sandbox's own process dies by SIGKILL.

It runs as a process of its own (``python -m postwarden.sandbox.guard``) and reads from a pipe what to watch:
``pid N``, ``master FILE`` (a Postfix master's pid file), ``tree FOLDER``; ``drop …`` takes one back. End of
file means that the sandbox is gone, in whatever way: then the processes are ended and our folders removed.
Process ids are reused by the kernel, so each is kept with its start time.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
MARK = ".postwarden-sandbox"
"""File that stands in every folder the guard may remove."""


class Guard:
    """The sandbox's end of the pipe."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "postwarden.sandbox.guard"], stdin=subprocess.PIPE, start_new_session=True
        )

    def watch(self, kind: str, what: object) -> None:
        """End ``what`` if we die: a ``pid``, a ``master`` pid file, or a ``tree``."""
        self._send(f"{kind} {what}")

    def drop(self, kind: str, what: object) -> None:
        """``what`` is gone in good order."""
        self._send(f"drop {kind} {what}")

    def close(self) -> None:
        """End the guard, and with it whatever is still watched."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process.wait(timeout=4 * GRACE)

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        if self._process.stdin.closed:
            # What it watched went with it.
            return
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()


def start_time(pid: int) -> str | None:
    """When process ``pid`` was started, in the kernel's ticks; None if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def end(pid: int, started: str, grace: float = GRACE) -> None:
    """End process ``pid`` with its group: SIGTERM, after ``grace`` seconds SIGKILL."""
    if start_time(pid) != started:
        return
    deadline = time.monotonic() + grace
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        while start_time(pid) == started and time.monotonic() < deadline:
            time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if pid != os.getpgrp():
            os.killpg(pid, signal.SIGKILL)


def master_pid(pid_file: Path) -> int | None:
    """The process id in a Postfix master's pid file."""
    try:
        return int(pid_file.read_text())
    except (OSError, ValueError):
        return None


def remove_tree(folder: Path) -> None:
    """Remove a sandbox's folder; anything without our mark in it stays."""
    if (folder / MARK).is_file():
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Read the pipe to its end, then clean up."""
    watched: dict[tuple[str, str], str] = {}
    for line in sys.stdin:
        words = line.rstrip("\n").split(" ", 2)
        if words[0] == "drop":
            watched.pop((words[1], words[2]), None)
        else:
            kind, what = line.rstrip("\n").split(" ", 1)
            watched[kind, what] = (start_time(int(what)) or "") if kind == "pid" else ""
    for (kind, what), started in watched.items():
        if kind == "pid":
            end(int(what), started)
        elif kind == "master" and (pid := master_pid(Path(what))) and (seen := start_time(pid)):
            end(pid, seen)
    for kind, what in watched:
        if kind == "tree":
            remove_tree(Path(what))
    return 0


if __name__ == "__main__":
    sys.exit(main())
