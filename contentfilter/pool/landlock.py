"""The files a worker may open: Python's own and the system's libraries, to read.

Parsers import modules when they first need them, so a worker cannot do without files. Landlock (landlock(7),
linux/landlock.h) leaves it those folders and takes away the rest: configuration, quarantine, spool, other
processes' files in /proc. It also keeps signals and abstract sockets within the worker, where the kernel is
new enough.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import sysconfig
from collections.abc import Iterable

import contentfilter
import mailbase

_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""The calls' numbers, the same on all machines."""
_ASK_VERSION = 1
_BENEATH = 1
_READ = 1 << 2 | 1 << 3
"""To read a file, and to list a folder."""
_READ_FILE = 1 << 2
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""Kinds of access to files that a version knows, each a bit."""
_SCOPES = 6
"""The version from which on signals and abstract sockets can be kept in, two bits."""
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
_RANDOM = ("/dev/urandom", "/dev/random")
"""qpdf decrypts nothing without."""

_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("access", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def forbid_files() -> bool:
    """Leave this process no files but :func:`libraries`, to read.

    Returns:
        Whether the kernel granted it; it asks for no_new_privs first.
    """
    version = _libc.syscall(_CREATE, None, ctypes.c_size_t(0), _ASK_VERSION)
    if version < 1:
        return False
    rights = (1 << _RIGHTS.get(version, max(_RIGHTS.values()))) - 1
    rules = _Ruleset(rights, 0, 0b11 if version >= _SCOPES else 0)
    # An older kernel knows a shorter structure, and takes a longer one if the rest is zero.
    ruleset = _libc.syscall(_CREATE, ctypes.byref(rules), ctypes.c_size_t(ctypes.sizeof(rules)), 0)
    if ruleset < 0:
        return False
    try:
        for path in libraries():
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                _allow(ruleset, path)
        return bool(_libc.syscall(_RESTRICT, ruleset, 0) == 0)
    except OSError:
        return False
    finally:
        os.close(ruleset)


def libraries() -> frozenset[str]:
    """Folders and files from which Python loads code, and chance; never the daemon's own folder."""
    python = sysconfig.get_paths()
    folders = {python[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {os.path.join(prefix, "lib") for prefix in (sys.base_prefix, sys.base_exec_prefix)}
    return frozenset({*folders, *_packages(contentfilter.__path__, mailbase.__path__), *_SYSTEM, *_RANDOM})


def _packages(*paths: Iterable[str]) -> Iterable[str]:
    return (os.path.abspath(folder) for path in paths for folder in path)


def _allow(ruleset: int, path: str) -> None:
    folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _Beneath(_READ if os.path.isdir(path) else _READ_FILE, folder)
        if _libc.syscall(_ADD, ruleset, _BENEATH, ctypes.byref(rule), 0) != 0:
            raise OSError(ctypes.get_errno(), "landlock_add_rule", path)
    finally:
        os.close(folder)
