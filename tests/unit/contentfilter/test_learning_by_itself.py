"""What contentfilter learns by itself, what it asks about bulk, and how workers come by another model."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from contentfilter.assessing import Mail
from contentfilter.envelope import Envelope
from contentfilter.envelope import Path as MailPath
from contentfilter.learning.bulk import MANY, BulkAssessor
from contentfilter.learning.student import EVERY, Student
from contentfilter.learning.watch import EVERY as LOOK_EVERY
from contentfilter.learning.watch import ModelWatch
from contentfilter.results import ScanResult
from contentfilter.statistics.digest import KEYS, fuzzy_digest
from contentfilter.total import Item, Total
from contentfilter.traits import Traits
from mailbase.config.statistics import AutomaticSettings
from mailbase.control import ControlError
from mailbase.logs import Log
from mailbase.spamtraps import Spamtraps
from mailbase.statistics.lesson import encode_lesson, pack
from mailbase.statistics.verbs import MAX_MAILS
from mailbase.ticket import Ticket
from mailbase.vocabulary import Flow

ENVELOPE = Envelope(
    MailPath("s@x.example", b"<s@x.example>"), recipients=[MailPath("r@y.example", b"<r@y.example>")]
)
LESSON = encode_lesson(pack([1, 2]))


class School:
    """A student, and what policyd is asked."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.asked: list[dict[str, Any]] = []
        self.down = False
        self.stream = io.StringIO()
        log = Log("contentfilter", stream=self.stream)
        self.student = Student(self.clock, self.ask, self.run, self.clock.seconds, log)
        self.student.settings = AutomaticSettings(**settings)

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
        self.student.graded(flow, LESSON, Total(points + own, tuple(items)), trapped)

    def learned(self) -> list[tuple[bool, str, int]]:
        self.clock.advance(EVERY)
        return [(one["spam"], one["source"], len(one["mails"])) for one in self.asked]


def test_what_a_spamtrap_gets_is_learned_as_spam() -> None:
    school = School()
    school.grade(trapped=True)
    school.grade(trapped=True)
    assert school.asked == []
    assert school.learned() == [(True, "spamtrap", 2)]
    assert School(spamtraps=False).learned() == []


def test_extremes_are_learned_only_where_it_is_wanted() -> None:
    school = School()
    school.grade(points=50.0)
    assert school.learned() == []
    school = School(flows=["inbound"])
    school.grade(points=12.0)
    school.grade(points=11.9)
    school.grade(points=-1.0)
    school.grade(points=-0.9)
    school.grade(points=50.0, flow=Flow.OUTBOUND)
    assert school.learned() == [(True, "total", 1), (False, "total", 1)]


def test_its_own_opinion_teaches_nothing() -> None:
    school = School(flows=["inbound"])
    school.grade(points=7.0, own=6.0)
    school.grade(points=0.0, own=-2.0)
    assert school.learned() == []


def test_a_day_has_its_bound() -> None:
    school = School(flows=["inbound"], per_day=3)
    for _ in range(5):
        school.grade(trapped=True)
    school.grade(points=-5.0)
    assert school.learned() == [(True, "spamtrap", 3), (False, "total", 1)]
    school.clock.advance(86400)
    school.grade(trapped=True)
    assert school.learned()[2:] == [(True, "spamtrap", 1)]


def test_many_go_at_once_and_what_cannot_go_is_said() -> None:
    school = School()
    for _ in range(MAX_MAILS):
        school.grade(trapped=True)
    assert len(school.asked) == 1
    school.down = True
    school.grade(trapped=True)
    school.clock.advance(EVERY)
    assert "not-learned" in school.stream.getvalue()


def test_nothing_is_learned_of_a_mail_that_was_not_read_or_without_statistics() -> None:
    school = School()
    school.student.graded(Flow.INBOUND, "", None, True)
    school.student.settings = None
    school.grade(trapped=True)
    assert school.learned() == []


class Policyd:
    def __init__(self, answer: dict[str, Any] | None) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    async def ask(self, verb: str, arguments: dict[str, Any], timeout: float) -> dict[str, Any]:
        self.asked.append(arguments)
        if self.answer is None:
            raise ControlError("not reachable")
        return self.answer


def assess(
    policyd: Policyd, keys: Sequence[str] = ("00" * 8,), trap: str = "", ticket: Ticket | None = None
) -> Any:
    found: list[Any] = []
    result = ScanResult(traits=Traits(bulk=tuple(keys)))
    mail = Mail("id", ENVELOPE, None, Flow.INBOUND, ticket=ticket, result=result)  # type: ignore[arg-type]
    assessor = BulkAssessor(policyd.ask, Spamtraps([trap] if trap else []))
    Deferred.fromCoroutine(assessor.assess(mail)).addBoth(found.append)
    return found[0]


@pytest.mark.parametrize(
    ("answer", "clues"),
    [
        ({"seen": 0, "trapped": False}, []),
        ({"seen": MANY - 1, "trapped": True}, ["bulk.trapped"]),
        ({"seen": MANY, "trapped": False}, ["bulk.many"]),
        ({"seen": "x"}, []),
    ],
    ids=["new", "trapped", "many", "odd"],
)
def test_bulk_is_stated(answer: dict[str, Any], clues: list[str]) -> None:
    policyd = Policyd(answer)
    assert [clue.name for clue in assess(policyd).clues] == clues
    assert policyd.asked == [{"keys": ["00" * 8], "trapped": False}]


def test_a_spamtraps_mail_marks_its_text() -> None:
    policyd = Policyd({})
    ticket = Ticket("id", Flow.INBOUND, "192.0.2.1", "", spamtraps=("trap@inst.example",))
    assess(policyd, ticket=ticket)
    assess(policyd, trap="/.*/")
    assert [one["trapped"] for one in policyd.asked] == [True, True]


def test_without_digest_nobody_is_asked_and_silence_is_said() -> None:
    policyd = Policyd(None)
    assert assess(policyd, keys=()).failed == ""
    assert policyd.asked == []
    assert assess(policyd).failed == "not reachable"


def text(seed: int, words: int = 200) -> list[str]:
    chance = random.Random(seed)
    return ["".join(chance.choices("abcdefghijklmnop", k=6)) for _ in range(words)]


def test_texts_that_differ_in_little_share_keys() -> None:
    common = 0
    for seed in range(20):
        words = text(seed)
        changed = [*words]
        changed[50] = "another"
        one, other = fuzzy_digest([" ".join(words)]), fuzzy_digest([" ".join(changed)])
        assert len(one) == len(set(one)) == KEYS
        common += len(set(one) & set(other)) >= 2
    assert common >= 19


def test_other_texts_share_none() -> None:
    keys = [key for seed in range(50) for key in fuzzy_digest([" ".join(text(seed))])]
    assert len(set(keys)) == len(keys)


def test_addresses_figures_and_links_make_no_difference() -> None:
    words = " ".join(text(1))
    mail = "Dear {}, {} http://x.example/?id={} {}"
    one = mail.format("ada@inst.example", words, "a1b2", "12.50")
    other = mail.format("bob@inst.example", words, "zz9", "7.99")
    assert fuzzy_digest([one]) == fuzzy_digest([other])


def test_short_texts_have_no_digest() -> None:
    assert fuzzy_digest([]) == ()
    assert fuzzy_digest(["see attached"]) == ()
    assert fuzzy_digest(["again and again " * 100]) == ()


def test_a_digest_of_much_text_is_bounded() -> None:
    words = " ".join(text(3, 4000))
    assert fuzzy_digest([words, "x y z" * 1_000_000]) == fuzzy_digest([words])


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


def test_a_word_without_end_takes_no_time() -> None:
    """A regular expression for addresses went over it again from each of its letters."""
    for word in ("x" * 24_000, "@" * 24_000, "a." * 12_000, "http://" * 3_000):
        started = time.process_time()
        fuzzy_digest([word])
        assert time.process_time() - started < 0.2
