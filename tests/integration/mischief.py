"""What a parser that a mail has taken over would try next."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import resource
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

_libc = ctypes.CDLL(None, use_errno=True)

CALLS = frozenset({"seccomp filter"})
FILES = frozenset({"Landlock"})
BOTH = CALLS | FILES


@dataclass(frozen=True)
class Targets:
    """Whom it would harm.

    Arguments:
        folder: of the quarantine.
        file: a mail in it.
        socket: that somebody listens on.
        pid: of the daemon.
    """

    folder: str
    file: str
    socket: str
    pid: int


def _open(path: str, flags: int = os.O_RDONLY) -> None:
    os.close(os.open(path, flags))


def _connect(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def _fork() -> None:
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _spawn() -> None:
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


def _thread() -> None:
    thread = threading.Thread(target=int)
    try:
        thread.start()
    except RuntimeError as error:
        raise PermissionError from error
    thread.join()


def _raw(*numbers: int) -> None:
    if _libc.syscall(*(ctypes.c_long(number) for number in numbers)) < 0:
        code = ctypes.get_errno()
        raise PermissionError if code == errno.ENOSYS else OSError(code, "syscall")


def _read_memory(pid: int) -> None:
    """Read from the daemon's memory, at an address that both have: processes started alike."""
    data = ctypes.create_string_buffer(8)
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(data), 8)
    if _libc.process_vm_readv(pid, vector, 1, vector, 1, 0) < 0 and ctypes.get_errno() != 14:
        raise PermissionError


def _attach(pid: int) -> None:
    if _libc.ptrace(16, pid, None, None) < 0:
        raise PermissionError
    _libc.ptrace(17, pid, None, None)


def _own_signals(pid: int) -> None:
    reading, writing = os.pipe()
    try:
        fcntl.fcntl(reading, fcntl.F_SETOWN, pid)
    finally:
        os.close(reading)
        os.close(writing)


def _own_log(pid: int) -> None:
    fcntl.fcntl(2, fcntl.F_SETOWN, pid)


def _more_memory() -> None:
    try:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except ValueError as error:
        raise PermissionError from error


LIMITS = frozenset({"limits"})
"""Which are never missing."""

_MISCHIEF: dict[str, tuple[frozenset[str], Callable[[Targets], object]]] = {
    "inet-socket": (CALLS, lambda _: socket.socket().close()),
    "unix-connect": (CALLS, lambda targets: _connect(targets.socket)),
    "socketpair": (CALLS, lambda _: socket.socketpair()),
    "netlink": (CALLS, lambda _: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()),
    "io-uring": (CALLS, lambda _: _raw(425, 0, 0)),
    "read": (FILES, lambda targets: _open(targets.file)),
    "list": (FILES, lambda targets: os.listdir(targets.folder)),
    "list-root": (FILES, lambda _: os.listdir("/")),
    "passwd": (FILES, lambda _: _open("/etc/passwd")),
    "daemon-memory-file": (FILES, lambda targets: _open(f"/proc/{targets.pid}/mem")),
    "own-memory-file": (BOTH, lambda _: _open("/proc/self/mem", os.O_RDWR)),
    "write": (BOTH, lambda targets: _open(targets.file, os.O_WRONLY)),
    "append": (BOTH, lambda targets: _open(targets.file, os.O_WRONLY | os.O_APPEND)),
    "truncate": (BOTH, lambda targets: os.truncate(targets.file, 0)),
    "create": (BOTH, lambda targets: _open(targets.folder + "/new", os.O_WRONLY | os.O_CREAT)),
    "temporary": (BOTH, lambda targets: _open(targets.folder, os.O_RDWR | os.O_TMPFILE)),
    "mkdir": (BOTH, lambda targets: os.mkdir(targets.folder + "/d")),
    "link": (BOTH, lambda targets: os.link(targets.file, targets.folder + "/l")),
    "symlink": (BOTH, lambda targets: os.symlink("x", targets.folder + "/s")),
    "rename": (BOTH, lambda targets: os.rename(targets.file, targets.file + "x")),
    "unlink": (BOTH, lambda targets: os.unlink(targets.file)),
    "chmod": (CALLS, lambda targets: os.chmod(targets.folder, 0o777)),
    "utime": (CALLS, lambda targets: os.utime(targets.folder)),
    "fork": (CALLS, lambda _: _fork()),
    "spawn": (CALLS, lambda _: _spawn()),
    "thread": (CALLS, lambda _: _thread()),
    "ptrace": (BOTH, lambda targets: _attach(targets.pid)),
    "daemon-memory": (BOTH, lambda targets: _read_memory(targets.pid)),
    "kill": (CALLS, lambda targets: os.kill(targets.pid, 0)),
    "kill-all": (CALLS, lambda targets: os.kill(-1, 0)),
    "pidfd": (CALLS, lambda targets: _raw(434, targets.pid, 0)),
    "own-signals": (CALLS, lambda targets: _own_signals(targets.pid)),
    "own-log": (CALLS, lambda targets: _own_log(targets.pid)),
    "daemon-limits": (CALLS, lambda targets: resource.prlimit(targets.pid, resource.RLIMIT_CORE)),
    "more-memory": (LIMITS, lambda _: _more_memory()),
    "memfd": (CALLS, lambda _: os.close(os.memfd_create("x"))),
    "unshare": (CALLS, lambda _: _raw(272, 0x10000000)),
    "keys": (CALLS, lambda _: _raw(250, 0, -3, 1)),
    "chdir": (CALLS, lambda targets: os.chdir(targets.folder)),
    "nice": (CALLS, lambda _: os.nice(0)),
    "exec": (BOTH, lambda _: os.execv("/nonexistent", ["x"])),
}
GUARDS = {name: guards for name, (guards, _) in _MISCHIEF.items()}
"""What of the confinement keeps a worker from it; each alone would do."""


def do(targets: str) -> list[str]:
    """Do what can be done; returns what could be."""
    aims = Targets(**json.loads(targets))
    done = []
    for name, (_, attempt) in _MISCHIEF.items():
        try:
            attempt(aims)
        except (PermissionError, BlockingIOError):
            continue
        except OSError:
            # It was looked at and failed for another reason, so nothing kept the worker from it.
            pass
        done.append(name)
    return done
