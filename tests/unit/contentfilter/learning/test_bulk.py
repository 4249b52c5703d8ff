"""Mails like many others: when they are counted, what is stated, and what happens without policyd."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from contentfilter.assessing import Mail
from contentfilter.content.results import ScanResult
from contentfilter.content.traits import Traits
from contentfilter.learning.bulk import MANY, PAUSE, BulkAssessor, is_counted
from contentfilter.session.envelope import Envelope
from contentfilter.session.envelope import Path as MailPath
from mailbase.config import loads
from mailbase.control import ControlError
from mailbase.logs import Log
from mailbase.registry import load_registry
from mailbase.spamtraps import Spamtraps
from mailbase.ticket import Ticket
from mailbase.vocabulary import Flow

ENVELOPE = Envelope(
    MailPath("s@x.example", b"<s@x.example>"), recipients=[MailPath("r@y.example", b"<r@y.example>")]
)

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
