"""What contentfilter learns by itself, what it asks about bulk, and how workers come by another model."""

from __future__ import annotations

import io
import os
import random
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from contentfilter.assessing import Mail
from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.content.traits import Traits
from contentfilter.disposition.total import Item, Total
from contentfilter.learning.bulk import MANY, PAUSE, BulkAssessor, is_counted
from contentfilter.learning.student import EVERY, MOST_OCTETS, Student
from contentfilter.learning.watch import EVERY as LOOK_EVERY
from contentfilter.learning.watch import ModelWatch
from contentfilter.pool.messages import Task
from contentfilter.session.envelope import Envelope
from contentfilter.session.envelope import Path as MailPath
from contentfilter.spool.spool import Spool
from contentfilter.statistics.digest import KEYS, VERSION, fuzzy_digest
from mailbase.config import loads
from mailbase.config.statistics import AutomaticSettings
from mailbase.control import ControlError
from mailbase.logs import Log
from mailbase.registry import load_registry
from mailbase.spamtraps import Spamtraps
from mailbase.statistics.lesson import encode_lesson, pack
from mailbase.statistics.verbs import MAX_MAILS
from mailbase.ticket import Ticket
from mailbase.vocabulary import Flow

ENVELOPE = Envelope(
    MailPath("s@x.example", b"<s@x.example>"), recipients=[MailPath("r@y.example", b"<r@y.example>")]
)
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


NO_THRESHOLDS = "{tag_at: null, defer_at: null, quarantine_at: null, reject_at: null}"


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("", True),
        ("statistics: {enabled: false}", False),
        (f"flows: {{inbound: {NO_THRESHOLDS}}}", True),
        ("flows: {" + ", ".join(f"{flow}: {NO_THRESHOLDS}" for flow in Flow) + "}", False),
        ("flows: {" + ", ".join(f"{flow}: {{points: {{bulk.many: 0}}}}" for flow in Flow) + "}", True),
        (
            "flows: {"
            + ", ".join(f"{flow}: {{points: {{bulk.many: 0, bulk.trapped: 0}}}}" for flow in Flow)
            + "}",
            False,
        ),
    ],
    ids=["default", "disabled", "other-flows", "no-thresholds", "one-has-points", "no-points"],
)
def test_bulk_is_counted_where_its_points_can_matter(text: str, counted: bool) -> None:
    settings = loads(f"identity: {{hostname: mx.example.org, contact: 'https://help.example'}}\n{text}\n")
    assert is_counted(settings) is counted


def test_bulk_is_counted_where_one_domain_has_a_threshold(tmp_path: Path) -> None:
    flows = ", ".join(f"{flow}: {NO_THRESHOLDS}" for flow in Flow)
    settings = loads(
        f"identity: {{hostname: mx.example.org, contact: 'https://help.example'}}\nflows: {{{flows}}}\n"
    )
    path = tmp_path / "registry.yaml"
    servers = (
        "servers:\n  a.example:\n    addresses: [192.0.2.1]\n    domains:\n      a.example: {tag_at: %s}\n"
    )
    for threshold, counted in (("5", True), ("null", False)):
        path.write_text(servers % threshold)
        assert is_counted(settings.with_registry(load_registry(path))) is counted


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
    policyd: Policyd,
    keys: Sequence[str] = ("00" * 8,),
    trap: str = "",
    ticket: Ticket | None = None,
    assessor: BulkAssessor | None = None,
) -> Any:
    found: list[Any] = []
    result = ScanResult(traits=Traits(bulk=tuple(keys)))
    mail = Mail("id", ENVELOPE, None, Flow.INBOUND, ticket=ticket, result=result)  # type: ignore[arg-type]
    if assessor is None:
        traps = Spamtraps([trap] if trap else [])
        assessor = BulkAssessor(policyd.ask, traps, Clock().seconds, Log("test", stream=io.StringIO()))
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


class Outage:
    """policyd, which may be away, and one who asks it after mails."""

    def __init__(self) -> None:
        self.clock, self.output = Clock(), io.StringIO()
        self.policyd = Policyd({"seen": MANY})
        log = Log("test", stream=self.output)
        self.assessor = BulkAssessor(self.policyd.ask, Spamtraps([]), self.clock.seconds, log)

    def mail(self) -> Any:
        return assess(self.policyd, assessor=self.assessor)


def test_an_outage_is_logged_once_and_each_mail_that_was_not_counted_says_so() -> None:
    outage = Outage()
    outage.policyd.answer = None
    answers = [outage.mail() for _ in range(5)]
    assert {answer.failed for answer in answers} == {"not reachable"}
    assert all(answer.logged and not answer.clues for answer in answers)
    assert len(outage.policyd.asked) == 1
    assert outage.output.getvalue().count("event=") == 1
    assert "bulk-not-counted" in outage.output.getvalue()


def test_policyd_is_tried_again_behind_a_mail_that_does_not_wait() -> None:
    outage = Outage()
    outage.policyd.answer = None
    outage.mail()
    for _ in range(3):
        outage.clock.advance(PAUSE)
        assert outage.mail().failed
        assert outage.mail().failed
    assert len(outage.policyd.asked) == 1 + 3
    outage.policyd.answer = {"seen": MANY}
    outage.clock.advance(PAUSE)
    assert outage.mail().failed, "it did not wait for the answer"
    assert [clue.name for clue in outage.mail().clues] == ["bulk.many"]
    assert "event=bulk-counted-again missed=8" in outage.output.getvalue()
    outage.policyd.answer = None
    assert outage.mail().failed
    assert outage.output.getvalue().count("bulk-not-counted") == 2


def test_workers_make_no_digest_while_policyd_is_away_but_for_the_one_who_asks_again() -> None:
    outage = Outage()
    assert not outage.assessor.spares()
    outage.policyd.answer = None
    outage.mail()
    assert outage.assessor.spares()
    undigested = assess(outage.policyd, keys=(), assessor=outage.assessor)
    assert (undigested.failed, undigested.logged) == ("not reachable", True)
    outage.clock.advance(PAUSE)
    assert not outage.assessor.spares()
    short = assess(outage.policyd, keys=(), assessor=outage.assessor)
    assert not short.failed, "somebody has looked"
    outage.policyd.answer = {"seen": MANY}
    assert outage.mail().failed
    assert not outage.assessor.spares()
    assert "event=bulk-counted-again missed=3" in outage.output.getvalue()


def test_a_policyd_that_hangs_is_waited_for_by_those_in_hand_and_by_nobody_after_them() -> None:
    outage = Outage()
    waiting: list[Deferred[Any]] = []

    def hang(*_question: Any) -> Deferred[Any]:
        waiting.append(Deferred())
        return waiting[-1]

    assessor = BulkAssessor(hang, Spamtraps([]), outage.clock.seconds, Log("test", stream=outage.output))
    found: list[Any] = []
    result = ScanResult(traits=Traits(bulk=("00" * 8,)))
    mail = Mail("id", ENVELOPE, None, Flow.INBOUND, result=result)  # type: ignore[arg-type]
    for _ in range(2):
        Deferred.fromCoroutine(assessor.assess(mail)).addBoth(found.append)
    assert found == []
    for one in waiting:
        one.errback(ControlError("no answer in time"))
    outage.clock.advance(PAUSE)
    Deferred.fromCoroutine(assessor.assess(mail)).addBoth(found.append)
    assert [answer.failed for answer in found] == ["no answer in time"] * 3
    assert len(waiting) == 3, "the last asks, and nobody waits for it"
    assert outage.output.getvalue().count("event=") == 1


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


def test_a_text_keeps_its_keys_in_this_version() -> None:
    """What is counted under them in the store would be lost; of the short text some ranges have no hash."""
    assert VERSION == 2
    assert fuzzy_digest([" ".join(text(1, 28))]) == (
        "0e397a6cdf78077b", "8b462235813a4d19", "5ddc9837bb44edad", "a849acf3365d7ec9",
    )  # fmt: skip
    assert fuzzy_digest([" ".join(text(1))]) == (
        "6138851daae53867", "11b1922649ff5150", "0deb9b27bc2b161e", "bcb1ea4024ab11ee",
    )  # fmt: skip


def test_short_texts_have_no_digest() -> None:
    assert fuzzy_digest([]) == ()
    assert fuzzy_digest(["see attached"]) == ()
    assert fuzzy_digest(["again and again " * 100]) == ()


def test_case_spaces_and_marks_make_no_difference() -> None:
    words = text(2)
    assert fuzzy_digest([" ".join(words)]) == fuzzy_digest([",\n\n".join(words).upper()])


SCRIPTS = {
    "greek": (0x3B1, 24),
    "cyrillic": (0x430, 32),
    "hebrew": (0x5D0, 27),
    "arabic": (0x627, 36),
    "hindi": (0x904, 53),
    "thai": (0xE01, 46),
    "hiragana": (0x3041, 86),
    "chinese": (0x4E00, 20_000),
    "korean": (0xAC00, 11_000),
}


@pytest.mark.parametrize(("first", "letters"), SCRIPTS.values(), ids=SCRIPTS)
def test_other_scripts_have_digests_too(first: int, letters: int) -> None:
    chance = random.Random(4)
    words = ["".join(chr(first + chance.randrange(letters)) for _ in range(5)) for _ in range(150)]
    changed = [*words[:70], "word", *words[71:]]
    one, other = fuzzy_digest([" ".join(words)]), fuzzy_digest([" ".join(changed)])
    assert len(set(one) & set(other)) >= 2
    assert not set(one) & set(fuzzy_digest([" ".join(words[::-1])]))


def test_a_digest_stays_the_same() -> None:
    """If this fails, texts that are remembered are not known again: ``digest.VERSION`` must grow."""
    assert fuzzy_digest([" ".join(text(1))])[0] == "6138851daae53867"


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
