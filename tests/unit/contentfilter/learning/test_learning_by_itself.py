"""Mails from which the gateway learns by itself: which, how many, and what may go wrong."""

from __future__ import annotations

import io
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.content.traits import Traits
from contentfilter.disposition.total import Item, Total
from contentfilter.learning.student import EVERY, MOST_OCTETS, Student
from contentfilter.learning.watch import EVERY as LOOK_EVERY
from contentfilter.learning.watch import ModelWatch
from contentfilter.pool.messages import Task
from contentfilter.spool.spool import Spool
from mailbase.config.statistics import AutomaticSettings
from mailbase.control import ControlError
from mailbase.logs import Log
from mailbase.statistics.lesson import encode_lesson, pack
from mailbase.statistics.verbs import MAX_MAILS
from mailbase.vocabulary import Flow

LESSON = encode_lesson(pack([1, 2]))

MAIL = b"Subject: win\r\n\r\nnow\r\n"


class School:
    """A student, what policyd is asked, and workers that read at once unless they are held."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.clock = Clock()
        self.folder = folder
        self.asked: list[dict[str, Any]] = []
        self.down = False
        self.stream = io.StringIO()
        self.counts: dict[str, int] = {"read": 0, "dropped": 0, "failed": 0}
        self.result: ScanResult | ScanFailed = ScanResult(traits=Traits(lesson=LESSON))
        self.held = False
        self.under_way: list[Deferred[Any]] = []
        log = Log("contentfilter", stream=self.stream)
        self.student = Student(self.clock, self, self.ask, self.run, self.clock.seconds, log, self.count)
        self.student.settings = AutomaticSettings(**settings)

    def aside(self, task: Task, descriptor: int) -> Deferred[Any]:
        """See :class:`contentfilter.pool.pool.Pool`."""
        assert task == Task("wire-lesson", len(MAIL))
        # The spool is gone by the time that a worker reads.
        self.spool.close()
        assert os.pread(descriptor, 100, 0) == MAIL
        os.close(descriptor)
        if not self.held:
            return succeed(self.result)
        self.under_way.append(Deferred())
        return self.under_way[-1]

    def count(self, how: str) -> None:
        self.counts[how] += 1

    async def ask(self, verb: str, arguments: dict[str, Any], timeout: float) -> dict[str, Any]:
        if self.down:
            raise ControlError("not reachable")
        assert verb == "learn"
        self.asked.append(arguments)
        return {}

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        Deferred.fromCoroutine(work)

    def grade(
        self, points: float = 0.0, own: float = 0.0, trapped: bool = False, flow: Flow = Flow.INBOUND
    ) -> None:
        items = [Item("rule.x", points), Item("statistics.spam", own)]
        self.spool = Spool(self.folder, 1 << 20)
        self.spool.write(MAIL)
        self.student.graded(flow, self.spool, Total(points + own, tuple(items)), trapped)

    def learned(self) -> list[tuple[bool, str, int]]:
        self.clock.advance(EVERY)
        return [(one["spam"], one["source"], len(one["mails"])) for one in self.asked]


def test_what_a_spamtrap_gets_is_learned_as_spam(tmp_path: Path) -> None:
    school = School(tmp_path)
    school.grade(trapped=True)
    school.grade(trapped=True)
    assert school.asked == []
    assert school.learned() == [(True, "spamtrap", 2)]
    assert school.counts == {"read": 2, "dropped": 0, "failed": 0}
    school = School(tmp_path, spamtraps=False)
    school.grade(trapped=True)
    assert school.learned() == []


def test_extremes_are_learned_only_where_it_is_wanted(tmp_path: Path) -> None:
    school = School(tmp_path)
    school.grade(points=50.0)
    assert school.learned() == []
    school = School(tmp_path, flows=["inbound"])
    school.grade(points=12.0)
    school.grade(points=11.9)
    school.grade(points=-1.0)
    school.grade(points=-0.9)
    school.grade(points=50.0, flow=Flow.OUTBOUND)
    assert school.learned() == [(True, "total", 1), (False, "total", 1)]


def test_only_what_is_to_be_learned_is_read(tmp_path: Path) -> None:
    school = School(tmp_path, flows=["inbound"], per_day=1)
    school.grade(points=11.9)
    school.grade(points=50.0, flow=Flow.OUTBOUND)
    school.grade(trapped=True)
    school.grade(trapped=True)
    assert school.counts["read"] == 1


def test_its_own_opinion_teaches_nothing(tmp_path: Path) -> None:
    school = School(tmp_path, flows=["inbound"])
    school.grade(points=7.0, own=6.0)
    school.grade(points=0.0, own=-2.0)
    assert school.learned() == []


def test_a_day_has_its_bound(tmp_path: Path) -> None:
    school = School(tmp_path, flows=["inbound"], per_day=3)
    for _ in range(5):
        school.grade(trapped=True)
    school.grade(points=-5.0)
    assert school.learned() == [(True, "spamtrap", 3), (False, "total", 1)]
    school.clock.advance(86400)
    school.grade(trapped=True)
    assert school.learned()[2:] == [(True, "spamtrap", 1)]


def test_those_who_are_read_at_the_same_time_keep_to_the_days_bound(tmp_path: Path) -> None:
    school = School(tmp_path, per_day=2)
    school.held = True
    for _ in range(4):
        school.grade(trapped=True)
    for reading in school.under_way:
        reading.callback(school.result)
    assert school.learned() == [(True, "spamtrap", 2)]


@pytest.mark.parametrize(
    ("reason", "counted"),
    [("overload", "dropped"), ("unavailable", "dropped"), ("crashed", "failed"), ("timed-out", "failed")],
)
def test_what_workers_do_not_read_is_not_learned(tmp_path: Path, reason: str, counted: str) -> None:
    school = School(tmp_path, per_day=1)
    told, school.result = school.result, ScanFailed("workers", reason)
    school.grade(trapped=True)
    assert school.learned() == []
    assert school.counts[counted] == 1
    # And it takes nobody's place in the day.
    school.result = told
    school.grade(trapped=True)
    assert school.learned() == [(True, "spamtrap", 1)]


def test_only_so_many_octets_wait_to_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contentfilter.learning.student.MOST_OCTETS", len(MAIL))
    assert MOST_OCTETS >= 1 << 20
    school = School(tmp_path)
    school.held = True
    school.grade(trapped=True)
    school.grade(trapped=True)
    assert school.counts == {"read": 0, "dropped": 1, "failed": 0}
    school.under_way[0].callback(school.result)
    school.grade(trapped=True)
    assert len(school.under_way) == 2
    # One that is larger than that is read when it is alone.
    school.under_way[1].callback(school.result)
    monkeypatch.setattr("contentfilter.learning.student.MOST_OCTETS", 1)
    school.grade(trapped=True)
    assert len(school.under_way) == 3


def test_a_mail_that_cannot_be_handed_on_is_not_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_spool: Spool) -> int:
        raise OSError(24, "Too many open files")

    school = School(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "as_fd", full)
        school.grade(trapped=True)
    assert school.counts["failed"] == 1
    assert school.learned() == []


def test_a_mail_in_which_nothing_is_seen_teaches_nothing(tmp_path: Path) -> None:
    school = School(tmp_path)
    school.result = ScanResult()
    school.grade(trapped=True)
    assert school.learned() == []


def test_many_go_at_once_and_what_cannot_go_is_said(tmp_path: Path) -> None:
    school = School(tmp_path)
    for _ in range(MAX_MAILS):
        school.grade(trapped=True)
    assert len(school.asked) == 1
    school.down = True
    school.grade(trapped=True)
    school.clock.advance(EVERY)
    assert "not-learned" in school.stream.getvalue()


def test_nothing_is_read_without_statistics(tmp_path: Path) -> None:
    school = School(tmp_path)
    school.student.settings = None
    school.grade(trapped=True)
    assert school.learned() == []
    assert school.counts["read"] == 0


def test_workers_start_anew_when_there_is_another_model(tmp_path: Path) -> None:
    clock, changes = Clock(), []
    path = tmp_path / "model"
    watch = ModelWatch(clock, path, lambda: changes.append(clock.seconds()))
    watch.start()
    clock.advance(LOOK_EVERY)
    assert changes == []
    path.write_bytes(b"x")
    clock.advance(LOOK_EVERY)
    assert len(changes) == 1
    path.write_bytes(b"y")
    clock.advance(LOOK_EVERY)
    path.unlink()
    clock.advance(LOOK_EVERY)
    assert len(changes) == 1
    watch.stop()
    assert not clock.getDelayedCalls()
