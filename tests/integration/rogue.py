"""A scanner that does what its message says: stands in for a parser that a mail has taken over."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import resource
import signal
import stat
import struct
import sys
import time

from contentfilter.analysis import Knowledge
from contentfilter.content.results import ScanResult
from contentfilter.pool.frames import Done
from contentfilter.pool.messages import Task, encode
from mailbase.vocabulary import Finding
from tests.integration import mischief

UNWANTED = ("twisted", "pydantic", "yaml", "dns", "oletools")
"""Modules that are large and that scan workers do without."""

hoard: list[bytes] = []


def answer_pipe() -> int:
    """The descriptor that answers go to: a pipe, and not the one of standard error."""
    log = os.fstat(2).st_ino
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            status = os.fstat(fd)
            if stat.S_ISFIFO(status.st_mode) and status.st_ino != log:
                return fd
    raise LookupError


def facts() -> str:
    """What this process has."""
    names = ("CORE", "FSIZE", "NOFILE", "AS", "NPROC")
    found = [f"{name}={resource.getrlimit(getattr(resource, 'RLIMIT_' + name))[0]}" for name in names]
    # What a scan worker loads; this one could do without.
    importlib.import_module("contentfilter.pool.scanning")
    modules = [name for name in UNWANTED if name in sys.modules]
    descriptors = 0
    for fd in range(64):
        with contextlib.suppress(OSError):
            os.fstat(fd)
            descriptors += 1
    garbage = f"{gc.isenabled()},{gc.get_freeze_count() > 10_000}"
    facts = [f"modules={','.join(modules)}", f"pid={os.getpid()}", f"gc={garbage}", f"fds={descriptors}"]
    return " ".join([*found, *facts])


def scan(task: Task, descriptor: int, knowledge: Knowledge) -> ScanResult:
    data = task.content or os.pread(descriptor, task.size, 0)
    order, _, argument = data[:200].partition(b" ")
    match order:
        case b"loop":
            while True:
                pass
        case b"sleep":
            time.sleep(float(argument))
        case b"allocate":
            while True:
                hoard.append(bytes(16 << 20))
        case b"hoard":
            hoard.append(bytes(int(argument)))
        case b"segfault":
            ctypes.string_at(0)
        case b"exit":
            os._exit(int(argument))
        case b"kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"raise":
            raise ValueError(f"the mail says: {data!r}")
        case b"garbage":
            os.write(answer_pipe(), struct.pack(">I", 5) + b"hello")
            time.sleep(60)
        case b"huge":
            os.write(answer_pipe(), struct.pack(">I", 1 << 31))
            with contextlib.suppress(OSError):
                while True:
                    os.write(answer_pipe(), bytes(65536))
        case b"half":
            os.write(answer_pipe(), encode(Done(ScanResult()))[:9])
            os._exit(0)
        case b"stall":
            os.write(answer_pipe(), encode(Done(ScanResult()))[:9])
            time.sleep(60)
        case b"twice":
            os.write(answer_pipe(), encode(Done(ScanResult())) * 2)
        case b"invent":
            os.write(answer_pipe(), encode(Done(ScanResult((Finding("a lie"),)))))
            time.sleep(60)
        case b"print":
            sys.stdout.write("to standard output\n" * 3)
            sys.stdout.flush()
            sys.stdin.read()
        case b"scream":
            with contextlib.suppress(OSError):
                for _ in range(2000):
                    os.write(2, b"A" * 1000 + b"\n")
        case b"mischief":
            done = " ".join(sorted(mischief.do(data.partition(b" ")[2].decode())))
            return ScanResult((Finding("virus", "", f"{os.getpid()} {done[:280]}"),))
        case b"facts":
            return ScanResult((Finding("virus", "", facts()[:290]),))
    return ScanResult((Finding("virus", task.name, f"{len(data)} {os.getpid()}"),), (), 1)
