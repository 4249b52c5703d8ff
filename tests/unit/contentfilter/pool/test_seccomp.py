"""The filter of system calls, run by a small packet filter machine: also for processors that are not here."""

from __future__ import annotations

import errno
import os
import struct
from types import SimpleNamespace

import pytest

from contentfilter.pool import syscalls
from contentfilter.pool.seccomp import Instruction, program
from contentfilter.pool.syscalls import Machine, this_machine

OURS, DAEMON = 4711, 815
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000


def machine_of(name: str, monkeypatch: pytest.MonkeyPatch) -> Machine | None:
    monkeypatch.setattr(syscalls.os, "uname", lambda: SimpleNamespace(machine=name))  # type: ignore[attr-defined]
    return this_machine()


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = machine_of(request.param, monkeypatch)
    assert found is not None
    return found


def run(instructions: list[Instruction], audit: int, number: int, *arguments: int) -> int:
    """What the kernel would do with a call (seccomp(2): a filter ends at a return)."""
    values = (*arguments, *(0,) * (6 - len(arguments)))
    data = struct.pack("<IIQ6Q", number, audit, 0, *(value % 2**64 for value in values))
    word = at = 0
    while True:
        code, if_true, if_false, operand = instructions[at]
        at += 1
        match code:
            case 0x20:
                (word,) = struct.unpack_from("<I", data, operand)
            case 0x15:
                at += if_true if word == operand else if_false
            case 0x45:
                at += if_true if word & operand else if_false
            case 0x06:
                return operand
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def test_the_kernel_takes_the_program(machine: Machine) -> None:
    instructions = program(machine, OURS)
    assert len(instructions) <= 4096
    for at, (_, if_true, if_false, operand) in enumerate(instructions):
        assert 0 <= if_true < 256
        assert 0 <= if_false < 256
        assert at + 1 + max(if_true, if_false) < len(instructions) or instructions[at][0] == 0x06
        assert 0 <= operand < 2**32


def test_only_what_is_listed_is_allowed(machine: Machine) -> None:
    instructions = program(machine, OURS)
    guarded = set(machine.guarded.values())
    assert not guarded & set(machine.free)
    for number in [*range(600), 0x40000000, 0x40000001, 2**32 - 1]:
        if number not in guarded:
            expected = ALLOW if number in machine.free else REFUSE
            assert run(instructions, machine.audit, number) == expected, number


def test_a_program_for_another_processor_is_killed(machine: Machine) -> None:
    # The numbers of 32 bit x86 mean other calls; 0x40000003 is AUDIT_ARCH_I386.
    assert run(program(machine, OURS), 0x40000003, 1) == KILL


@pytest.mark.parametrize(
    ("name", "arguments", "allowed"),
    [
        ("openat", (-100, 0, os.O_RDONLY | os.O_CLOEXEC), True),
        ("openat", (-100, 0, os.O_WRONLY), False),
        ("openat", (-100, 0, os.O_RDWR), False),
        ("openat", (-100, 0, os.O_RDONLY | os.O_CREAT), False),
        ("openat", (-100, 0, os.O_RDONLY | os.O_TRUNC), False),
        ("openat", (-100, 0, os.O_TMPFILE | os.O_RDWR), False),
        ("open", (0, os.O_RDONLY), True),
        ("open", (0, os.O_WRONLY), False),
        ("kill", (OURS, 9), True),
        ("kill", (DAEMON, 9), False),
        ("kill", (-1, 9), False),
        ("kill", (0, 9), False),
        ("kill", (-OURS, 9), False),
        ("tgkill", (OURS, OURS, 6), True),
        ("tgkill", (DAEMON, DAEMON, 9), False),
        ("prlimit64", (0, 9), True),
        ("prlimit64", (OURS, 9), True),
        ("prlimit64", (DAEMON, 9), False),
        ("fcntl", (1, 1030), True),
        ("fcntl", (1, 4), False),
        ("fcntl", (1, 8, DAEMON), False),
        ("fcntl", (1, 10, 9), False),
        ("fcntl", (1, 15), False),
        ("ioctl", (0, 0x5401), True),
        ("ioctl", (0, 0x5412), False),
        ("ioctl", (0, 0x8901, DAEMON), False),
    ],
)
def test_arguments_are_looked_at(
    machine: Machine, name: str, arguments: tuple[int, ...], allowed: bool
) -> None:
    if name not in machine.guarded:
        assert name == "open"
        return
    # What stands above the 32 bits that the kernel looks at changes nothing.
    for high in (0, 1 << 32):
        values = tuple(value + high for value in arguments)
        answer = run(program(machine, OURS), machine.audit, machine.guarded[name], *values)
        assert answer == (ALLOW if allowed else REFUSE)


def test_other_processors_are_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine_of("riscv64", monkeypatch) is None
