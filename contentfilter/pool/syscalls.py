"""Numbers of the system calls that a worker may make, on the processors that we know.

They differ from one kind of processor to the next, and Python has no table of them. Sources: the kernel's
``arch/x86/entry/syscalls/syscall_64.tbl`` and ``include/uapi/asm-generic/unistd.h``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Machine:
    """One kind of processor.

    Arguments:
        audit: what the kernel calls it when it asks a filter (``AUDIT_ARCH_...``, linux/audit.h).
        seccomp: number of the call that sets a filter.
        free: calls that a worker may make as it likes; they reach nothing but itself and what it has open.
        guarded: calls whose arguments are looked at, by name.
    """

    audit: int
    seccomp: int
    free: tuple[int, ...]
    guarded: Mapping[str, int]


_FREE = """
name              x86_64 aarch64
read                   0      63
write                  1      64
close                  3      57
stat                   4       -
fstat                  5      80
lstat                  6       -
poll                   7       -
lseek                  8      62
mmap                   9     222
mprotect              10     226
munmap                11     215
brk                   12     214
rt_sigaction          13     134
rt_sigprocmask        14     135
rt_sigreturn          15     139
pread64               17      67
readv                 19      65
writev                20      66
access                21       -
select                23       -
sched_yield           24     124
mremap                25     216
mincore               27     232
madvise               28     233
dup                   32      23
dup2                  33       -
nanosleep             35     101
getpid                39     172
recvmsg               47     212
exit                  60      93
uname                 63     160
getcwd                79      17
readlink              89       -
gettimeofday          96     169
getrlimit             97     163
getrusage             98     165
sysinfo               99     179
times                100     153
getuid               102     174
getgid               104     176
geteuid              107     175
getegid              108     177
getppid              110     173
getresuid            118     148
getresgid            120     150
rt_sigpending        127     136
sigaltstack          131     132
setrlimit            160     164
gettid               186     178
time                 201       -
futex                202      98
sched_getaffinity    204     123
getdents64           217      61
restart_syscall      219     128
fadvise64            221     223
clock_gettime        228     113
clock_getres         229     114
clock_nanosleep      230     115
exit_group           231      94
newfstatat           262      79
readlinkat           267      78
faccessat            269      48
pselect6             270      72
ppoll                271      73
set_robust_list      273      99
dup3                 292      24
preadv               295      69
getcpu               309     168
getrandom            318     278
membarrier           324     283
statx                332     291
rseq                 334     293
faccessat2           439     439
"""

_GUARDED = """
name              x86_64 aarch64
open                   2       -
ioctl                 16      29
kill                  62     129
fcntl                 72      25
tgkill               234     131
openat               257      56
prlimit64            302     261
"""


def this_machine() -> Machine | None:
    """The machine this process runs on; None if its numbers are not known here."""
    if sys.maxsize < 1 << 32 or sys.byteorder != "little":
        return None
    match os.uname().machine:
        case "x86_64":
            return _machine(0xC000003E, 317, 1)
        case "aarch64":
            return _machine(0xC00000B7, 277, 2)
        case _:
            return None


def _machine(audit: int, seccomp: int, column: int) -> Machine:
    return Machine(audit, seccomp, tuple(_numbers(_FREE, column).values()), _numbers(_GUARDED, column))


def _numbers(table: str, column: int) -> dict[str, int]:
    rows = (line.split() for line in table.strip().splitlines()[1:])
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}
