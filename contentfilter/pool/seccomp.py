"""The system calls a worker may make: those that read what it has open, compute and answer, and no other.

No sockets, no processes, no programs, no signals to others, nothing that changes a file. A call that is not
allowed fails with EPERM and does no harm to a parser that tried it in good faith.

The filter is a program for the kernel's packet filter machine (seccomp(2), linux/bpf_common.h), which is so
simple that it is put together here: load a word of the call, compare, jump forwards.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
import termios
from collections.abc import Sequence
from typing import TypeAlias

from contentfilter.pool.syscalls import Machine, this_machine

Instruction: TypeAlias = tuple[int, int, int, int]
"""Code, how far to jump if true, if false, operand."""

_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Where they stand in struct seccomp_data (linux/seccomp.h)."""
_SET_FILTER, _ALL_THREADS = 1, 1
_CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CONTROLS = (fcntl.F_DUPFD, fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL, fcntl.F_DUPFD_CLOEXEC)
"""What a worker may do with its descriptors. By F_SETOWN and F_SETSIG the kernel would send any signal to any
process of the same user."""
_QUESTIONS = (termios.TCGETS, termios.FIOCLEX)
"""What Python asks of whatever it opens."""

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def forbid_calls(pid: int) -> bool:
    """Forbid this process, for good, all calls that a worker does not need.

    Arguments:
        pid: of this process; no other gets a signal.

    Returns:
        Whether the kernel granted it; it asks for no_new_privs first.
    """
    machine = this_machine()
    return machine is not None and install(machine, program(machine, pid))


def install(machine: Machine, instructions: Sequence[Instruction]) -> bool:
    """Put a filter in force for this process; returns whether the kernel granted it."""
    code = b"".join(struct.pack("<HBBI", *instruction) for instruction in instructions)
    held = ctypes.create_string_buffer(code, len(code))
    argument = _Program(len(instructions), ctypes.addressof(held))
    call = _libc.syscall
    return bool(call(machine.seccomp, _SET_FILTER, _ALL_THREADS, ctypes.byref(argument)) == 0)


def program(machine: Machine, pid: int) -> list[Instruction]:
    """The filter for a worker; see :func:`forbid_calls`."""
    guards = {
        "open": _without_bits(1, _CHANGES),
        "openat": _without_bits(2, _CHANGES),
        "ioctl": _one_of(1, _QUESTIONS),
        "fcntl": _one_of(1, _CONTROLS),
        "kill": _one_of(0, (pid,)),
        "tgkill": _one_of(0, (pid,)),
        "prlimit64": _one_of(0, (0, pid)),
    }
    made: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        # The same number is another call to a program for another processor.
        (_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    for name, number in machine.guarded.items():
        made += [(_EQUAL, 0, len(guards[name]), number), *guards[name]]
    last = len(machine.free)
    made += [(_EQUAL, last - place, 0, number) for place, number in enumerate(machine.free)]
    return [*made, (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]


def _one_of(argument: int, values: Sequence[int]) -> list[Instruction]:
    """Allow a call whose argument is one of ``values``; all that are compared are ints to the kernel."""
    compared = [(_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]
    return [_load(argument), *compared, (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]


def _without_bits(argument: int, bits: int) -> list[Instruction]:
    """Allow a call whose argument has none of ``bits``."""
    return [_load(argument), (_ANY_BIT, 0, 1, bits), (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]


def _load(argument: int) -> Instruction:
    """The lower half of an argument: ``program`` is for little-endian machines alone."""
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * argument)
