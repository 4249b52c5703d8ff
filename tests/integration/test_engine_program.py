"""Real programs as virus engines, and what they may do to us: nothing."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import deferLater

from contentfilter.engines.program import MAX_FLOOD, MAX_OUTPUT, Ended, ProgramRunner
from postwarden.demo import samples
from postwarden.sandbox.client import Dialogue
from postwarden.sandbox.gateway import Gateway, Rewired, metric
from postwarden.sandbox.waiting import wait_until

ENGINE = """
import email, os, sys
content = open(sys.argv[1], "rb").read()
if b"X-Crash:" in content:
    os.kill(os.getpid(), 11)
parts = [part.get_payload(decode=True) or b"" for part in email.message_from_bytes(content).walk()]
infected = any(b"EICAR" in part for part in parts)
print(f"{sys.argv[1]}: Test.Virus FOUND" if infected else "nothing")
sys.exit(3 if infected else 0)
"""


@pytest.fixture
def perform():
    """Run a script on a reactor of its own, with a runner of programs."""

    def perform(script: Callable[[EPollReactor, ProgramRunner], Awaitable[None]]) -> None:
        reactor = EPollReactor()
        problems: list[BaseException] = []

        def begin() -> None:
            done = Deferred.fromCoroutine(script(reactor, ProgramRunner(reactor)))
            done.addErrback(lambda failure: problems.append(failure.value))
            done.addBoth(lambda _: reactor.stop())

        reactor.callWhenRunning(begin)
        reactor.run(installSignalHandlers=False)
        for problem in problems:
            raise problem

    return perform


def shell(runner: ProgramRunner, script: str, seconds: float = 20.0) -> Deferred[Ended]:
    with open(os.devnull, "rb") as nothing:
        return runner.run(["/bin/sh", "-c", script], nothing.fileno(), seconds)


def children() -> set[int]:
    """Processes of ours, the ended and not reaped among them."""
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def test_its_status_and_what_it_says(perform, tmp_path):
    async def script(reactor, runner):
        file = tmp_path / "mail"
        file.write_bytes(b"content")
        with file.open("rb") as stdin:
            ended = await runner.run(
                ["/bin/sh", "-c", "cat; echo; echo oops >&2; exit 3"], stdin.fileno(), 20
            )
        assert ended == Ended(3, b"content\noops\n")
        assert (await shell(runner, "kill -SEGV $$")).status == -11
        assert await shell(runner, "env | sort; pwd") == Ended(
            0,
            b"LANG=C.UTF-8\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/\n/\n",
        )
        ended = await shell(runner, "ls -l /proc/self/fd | wc -l")
        # Its three, the folder that it lists, and the line with the total.
        assert ended.output.strip() == b"5"
        with pytest.raises(OSError, match="No such file"):
            runner.run(["/nonexistent"], 0, 1)

    before = children()
    perform(script)
    assert children() == before


def test_one_that_does_not_end_is_killed_with_all_that_it_started(perform):
    async def script(reactor, runner):
        started = time.monotonic()
        ended = await shell(runner, "trap '' TERM INT HUP; sleep 99 & echo $!; sleep 99; sleep 99", 0.3)
        assert time.monotonic() - started < 5
        assert ended.stopped == "no end within 0.3 s"
        assert ended.status == -9
        grandchild = Path(f"/proc/{int(ended.output)}")
        await settled(reactor, lambda: not alive(grandchild))

    before = children()
    perform(script)
    assert children() == before


def test_what_it_leaves_running_is_killed_and_nobody_waits_for_it(perform):
    async def script(reactor, runner):
        started = time.monotonic()
        ended = await shell(runner, "sleep 99 & echo $!; exit 1")
        assert time.monotonic() - started < 5
        assert ended.status == 1
        assert ended.stopped == ""
        await settled(reactor, lambda: not alive(Path(f"/proc/{int(ended.output)}")))

    perform(script)


def test_a_flood_is_cut_and_then_ended(perform):
    async def script(_reactor, runner):
        ended = await shell(runner, f"head -c {MAX_OUTPUT * 3} /dev/zero; echo end; exit 1")
        assert ended == Ended(1, b"\0" * MAX_OUTPUT)
        ended = await shell(runner, "cat /dev/zero")
        assert ended.stopped == f"more than {MAX_FLOOD} octets of output"
        assert len(ended.output) == MAX_OUTPUT
        # One that closes its output can still be waited for.
        assert (await shell(runner, "exec >&- 2>&-; sleep 0.1; exit 7")).status == 7

    perform(script)


def test_nobody_waits_any_more(perform):
    async def script(reactor, runner):
        before = children()
        running = shell(runner, "sleep 99")
        running.addErrback(lambda _: None)
        (child,) = children() - before
        running.cancel()
        await settled(reactor, lambda: not Path(f"/proc/{child}").exists())

    perform(script)


def test_many_at_once_leave_nothing(perform):
    async def script(reactor, runner):
        # Reactors of other tests go now, not in between.
        gc.collect()
        descriptors = len(os.listdir("/proc/self/fd"))
        ended = await gatherResults([shell(runner, f"exit {number}") for number in range(50)])
        assert [one.status for one in ended] == list(range(50))
        assert len(os.listdir("/proc/self/fd")) == descriptors

    before = children()
    perform(script)
    assert children() == before


def alive(process: Path) -> bool:
    """Whether it runs; one that has ended may wait for whoever adopts it."""
    try:
        return process.joinpath("stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def settled(reactor: EPollReactor, condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        await deferLater(reactor, 0.02, lambda: None)
    raise AssertionError("it is still there")


def test_a_program_as_second_engine_of_the_daemon(tmp_path, mark):
    engine = tmp_path / "engine.py"
    engine.write_text(ENGINE)
    command = {
        "run": [sys.executable, "-I", "-S", str(engine), "{file}"],
        "infected": [3],
        "timeout": "20s",
    }
    with Gateway(tmp_path / "gateway", settings={"contentfilter": {"command": command}}) as gateway:
        gateway.start(
            Rewired(reinject_before=gateway.sink.port, reinject_after=gateway.sink.port), with_postfix=False
        )

        def send(mail: bytes):
            with Dialogue(gateway.ports.before, timeout=60.0) as dialogue:
                return dialogue.send("a@outside.example", ["eve@open.example"], mail)

        passed = 'contentfilter_engine_self_tests_total{engine="command",result="passed"}'
        wait_until(lambda: metric(gateway.ports.filter_metrics, passed) == 1, 5.0, "the self-test")
        assert send(samples.mail(mark, attachments=(samples.virus(),))).code == 554
        assert "Test.Virus" in gateway.contentfilter.log.read_text()
        mail = samples.mail(f"{mark}-clean")
        assert send(mail).code == 250
        (arrived,) = gateway.sink.wait_for(f"{mark}-clean".encode())
        assert arrived.data.endswith(mail)
        assert send(b"X-Crash: yes\r\n" + mail).code == 451
        assert [path.name for path in (gateway.folder / "spool").iterdir()] == []
