"""What a worker gives up before it touches foreign bytes: privileges, the network, memory, time, files.

Everything here is done by the worker to itself, after its libraries are loaded. What the kernel does not
grant (a container may forbid namespaces) is returned in words and said in the log; the limits on memory and
time, and the death with the daemon, are never optional. The network is shut twice, by a namespace without one
and by the refusal of sockets, since either may be missing.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import time

from contentfilter.pool.landlock import forbid_files
from contentfilter.pool.seccomp import forbid_calls

OPEN_FILES = 64
"""Descriptors a worker may have; it needs a handful, the message, and now and then a module file."""

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class Orphaned(Exception):
    """The daemon is gone already."""


class _CapHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapData(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def confine(memory: int, parent: int) -> list[str]:
    """Confine this process for good.

    Arguments:
        memory: octets of address space.
        parent: process id of the daemon.

    Returns:
        What the kernel did not grant, in words.

    Raises:
        Orphaned: the daemon ended in the meantime.
        OSError: a limit that must be there cannot be set.
    """
    missing = []
    if not _leave_network():
        missing.append("network namespace")
    # A new user namespace gives all capabilities inside it; a daemon run as root has them anyway.
    if not _drop_capabilities():
        missing.append("dropping capabilities")
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        missing.append("no_new_privs")
    if not hide_memory():
        missing.append("hidden memory")
    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_AS, memory),
    ):
        resource.setrlimit(kind, (limit, limit))
    # After all that changes credentials, since those clear it (prctl(2)).
    if _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        raise Orphaned(f"the daemon, process {parent}, is gone")
    if not forbid_files():
        missing.append("Landlock")
    # The last, since it forbids all of the above.
    if not forbid_calls(os.getpid()):
        missing.append("seccomp filter")
    return missing


def hide_memory() -> bool:
    """Keep this process's memory from other processes of the same user, and out of core files.

    It holds mail. The daemon does it too: a worker taken over by a mail must not attach to it as a debugger.

    Returns:
        Whether the kernel granted it.
    """
    return bool(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)


class CpuTime:
    """How much processor time this process may use; SIGXCPU ends it then.

    Arguments:
        seconds: for each task.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._limit = -1

    def allow(self) -> None:
        """Let this process use so many seconds from now on.

        The kernel counts over the whole life of the process, in whole seconds: most tasks find the limit
        where it should be.
        """
        limit = math.ceil(time.process_time() + self._seconds)
        if limit == self._limit:
            return
        self._limit = limit
        _soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))


class AddressSpace:
    """How much this process uses, which is what the memory limit counts (proc(5), statm).

    Opened before the process is confined, which takes /proc away.
    """

    def __init__(self) -> None:
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    def used(self) -> int:
        """Octets."""
        return int(os.pread(self._statm, 64, 0).split()[0]) * resource.getpagesize()


def _leave_network() -> bool:
    """Into a network namespace of our own, where not even loopback is up."""
    if _libc.unshare(_CLONE_NEWNET) == 0:
        return True
    # Without CAP_SYS_ADMIN it takes a user namespace of our own as well.
    return bool(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def _drop_capabilities() -> bool:
    header = _CapHeader(_CAPABILITY_VERSION_3, 0)
    nothing = (_CapData * 2)()
    return bool(_libc.capset(ctypes.byref(header), ctypes.byref(nothing)) == 0)
