"""What is remembered of what was learned: undone, changed, expired, and never too much."""

from __future__ import annotations

import io
from typing import Any

import pytest

from mailbase.control import ControlError
from mailbase.logs import Log
from mailbase.statistics.lesson import encode_lesson, lesson_id, pack
from mailbase.statistics.verbs import MAX_MAILS
from policyd.learning.lessons import Lesson, Lessons
from policyd.learning.verbs import LearningVerbs
from tests.unit.awaited import result_of

from .drawer import Drawer

DAY = 86400
LOG = Log("policyd", stream=io.StringIO())


class Class:
    """Lessons and how often they changed."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.changes = 0
        self.shelf, self.tokens = Drawer(), Drawer()
        self.lessons = self.open()

    def open(self) -> Lessons:
        lessons = Lessons(self.shelf, self.tokens, lambda: self.now, self.changed, most=6, keep=DAY)
        result_of(lessons.load())
        return lessons

    def changed(self) -> None:
        self.changes += 1

    def learn(self, numbers: list[int], spam: bool, source: str = "command", run: str = "r1") -> Any:
        return result_of(self.lessons.learn([pack([number]) for number in numbers], spam, source, run))

    def kinds(self) -> dict[int, bool]:
        """What is learned, by number."""

        async def read() -> dict[int, bool]:
            return {packed[-2]: spam async for spam, packed in self.lessons.packed()}

        found: dict[int, bool] = result_of(read())
        return found


@pytest.fixture
def school() -> Class:
    return Class()


def test_what_is_learned_is_there_after_a_restart(school: Class) -> None:
    learned = school.learn([1, 2], True)
    assert (learned.new, learned.changed, learned.known) == (2, 0, 0)
    school.learn([3], False)
    assert school.kinds() == {1: True, 2: True, 3: False}
    school.lessons = school.open()
    assert school.kinds() == {1: True, 2: True, 3: False}
    assert school.changes == 3


def test_the_same_again_counts_once_and_is_kept_longer(school: Class) -> None:
    school.learn([1], True)
    school.now += 1000
    changes = school.changes
    assert school.learn([1, 1], True).known == 2
    assert school.changes == changes
    school.now += DAY - 500
    assert school.kinds() == {1: True}


def test_undoing_a_run_makes_as_if_it_had_not_been(school: Class) -> None:
    school.learn([1, 2], True, run="first")
    before = dict(school.shelf.rows)
    assert school.learn([2, 3], False, run="second").changed == 1
    assert school.kinds() == {1: True, 2: False, 3: False}
    keys = [key for key, one in school.lessons.all.items() if one.run == "second"]
    assert result_of(school.lessons.undo(keys)) == 2
    assert school.kinds() == {1: True, 2: True}
    assert school.shelf.rows == before
    assert set(school.tokens.rows) == set(before)


def test_undoing_what_was_never_learned_does_nothing(school: Class) -> None:
    assert result_of(school.lessons.undo([lesson_id(pack([9]))])) == 0
    assert school.changes == 0


def test_a_machine_does_not_unsay_what_somebody_looked_at(school: Class) -> None:
    school.learn([1], False)
    assert school.learn([1], True, source="total").new == 0
    assert school.kinds() == {1: False}
    school.learn([2], True, source="spamtrap")
    assert school.learn([2], False).changed == 1
    assert school.kinds() == {1: False, 2: False}


def test_beyond_the_bound_the_oldest_go_and_those_of_a_machine_first(school: Class) -> None:
    school.learn([1], True)
    school.now += 10
    school.learn([2, 3], True, source="spamtrap")
    school.now += 10
    school.learn([4], True)
    assert sorted(school.kinds()) in ([1, 2, 4], [1, 3, 4])
    school.learn([5, 6, 7], False)
    school.now += 10
    school.learn([8], True)
    assert sorted(number for number, spam in school.kinds().items() if spam) == [1, 4, 8]
    assert sorted(number for number, spam in school.kinds().items() if not spam) == [5, 6, 7]
    assert len(school.tokens.rows) == 6


def test_what_has_expired_is_gone(school: Class) -> None:
    school.learn([1], True)
    school.now += DAY / 2
    school.learn([2], True)
    school.now += DAY / 2
    changes = school.changes
    result_of(school.lessons.forget_expired())
    assert school.kinds() == {2: True}
    assert school.changes == changes + 1


def test_a_row_that_cannot_be_read_hides_no_other(school: Class) -> None:
    school.learn([1], True)
    school.shelf.rows[b"odd"] = (1, "x", "", "", "", 9)
    school.lessons = school.open()
    assert school.kinds() == {1: True}


def test_a_lesson_knows_what_was_said_before() -> None:
    first = Lesson(False, 5, "spamtrap", "20300101", "", 50)
    second = Lesson(True, 6, "command", "r", first.summary, 60)
    assert second.earlier == Lesson(False, 5, "spamtrap", "20300101", "", 60)
    assert first.earlier is None
    assert Lesson.of(second.row) == second


class TestVerbs:
    @pytest.fixture
    def verbs(self, school: Class) -> LearningVerbs:
        self.counted: list[tuple[str, bool, int]] = []
        return LearningVerbs(school.lessons, None, LOG, lambda *what: self.counted.append(what))

    def ask(self, verbs: LearningVerbs, verb: str, **arguments: Any) -> Any:
        answer = verbs.table()[verb](arguments)
        return answer if isinstance(answer, dict) or hasattr(answer, "__next__") else result_of(answer)

    def test_learn_show_undo_and_forget(self, verbs: LearningVerbs) -> None:
        mails = [encode_lesson(pack([number])) for number in (1, 2)]
        about = {"spam": True, "source": "command", "run": "r1", "mails": mails}
        assert self.ask(verbs, "learn", **about) == {"new": 2, "changed": 0, "known": 0}
        assert self.counted == [("command", True, 2)]
        status = self.ask(verbs, "learn.status")
        assert (status["spam"], status["ham"], status["automatic"]) == (2, 0, 0)
        (row,) = self.ask(verbs, "learn.runs")
        assert (row["run"], row["kind"], row["mails"]) == ("r1", "spam", 2)
        assert self.ask(verbs, "learn.undo", mails=mails[:1]) == {"undone": 1}
        assert self.ask(verbs, "learn.undo", run="r1") == {"undone": 1}
        self.ask(verbs, "learn", **{**about, "source": "total"})
        assert self.ask(verbs, "learn.forget", source="spamtrap") == {"forgotten": 0}
        assert self.ask(verbs, "learn.forget", source="total") == {"forgotten": 2}

    @pytest.mark.parametrize(
        "wrong",
        [
            {"spam": 1},
            {"source": "rumour"},
            {"run": "Ä"},
            {"run": None},
            {"mails": []},
            {"mails": ["AAAA"]},
            {"mails": [encode_lesson(pack([1]))] * (MAX_MAILS + 1)},
            {"mails": "x"},
        ],
        ids=["kind", "source", "run", "no run", "none", "no lesson", "too many", "no list"],
    )
    def test_nonsense_is_refused(self, verbs: LearningVerbs, wrong: dict[str, Any]) -> None:
        about = {"spam": True, "source": "command", "run": "r", "mails": [encode_lesson(pack([1]))]}
        with pytest.raises(ControlError, match=r"expected|lesson"):
            self.ask(verbs, "learn", **{**about, **wrong})

    def test_without_statistics_it_is_said(self) -> None:
        verbs = LearningVerbs(None, None, LOG, lambda *what: None)
        with pytest.raises(ControlError, match="off"):
            self.ask(verbs, "learn.status")
