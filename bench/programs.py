"""The load generators and null servers in C: compiled once, started, ended."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from postwarden.sandbox.guard import Guard
from postwarden.sandbox.ports import answers
from postwarden.sandbox.processes import Process

SOURCES = Path(__file__).parent / "c"
NAMES = ("policyload", "smtpload", "smtpsink", "nullpolicy", "nullproxy")


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
        self._guard = guard
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

    def command(self, name: str, port: int, *command: object) -> Process:
        """Start any server that is to listen on ``port``."""
        process = Process(name, [str(word) for word in command], self._folder / f"{name}.log", self._guard)
        process.start(lambda: answers(port))
        return process

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
