"""Learning by itself in the daemon as it is wired, off the mail's way; and what a reload does to bulk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from contentfilter.content.results import ScanResult
from contentfilter.content.traits import Traits
from contentfilter.learning.bulk import BulkAssessor
from contentfilter.learning.student import EVERY
from contentfilter.pool.frames import Done
from mailbase.statistics.lesson import encode_lesson, pack

from ..wired import Wired, Worker

LESSON = encode_lesson(pack([1, 2]))


class School(Wired):
    """Its workers do not say what is to be learned until they are told to."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, patch)
        self.readers: list[Worker] = []
        scan = Worker.give
        school = self

        def give(worker: Worker, task: Any, descriptor: int) -> None:
            if task.kind == "wire-lesson":
                school.readers.append(worker)
            else:
                scan(worker, task, descriptor)

        patch.setattr(Worker, "give", give)

    def count(self, result: str) -> float:
        name = "contentfilter_lessons_total", frozenset({("result", result)})
        return self.samples("contentfilter_lessons")[name]

    def tell(self) -> None:
        self.readers.pop().events.answered(Done(ScanResult(traits=Traits(lesson=LESSON))))


@pytest.fixture
def school(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[School]:
    made = School(tmp_path, monkeypatch)
    yield made
    made.end()


def test_a_spamtraps_mail_is_answered_before_anybody_reads_it_to_learn(school: School) -> None:
    assert school.mail("trap@inst.example", "r@inst.example").startswith("250 ")
    assert len(school.readers) == 1
    assert school.count("read") == 0
    school.tell()
    assert school.count("read") == 1
    asked: list[dict[str, Any]] = []

    async def ask(verb: str, about: dict[str, Any], _timeout: float) -> dict[str, Any]:
        asked.append({"verb": verb, **about})
        return {}

    school.patch.setattr(school.daemon.peer.reports, "request", ask)
    school.pass_time(EVERY + 1, 1)
    (one,) = asked
    assert (one["verb"], one["spam"], one["source"], one["mails"]) == ("learn", True, "spamtrap", [LESSON])


def test_other_mail_is_not_read_again(school: School) -> None:
    assert school.mail().startswith("250 ")
    assert school.tasks == 1
    assert school.readers == []


def test_mail_whose_scan_failed_is_not_learned(school: School) -> None:
    school.result = None
    school.mail("trap@inst.example")
    school.worker.events.ended("SIGSEGV")
    school.pass_time()
    assert school.readers == []
    assert school.count("failed") == 0


def test_what_waits_to_be_learned_is_dropped_when_the_daemon_stops(school: School) -> None:
    """One that a worker has is waited for."""
    for _ in range(2):
        school.mail("trap@inst.example")
    assert len(school.readers) == 1
    over: list[None] = []
    Deferred.fromCoroutine(school.daemon.drain()).addCallback(over.append)
    school.pass_time()
    school.tell()
    school.pass_time()
    assert over == [None]
    assert school.count("read") == 1


def test_a_reload_that_takes_all_thresholds_away_ends_the_counting_of_bulk(school: School) -> None:
    def counts() -> bool:
        panel = school.daemon.inspector.backends.panel
        assert panel is not None
        return any(isinstance(one, BulkAssessor) for one in panel.after)

    school.pass_time()
    assert counts()
    first = school.worker
    path = school.folder / "c.yaml"
    none = "tag_at: null, defer_at: null, quarantine_at: null, reject_at: null"
    path.write_text(
        path.read_text()
        .replace("tag_at: 4", none)
        .replace("flows: {", f"flows: {{outbound: {{{none}}}, submission: {{{none}}}, ")
    )
    school.daemon.reload()
    school.pass_time()
    assert not counts()
    assert school.worker is not first
    assert school.mail().startswith("250 ")
