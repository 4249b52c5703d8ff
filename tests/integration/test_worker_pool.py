"""The scan pool with real processes, attacked by a scanner that obeys its mail."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pikepdf
import pytest
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import deferLater

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.content.scan import scan_document
from contentfilter.pool.messages import Task
from contentfilter.pool.pool import Pool
from contentfilter.pool.process import MAX_LOG_LINES, ProcessLauncher
from contentfilter.pool.worker import Settings
from mailbase.config.flows import FINDING_NAMES
from mailbase.logs import Log
from tests.integration import mischief
from tests.samples import office
from tests.samples.pdf import pdf
from tests.samples.written import written

pytestmark = pytest.mark.integration

MEMORY = 512 << 20
DESCRIPTORS = 7
"""Of a worker at work: 0 to 2, task socket, answer pipe, the count of its memory, and the mail."""


@dataclass
class Limits:
    count: int = 1
    max_tasks: int = 1000
    deadline: float = 10.0
    backlog: int = 10_000


class Fates:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def worker_ended(self, fate: str) -> None:
        self.seen.append(fate)


class Rig:
    """A pool on a reactor of its own, and what became of it."""

    def __init__(
        self, limits: Limits, cpu_time: float = 5.0, scan: str = "rogue:scan", knowledge: dict | None = None
    ) -> None:
        self.reactor = EPollReactor()
        self.output = io.StringIO()
        self.log = Log("test", stream=self.output, level="debug")
        self.fates = Fates()
        self.settings = Settings(os.getpid(), MEMORY, cpu_time, scan=scan, knowledge=knowledge or {})
        launcher = ProcessLauncher(self.reactor, self.settings, FINDING_NAMES, self.log)
        self.pool = Pool(self.reactor, limits, launcher, self.log, self.fates)

    async def tell(self, order: str, timeout: float | None = None) -> ScanResult | ScanFailed:
        """Have a worker scan a message that says ``order``."""
        fd = os.memfd_create("mail")
        os.write(fd, order.encode())
        return await self.pool.submit(Task("message", len(order), "name"), fd, timeout)

    def run(self, script: Callable[[], Awaitable[None]], timeout: float = 60.0) -> None:
        problems: list[BaseException] = []

        async def main() -> None:
            self.pool.start()
            await script()
            await self.pool.stop()

        def failed(failure) -> None:  # type: ignore[no-untyped-def]
            problems.append(failure.value)

        def begin() -> None:
            done = Deferred.fromCoroutine(main())
            done.addErrback(failed)
            done.addBoth(lambda _result: self.reactor.stop())

        self.reactor.callWhenRunning(begin)
        self.reactor.callLater(timeout, lambda: (problems.append(TimeoutError()), self.reactor.stop()))
        self.reactor.run()
        if problems:
            raise problems[0]


@pytest.fixture(autouse=True)
def rogue_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def worker_of(result: ScanResult | ScanFailed) -> int:
    """The process that made this result, which must be a good one."""
    assert isinstance(result, ScanResult), result
    return int(result.findings[0].detail.split()[1])


def test_a_worker_scans_and_is_used_again():
    rig = Rig(Limits())

    async def script() -> None:
        first = await rig.tell("hello")
        assert isinstance(first, ScanResult)
        assert (first.findings[0].name, first.findings[0].part, first.parts) == ("virus", "name", 1)
        assert first.findings[0].detail.split()[0] == "5"
        assert worker_of(await rig.tell("again")) == worker_of(first) != os.getpid()
        assert worker_of(await rig.tell("")) == worker_of(first)

    rig.run(script)
    assert rig.fates.seen == ["recycled"]


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ("segfault", "crashed"),
        ("exit 0", "crashed"),
        ("exit 3", "crashed"),
        ("kill", "crashed"),
        ("raise", "crashed"),
        ("allocate", "out-of-memory"),
        ("loop", "timed-out"),
        ("garbage", "protocol"),
        ("huge", "protocol"),
        ("half", "crashed"),
        ("invent", "protocol"),
    ],
)
def test_a_mail_that_breaks_its_worker_breaks_no_other(order, reason):
    rig = Rig(Limits(count=2), cpu_time=1.0)

    async def script() -> None:
        before = await rig.tell("hello")
        started = time.monotonic()
        # In flight beside the victim, on the other worker.
        beside = Deferred.fromCoroutine(rig.tell("sleep 1"))
        broken = await rig.tell(order)
        assert isinstance(broken, ScanFailed)
        assert (broken.scanner, broken.reason) == ("workers", reason)
        assert "says" not in broken.detail
        worker_of(await beside)
        for _ in range(4):
            worker_of(await rig.tell("hello"))
        assert time.monotonic() - started < 8
        assert worker_of(before)

    rig.run(script)
    assert len(rig.fates.seen) == 3
    assert sorted(rig.fates.seen)[-2:] == ["recycled", "recycled"]


@pytest.mark.parametrize("order", ["sleep 60", "stall"])
def test_the_deadline_ends_that_worker_alone(order):
    rig = Rig(Limits(count=2))

    async def script() -> None:
        # With one of them still starting, the mail would wait for the other and not be late itself.
        while rig.pool._crew.idle < 2:
            await deferLater(rig.reactor, 0.02, lambda: None)
        beside = Deferred.fromCoroutine(rig.tell("sleep 2"))
        started = time.monotonic()
        late = await rig.tell(order, timeout=1.0)
        assert isinstance(late, ScanFailed)
        assert late.reason == "timed-out"
        assert 0.9 < time.monotonic() - started < 1.8
        worker_of(await beside)
        worker_of(await rig.tell("hello"))

    rig.run(script)
    assert sorted(rig.fates.seen) == ["killed", "recycled", "recycled"]


def test_an_answer_too_many_is_no_answer_to_the_next_mail():
    rig = Rig(Limits())

    async def script() -> None:
        assert isinstance(await rig.tell("twice"), ScanFailed)
        for _ in range(3):
            worker_of(await rig.tell("hello"))

    rig.run(script)
    assert sorted(rig.fates.seen) == ["killed", "recycled"]


def test_a_chatty_library_disturbs_nothing_and_floods_no_log():
    rig = Rig(Limits())

    async def script() -> None:
        worker_of(await rig.tell("print"))
        worker_of(await rig.tell("scream"))
        worker_of(await rig.tell("hello"))

    rig.run(script)
    assert rig.output.getvalue().count("to standard output") == 3
    # What is still in the pipe when the next task begins counts for that.
    assert 0 < rig.output.getvalue().count("text=AAAA") <= 2 * MAX_LOG_LINES


def test_a_worker_has_nothing_it_does_not_need():
    rig = Rig(Limits())

    async def script() -> None:
        result = await rig.tell("facts")
        assert isinstance(result, ScanResult)
        facts = dict(item.partition("=")[::2] for item in result.findings[0].detail.split())
        assert facts["CORE"] == facts["FSIZE"] == "0"
        assert facts["AS"] == str(MEMORY)
        assert facts["NOFILE"] == "64"
        assert facts["NPROC"] == "0"
        # No event loop, no resolver, nothing that reads files, or that few mails need.
        assert facts["modules"] == ""
        # What was loaded at the start is never searched for garbage, what comes after is.
        assert facts["gc"] == "True,True"
        assert facts["fds"] == str(DESCRIPTORS)
        small = await rig.pool.scan(b"facts", 5)
        assert isinstance(small, ScanResult)
        assert small.findings[0].detail.endswith(f"fds={DESCRIPTORS - 1}")
        status = status_of(int(facts["pid"]))
        assert status["NoNewPrivs"] == "1"
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
        # Of variables only what says how glibc keeps memory.
        names = {"LANG", "PATH", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}
        assert environment_of(int(facts["pid"])) == names

    rig.run(script)


def test_rules_of_any_length_reach_a_worker_and_stand_on_no_command_line():
    # Linux takes no argument of 128 KiB; "ps" and "systemctl status" show what it takes.
    rig = Rig(Limits(), knowledge={"much": "rules, " * 100_000})

    async def script() -> None:
        pid = worker_of(await rig.tell("hello"))
        line = command_line(pid)
        assert b"rules, " not in line
        assert line.endswith(b"\0contentfilter.pool.worker\0")

    rig.run(script)


@pytest.mark.parametrize("scan", ["rogue:scan", "bare:scan"])
def test_a_worker_that_was_broken_into_can_do_no_mischief(scan, tmp_path):
    """With what this kernel grants, and as in a container that grants next to nothing."""
    rig = Rig(Limits(), scan=scan)
    (tmp_path / "kept.eml").write_text("somebody's mail")
    path = str(tmp_path / "control")
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(path)
        control.listen()
        targets = json.dumps(
            {"folder": str(tmp_path), "file": str(tmp_path / "kept.eml"), "socket": path, "pid": os.getpid()}
        )

        async def script() -> None:
            result = await rig.tell(f"mischief {targets}")
            assert isinstance(result, ScanResult), result
            pid, *done = result.findings[0].detail.split()
            missing = re.search(r'worker-confinement missing="?([^"\n]+)', rig.output.getvalue())
            assert missing is not None
            lacking = set(missing[1].split(", "))
            if scan == "bare:scan":
                assert lacking == {"network namespace", "Landlock", "seccomp filter"}
            # Each may be done only if nothing that would keep a worker from it was granted.
            assert {name for name in done if not mischief.GUARDS[name] <= lacking} == set()
            if not lacking:
                assert done == []
                assert (tmp_path / "kept.eml").read_text() == "somebody's mail"
                assert sorted(os.listdir(tmp_path)) == ["control", "kept.eml"]
            if "seccomp filter" not in lacking:
                assert status_of(int(pid))["Seccomp"] == "2"
            assert worker_of(await rig.tell("hello")) == int(pid)

        rig.run(script)


SAMPLES = {
    "macro": office.docm(),
    "binary": office.doc(),
    "macro that is damaged": office.damaged_project(),
    "locked workbook": office.encrypted_xls("VelvetSweatshop"),
    "locked document": office.encrypted_ooxml(office.docm(), "VelvetSweatshop"),
    "locked PDF": pdf(lock=pikepdf.Encryption(owner="owner", user="")),
    "locked away PDF": pdf(lock=pikepdf.Encryption(owner="owner", user="user")),
    "tape": written("pax", {"a.docm": office.docm()}, ("zstd",)),
    "7z": written("7zip", {"a.docm": office.docm()}),
}


def test_confinement_hides_nothing_from_the_scanners():
    rig = Rig(Limits(), scan="contentfilter.pool.scanning:scan")

    async def script() -> None:
        for name, data in SAMPLES.items():
            fd = os.memfd_create("document")
            os.write(fd, data)
            inside = await rig.pool.submit(Task("document", len(data), name), fd, None)
            outside = scan_document(name, data)
            assert isinstance(inside, ScanResult), name
            assert outside.findings or outside.unscanned, name
            assert (inside.findings, inside.unscanned) == (outside.findings, outside.unscanned)

    rig.run(script)


def command_line(pid: int) -> bytes:
    """The arguments of a process, each with a NUL behind it."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def environment_of(pid: int) -> set[str]:
    """Names of the variables that a process was started with."""
    variables = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return {variable.partition("=")[0] for variable in variables if variable}


def status_of(pid: int) -> dict[str, str]:
    """What the kernel tells about a process, from the outside."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_recycling_by_count_loses_no_task_and_makes_no_gap():
    rig = Rig(Limits(count=2, max_tasks=25))
    workers: set[int] = set()

    async def script() -> None:
        # A worker goes on until the one in its place has loaded its libraries.
        while len(workers) <= 3:
            orders = [Deferred.fromCoroutine(rig.tell(f"number {i}")) for i in range(500)]
            for _success, result in await DeferredList(orders):  # type: ignore[misc]
                workers.add(worker_of(result))

    rig.run(script)
    assert len(workers) > 3
    assert set(rig.fates.seen) == {"recycled"}
    assert "pause" not in rig.output.getvalue()


def test_a_worker_that_hoards_memory_is_replaced_before_it_hits_the_limit():
    rig = Rig(Limits())

    async def script() -> None:
        pids = [worker_of(await rig.tell(f"hoard {100 << 20}")) for _ in range(12)]
        assert len(set(pids)) > 2

    rig.run(script)
    assert set(rig.fates.seen) == {"recycled"}


def test_a_worker_killed_from_outside_is_replaced():
    rig = Rig(Limits())

    async def script() -> None:
        first = worker_of(await rig.tell("hello"))
        os.kill(first, signal.SIGKILL)
        await deferLater(rig.reactor, 0.2)
        second = worker_of(await rig.tell("hello"))
        assert second != first
        asleep = Deferred.fromCoroutine(rig.tell("sleep 30"))
        rig.reactor.callLater(0.5, os.kill, second, signal.SIGKILL)
        lost = await asleep
        assert isinstance(lost, ScanFailed)
        assert lost.reason == "crashed"
        worker_of(await rig.tell("hello"))

    rig.run(script)


def test_workers_that_cannot_start_are_tried_with_pauses():
    rig = Rig(Limits())
    nothing = Settings(os.getpid(), MEMORY, 1.0, scan="nothing:scan")
    rig.pool._crew._launcher._argument = nothing.encode()  # type: ignore[attr-defined]

    async def script() -> None:
        result = await rig.tell("hello", timeout=3.0)
        assert isinstance(result, ScanFailed)
        assert result.reason == "overload"

    rig.run(script)
    assert 2 <= len(rig.fates.seen) <= 8
    assert "ModuleNotFoundError" in rig.output.getvalue()


def test_ten_thousand_tasks_leak_no_descriptor():
    rig = Rig(Limits(count=2, max_tasks=4000))

    async def script() -> None:
        await rig.tell("hello")
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(10):
            await DeferredList([Deferred.fromCoroutine(rig.tell("hello")) for _ in range(1000)])
        inside = await rig.tell("facts")
        assert isinstance(inside, ScanResult)
        assert inside.findings[0].detail.endswith(f"fds={DESCRIPTORS}")
        # A worker on its way out or in holds three.
        assert len(os.listdir("/proc/self/fd")) <= before + 6

    rig.run(script)


def test_stopping_finishes_what_is_in_hand():
    rig = Rig(Limits())
    results: list[ScanResult | ScanFailed] = []

    async def script() -> None:
        for order in ("sleep 1", "hello"):
            Deferred.fromCoroutine(rig.tell(order)).addCallback(results.append)

    rig.run(script)
    assert [type(result) for result in results] == [ScanResult, ScanResult]


DAEMON = """
import os, sys, time
sys.path[:] = {path!r}
from pathlib import Path
from test_worker_pool import Limits, Rig
rig = Rig(Limits(count=2))
async def script():
    from twisted.internet.defer import Deferred
    await rig.tell("hello")
    await rig.tell("hello")
    Deferred.fromCoroutine(rig.tell("loop"))
    rig.reactor.callLater(0.5, print, *(m.pid for m in rig.pool._crew._members), flush=True)
    await Deferred()
rig.run(script)
"""


@pytest.fixture
def daemon() -> Iterator[subprocess.Popen[str]]:
    here = str(Path(__file__).parent)
    code = DAEMON.format(path=[here, *sys.path])
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_no_worker_outlives_a_killed_daemon(daemon):
    assert daemon.stdout is not None
    pids = [int(pid) for pid in daemon.stdout.readline().split()]
    assert len(pids) == 2
    daemon.kill()
    daemon.wait()
    deadline = time.monotonic() + 3
    while any(_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "a worker is still there"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
