"""The load generators and null servers in C: compiled once, started, ended."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from postwarden.sandbox.guard import Guard
from postwarden.sandbox.ports import answers
from postwarden.sandbox.processes import Process

SOURCES = Path(__file__).parent / "c"
NAMES = ("policyload", "smtpload", "smtpsink", "nullpolicy", "nulldns", "nullproxy")


def asked(port: int, timeout: float) -> bool:
    """Whether a DNS server on loopback answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
        query.settimeout(timeout)
        # Id 1, recursion desired, one question: x. A IN.
        query.sendto(b"\0\1\1\0\0\1\0\0\0\0\0\0\1x\0\0\1\0\1", ("127.0.0.1", port))
        try:
            return len(query.recv(512)) > 12
        except OSError:
            return False


class CompilerMissing(Exception):
    """There is no C compiler."""


class Programs:
    """The compiled programs.

    Arguments:
        folder: for programs and logs.
        guard: ends servers should we die.
    """

    def __init__(self, folder: Path, guard: Guard) -> None:
        self._folder = folder
        self.guard = guard
        folder.mkdir(parents=True, exist_ok=True)
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise CompilerMissing("no C compiler found (on Debian: apt-get install gcc libc6-dev)")
        for name in NAMES:
            source, program = SOURCES / f"{name}.c", folder / name
            if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
                subprocess.run([compiler, "-O2", "-pthread", "-o", program, source], check=True)

    def server(self, name: str, port: int, *arguments: object) -> Process:
        """Start a server program of ours on ``port``; returns when it accepts connections."""
        return self.command(name, port, self._folder / name, port, *arguments)

    def command(
        self, name: str, port: int, *command: object, ready: Callable[[], bool] | None = None
    ) -> Process:
        """Start any server that is to listen on ``port``.

        Arguments:
            ready: whether it answers; where it is no TCP server.
        """
        process = Process(name, [str(word) for word in command], self._folder / f"{name}.log", self.guard)
        process.start(ready or (lambda: answers(port)))
        return process

    def null_twisted(self, port: int, stack: ExitStack) -> int:
        """Start the null server in Twisted; returns its port."""
        script = Path(__file__).with_name("nulltwisted.py")
        stack.callback(self.command("nulltwisted", port, sys.executable, script, port).stop)
        return port

    def nameserver(self, port: int, delay_ms: int) -> Process:
        """Start a DNS server that answers everything after ``delay_ms``."""
        program = self._folder / "nulldns"
        return self.command(f"nulldns-{port}", port, program, port, delay_ms, ready=lambda: asked(port, 1.0))

    def load(self, name: str, *arguments: object, deadline: float = 600.0) -> dict:
        """Run a load generator to its end; returns what it measured."""
        done = subprocess.run(
            [str(self._folder / name), *map(str, arguments)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=deadline,
        )
        if not done.stdout.strip():
            raise RuntimeError(f"{name} {arguments[:6]}: {done.stderr.strip() or done.returncode}")
        return json.loads(done.stdout.splitlines()[-1])
