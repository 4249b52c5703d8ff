"""A run over files, with a scripted pool, and how it ends."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.offline import offline
from contentfilter.offline.offline import Scan
from contentfilter.pool.messages import Task
from mailbase.config import loads
from mailbase.vocabulary import Finding, Flow, Unscanned

from ..called import MACRO, run

KEYS = ["path", "disposition", "reply", "score", "seconds", "findings", "unscanned", "parts", "clues"]


class FakePool:
    """Answers when told to."""

    def __init__(self) -> None:
        self.answers: dict[str, Deferred[Any]] = {}
        self.stopped = False

    def start(self) -> None: ...

    async def stop(self) -> None:
        self.stopped = True

    def submit(self, task: Task, descriptor: int) -> Deferred[Any]:
        os.close(descriptor)
        self.answers[task.name] = Deferred()
        return self.answers[task.name]


class FakeReactor:
    def __init__(self) -> None:
        self.now = 0.0
        self.stopped = False
        self.begin: Any = None

    def callWhenRunning(self, begin: Any) -> None:
        self.begin = begin

    def run(self) -> None:
        self.begin()

    def stop(self) -> None:
        self.stopped = True

    def seconds(self) -> float:
        return self.now


class Run:
    def __init__(self, *paths: Path, flow: Flow = Flow.INBOUND) -> None:
        self.pool, self.reactor = FakePool(), FakeReactor()
        self.rows: list[dict[str, Any]] = []
        self.complaints: list[str] = []
        settings = loads("{identity: {hostname: mx.example.org}, contentfilter: {workers: {count: 2}}}")
        self.scan = Scan(
            self.reactor,
            self.pool,
            settings,
            flow,
            2,
            self.rows.append,
            self.complaints.append,  # type: ignore[arg-type]
        )
        self.scan.run(paths)

    def answer(self, name: str, result: ScanResult | ScanFailed, seconds: float = 0.25) -> None:
        self.reactor.now += seconds
        self.pool.answers[name].callback(result)


@pytest.fixture
def folder(tmp_path):
    for name in "abcd":
        (tmp_path / name).write_text("text")
    return tmp_path


def test_a_row_has_the_fields_of_the_interface(folder):
    run = Run(folder / "a")
    run.answer("a", ScanResult((MACRO,), (Unscanned("3/x.7z", "encrypted", "detail"),), 7, 9.9))
    (row,) = run.rows
    assert list(row) == KEYS
    assert row["path"] == str(folder / "a")
    assert row["disposition"] == "reject"
    assert row["reply"].startswith('554 5.7.1 The attachment "a.docm" contains a macro')
    assert row["findings"] == [{"name": "office-macro", "part": "a.docm", "detail": "AutoOpen"}]
    assert row["unscanned"] == [{"part": "3/x.7z", "reason": "encrypted"}]
    assert (row["score"], row["seconds"], row["parts"]) == (0.0, 0.25, 7)
    assert json.loads(json.dumps(row)) == row
    assert run.scan.objectionable
    assert run.pool.stopped
    assert run.reactor.stopped


def test_rows_come_in_the_order_of_the_files_and_no_more_than_there_are_workers_run(folder):
    run = Run(folder)
    assert sorted(run.pool.answers) == ["a", "b"]
    run.answer("b", ScanResult())
    assert sorted(run.pool.answers) == ["a", "b", "c"]
    assert run.rows == []
    run.answer("a", ScanResult())
    assert [Path(row["path"]).name for row in run.rows] == ["a", "b"]
    run.answer("d", ScanResult())
    run.answer("c", ScanResult())
    assert [Path(row["path"]).name for row in run.rows] == list("abcd")
    assert not run.scan.objectionable


def test_a_run_that_nobody_listens_to_ends_without_a_word(folder, monkeypatch):
    def closed(row: object) -> None:
        raise BrokenPipeError

    run = Run(folder)
    monkeypatch.setattr(run.scan, "_show", closed)
    run.answer("a", ScanResult())
    assert run.pool.stopped
    run.answer("b", ScanFailed("workers", "unavailable", "the pool is not running"))
    assert run.complaints == []


@pytest.mark.parametrize(("reason", "gap"), [("crashed", "failed"), ("timed-out", "timed-out")])
def test_a_worker_that_fails_is_no_clean_file(folder, reason, gap):
    run = Run(folder / "a")
    run.answer("a", ScanFailed("workers", reason, "worker ended: SIGSEGV"))
    (row,) = run.rows
    assert (row["disposition"], row["unscanned"]) == ("defer", [{"part": "", "reason": gap}])
    assert row["reply"].startswith("451 4.3.0")
    assert run.scan.objectionable
    assert "SIGSEGV" in run.complaints[0]


def test_a_finding_that_policy_accepts_is_a_finding(folder):
    run = Run(folder / "a")
    run.answer("a", ScanResult((Finding("pdf-owner-restricted", "a"),)))
    assert run.rows[0]["disposition"] == "accept"
    assert run.scan.objectionable


def test_clues_and_findings_come_to_a_score(folder):
    run = Run(folder / "a")
    clues = (Clue("url.listed", "x.example", 5.0), Clue("rule.trial", "", 9.0, shadow=True))
    run.answer("a", ScanResult((Finding("pdf-owner-restricted", "a"),), clues=clues))
    (row,) = run.rows
    assert (row["score"], row["disposition"]) == (5.5, "tag")
    assert row["clues"] == [
        {"name": "rule.trial", "points": 9.0, "shadow": True, "detail": ""},
        {"name": "url.listed", "points": 5.0, "shadow": False, "detail": "x.example"},
        {"name": "pdf-owner-restricted", "points": 0.5, "shadow": False, "detail": "a"},
    ]


@pytest.mark.parametrize(("points", "disposition"), [(4.9, "accept"), (9.0, "tag"), (15.0, "reject")])
def test_a_score_decides_as_if_the_mail_had_waited(folder, points, disposition):
    run = Run(folder / "a")
    run.answer("a", ScanResult(clues=(Clue("url.listed", "", points),)))
    assert run.rows[0]["disposition"] == disposition


def test_the_flow_decides(folder):
    run = Run(folder / "a", flow=Flow.UPSTREAM)
    run.answer("a", ScanResult((MACRO,)))
    assert run.rows[0]["disposition"] == "quarantine"


def test_an_unreadable_file_does_not_end_the_run(folder):
    run = Run(folder / "missing", folder / "a")
    run.answer("a", ScanResult())
    assert len(run.rows) == 1
    assert run.scan.unreadable
    assert "No such file" in run.complaints[0]


@pytest.mark.parametrize(
    ("unreadable", "objectionable", "code"),
    [(False, False, 0), (False, True, 1), (True, False, 2), (True, True, 2)],
)
def test_exit_codes_of_a_scan(monkeypatch, config, unreadable, objectionable, code):
    class Fake:
        def __init__(self) -> None:
            self.unreadable, self.objectionable = unreadable, objectionable

        def run(self, paths: object) -> None: ...

    monkeypatch.setattr(offline, "make_scan", lambda *_arguments: Fake())
    assert run("scan", "--config", config, "x") == code


@pytest.mark.parametrize(
    ("arguments", "jobs"),
    [
        (("FOLDER",), 8),
        (("--jobs", "3", "FOLDER"), 3),
        (("--set", "contentfilter.workers.count=12", "FOLDER"), 12),
        (("x",), 1),
        (("x", "y"), 2),
        (("--jobs", "1", "x", "y"), 1),
        (("x", "FOLDER"), 8),
    ],
)
def test_as_many_at_once_as_there_are_processors_or_files_or_as_is_said(
    monkeypatch, tmp_path, config, arguments, jobs
):
    asked: list[object] = []

    class Fake:
        unreadable = objectionable = False

        def run(self, paths: object) -> None: ...

    def make_scan(_reactor, _settings, _flow, jobs, *_more):
        asked.append(jobs)
        return Fake()

    monkeypatch.setattr(offline, "make_scan", make_scan)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    paths = [str(tmp_path) if word == "FOLDER" else word for word in arguments]
    assert run("scan", "--config", config, *paths) == 0
    assert asked == [jobs]


@pytest.mark.parametrize("jobs", ["0", "257", "-1", "many", "\u0663"])
def test_how_many_at_once_is_a_number(config, jobs):
    assert run("scan", "--config", config, "--jobs", jobs, "x") == 2


def test_a_configuration_with_a_mistake_scans_nothing(config, capsys):
    assert run("scan", "--config", config, "--set", "contentfilter.workers.count=0", "x") == 78
    assert "contentfilter.workers.count" in capsys.readouterr().err
