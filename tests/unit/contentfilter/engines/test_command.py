"""A program as engine, without a program: what it is given, what each end means, and how it is run."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.engines.command import PREFIX, CommandSeat, judge
from contentfilter.engines.engine import MAX_LOST, Engine
from contentfilter.engines.program import Ended
from mailbase.config.engines import CommandSettings
from mailbase.logs import Log
from mailbase.vocabulary import Finding, Unscanned

from ..enginedoubles import Message

CLEAN = Ended(0, b"")


class Run:
    """One run of the program, as the test sees it."""

    def __init__(self, command: Sequence[str], stdin: int, seconds: float) -> None:
        self.command = list(command)
        self.stdin = os.pread(stdin, 1 << 20, 0)
        self.offset = os.lseek(stdin, 0, os.SEEK_CUR)
        self.seconds = seconds
        self.file = Path(command[-1])
        self.content = self.file.read_bytes() if self.file.exists() else None
        self.mode = stat.S_IMODE(os.fstat(stdin).st_mode)
        self.killed = False
        self.ended: Deferred[Ended] = Deferred(lambda _: setattr(self, "killed", True))


class Scene:
    def __init__(
        self, folder: Path, run: tuple[str, ...] = ("/bin/engine", "{file}"), **settings: Any
    ) -> None:
        self.clock = Clock()
        self.output = io.StringIO()
        self.folder = folder
        self.runs: list[Run] = []
        self.problem: OSError | None = None
        self.results: list[Any] = []
        terms = CommandSettings(run=run, **settings)
        log = Log("test", stream=self.output)
        self.engine = Engine(
            self.clock,
            "command",
            terms,
            lambda changed: [CommandSeat(self.clock, terms, self, folder, log, changed)],
        )

    def run(self, command: Sequence[str], stdin: int, seconds: float) -> Deferred[Ended]:
        """See :class:`contentfilter.engines.program.Runner`."""
        if self.problem is not None:
            raise self.problem
        self.runs.append(Run(command, stdin, seconds))
        return self.runs[-1].ended

    def scan(self, *chunks: bytes) -> Deferred[Any]:
        scanning = Deferred.fromCoroutine(self.engine.scan(Message(*chunks or (b"x",))))
        scanning.addBoth(self.results.append)
        return scanning

    def files(self) -> list[Path]:
        return list(self.folder.iterdir())


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_the_program_gets_the_message_as_a_file_that_nobody_else_may_read_and_that_goes_with_it(scene: Scene):
    scene.scan(b"one\r\n..two\r\n", b"..three")
    scene.clock.advance(0)
    (run,) = scene.runs
    assert run.command[0] == "/bin/engine"
    assert run.content == run.stdin == b"one\r\n.two\r\n.three"
    assert run.mode == 0o600
    assert run.file.parent == scene.folder
    run.ended.callback(CLEAN)
    assert scene.results == [ScanResult()]
    assert scene.files() == []


def test_or_at_standard_input(tmp_path: Path):
    scene = Scene(tmp_path, ("/bin/engine", "-"))
    scene.scan(b"one\r\n..two")
    (run,) = scene.runs
    assert run.command == ["/bin/engine", "-"]
    assert (run.stdin, run.offset) == (b"one\r\n.two", 0)
    assert scene.files() == []


def test_other_mail_goes_on_between_two_pieces_of_a_large_one(scene: Scene):
    scene.scan(*[b"x" * 1000] * 3)
    assert scene.runs == []
    scene.clock.pump([0, 0])
    assert scene.runs[0].content == b"x" * 3000


def test_no_more_at_once_than_allowed(tmp_path: Path):
    scene = Scene(tmp_path, at_once=2, timeout=10.0)
    for _ in range(4):
        scene.scan()
    assert len(scene.runs) == 2
    assert scene.engine.waiting == 2
    scene.clock.advance(4)
    scene.runs[0].ended.callback(CLEAN)
    assert len(scene.runs) == 3
    assert [run.seconds for run in scene.runs] == [10, 10, 6]
    scene.clock.advance(7)
    assert scene.results[1].reason == "overload"


def test_when_nobody_waits_the_program_is_killed_and_its_file_goes(scene: Scene):
    scene.scan().cancel()
    assert scene.runs[0].killed
    assert scene.files() == []
    assert scene.engine.seats[0].busy == 0


@pytest.mark.parametrize(
    ("ended", "meaning"),
    [
        (Ended(0, b"f: OK\n"), ScanResult()),
        (Ended(0, b"f: X FOUND\n"), ScanResult()),
        (Ended(1, b"/spool/engine-a: Win.Test FOUND\n"), ScanResult((Finding("virus", "", "Win.Test"),))),
        (Ended(1, b"\xff: \xfe\x1b[2J FOUND\n"), ScanResult((Finding("virus", "", "??[2J"),))),
        (Ended(1, b""), ScanResult((Finding("virus", "", "without a name"),))),
        (Ended(1, b": PUA.X FOUND"), ScanResult((Finding("virus-suspected", "", "PUA.X"),))),
        (Ended(10, b"password"), ScanResult(unscanned=(Unscanned("", "unsupported", "password"),))),
        (Ended(2, b"oops"), ScanFailed("command", "protocol", "exit status 2: oops")),
        (Ended(-11, b""), ScanFailed("command", "crashed", "SIGSEGV: ")),
        (Ended(-9, b"", "no end within 3 s"), ScanFailed("command", "timed-out", "no end within 3 s")),
        (Ended(0, b"", "no end within 3 s"), ScanFailed("command", "timed-out", "no end within 3 s")),
        (Ended(0, b"", "too much"), ScanFailed("command", "protocol", "too much")),
    ],
)
def test_what_each_end_means(ended: Ended, meaning: ScanResult | ScanFailed):
    settings = CommandSettings(run=("/bin/x",), incomplete=(10,))
    assert judge(ended, settings, 0.0) == meaning


def test_one_that_crashes_is_tried_once_more(scene: Scene):
    scene.scan()
    scene.runs[0].ended.callback(Ended(-11, b""))
    scene.runs[1].ended.callback(Ended(1, b": X FOUND"))
    assert scene.results == [ScanResult((Finding("virus", "", "X"),))]
    scene.scan()
    for run in scene.runs[2:]:
        run.ended.callback(Ended(-11, b""))
    scene.runs[-1].ended.callback(Ended(-11, b"")) if len(scene.runs) == 4 else None
    assert len(scene.runs) == 2 + MAX_LOST
    assert scene.results[1].reason == "crashed"


def test_mail_waits_for_a_program_that_is_being_replaced(tmp_path: Path):
    program = tmp_path / "engine"
    (tmp_path / "spool").mkdir()
    scene = Scene(tmp_path / "spool", (str(program), "{file}"), wait=10.0)
    scene.problem = FileNotFoundError(2, "No such file or directory", str(program))
    scene.scan()
    scene.scan()
    assert scene.engine.waiting == 2
    assert scene.output.getvalue().count("engine-down") == 1
    scene.clock.pump([1] * 5)
    program.touch(mode=0o755)
    scene.problem = None
    scene.clock.pump([1])
    assert len(scene.runs) == 2
    for run in scene.runs:
        run.ended.callback(CLEAN)
    assert scene.results == [ScanResult()] * 2
    program.unlink()
    scene.problem = FileNotFoundError(2, "No such file or directory", str(program))
    scene.scan()
    scene.clock.pump([1] * 11)
    scene.scan()
    assert [failed.reason for failed in scene.results[2:]] == ["unavailable"] * 2
    assert list((tmp_path / "spool").iterdir()) == []


def test_one_that_is_there_and_never_starts_costs_a_mail_some_tries(tmp_path: Path):
    program = tmp_path / "engine"
    program.touch(mode=0o755)
    scene = Scene(tmp_path / "spool", (str(program), "{file}"))
    (tmp_path / "spool").mkdir()
    scene.problem = OSError(8, "Exec format error")
    scene.scan()
    scene.clock.pump([1] * 4)
    assert scene.results[0].reason == "unavailable"


def test_files_that_were_left_behind_are_removed_at_the_start(scene: Scene):
    (scene.folder / f"{PREFIX}old").touch()
    (scene.folder / "other").touch()
    scene.engine.start()
    assert [path.name for path in scene.files()] == ["other"]


def test_a_message_that_was_changed_on_its_way_is_not_looked_at(scene: Scene):
    message = Message(b"evil")
    message.pieces = (b"good",)
    failures: list[Any] = []
    Deferred.fromCoroutine(scene.engine.scan(message)).addErrback(failures.append)
    assert failures[0].check(OSError)
    assert scene.runs == []
    assert scene.files() == []
