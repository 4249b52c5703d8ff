"""Recipients of one mail, each by its own policy, and the one answer or the many."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.disposition.disposition import Answer, Deliver
from contentfilter.disposition.policy import Policies, Policy
from contentfilter.disposition.recipients import LEFT_OUT, Share, differ, dispose, in_one_answer, judge
from contentfilter.disposition.verdict import Fact, Verdict
from contentfilter.session.envelope import Envelope, Path
from mailbase.config import FlowsSettings
from mailbase.config.points import FINDING_POINTS
from mailbase.evidence import Evidence
from mailbase.replies import Reply
from mailbase.vocabulary import SEVERITY, Action, Finding, Flow

ID = "0123456789abc"
MACRO = Finding("office-macro", "1/a.docm")
DDE = Finding("office-dde", "1/b.doc")
INBOUND = FlowsSettings().inbound
FLOW_POLICY = Policy(INBOUND.actions, INBOUND.unscanned)
LAX = Policy({**INBOUND.actions, "office-macro": Action.ACCEPT}, INBOUND.unscanned)
COMPLAINTS = Policy(INBOUND.actions, INBOUND.unscanned, instead=Action.QUARANTINE, scored=False)
OPEN = Policy(INBOUND.actions, INBOUND.unscanned, tag_at=1.0, protected=False)
POINTS = Policy(INBOUND.actions, INBOUND.unscanned, tag_at=4.0, defer_at=8.0, reject_at=15.0)


class Table(Policies):
    """The policy by the recipient's domain."""

    def __init__(self) -> None:
        self.by_domain = {"lax": LAX, "abuse": COMPLAINTS, "open": OPEN, "points": POINTS}

    def of_flow(self, flow: Flow) -> Policy:
        return FLOW_POLICY

    def of(self, flow: Flow, recipient: str) -> Policy:
        return self.by_domain.get(recipient.partition("@")[2], FLOW_POLICY)


def judged(*recipients, facts=(MACRO,), flow=Flow.INBOUND, left_out=(), evidence=None, clues=(), **more):
    envelope = Envelope(Path("s@x", b"<s@x>"), recipients=[Path(one, b"") for one in recipients])
    results = [fact if isinstance(fact, ScanFailed) else ScanResult((fact,)) for fact in facts]
    return judge(ID, flow, Table(), envelope, frozenset(left_out), results, evidence, clues=clues, **more)


def what(shares: list[Share]) -> list[tuple[Action, tuple[int, ...]]]:
    return [(share.action, share.places) for share in shares]


def share(action: Action, *places: int, cause: Fact = MACRO) -> Share:
    return Share(Verdict(ID, Flow.INBOUND, action, cause, (cause,)), places)


def test_each_by_its_own_policy_the_most_severe_first():
    shares = judged("a@lax", "b@x", "c@abuse", "d@y", "e@lax")
    assert what(shares) == [
        (Action.REJECT, (1, 3)),
        (Action.QUARANTINE, (2,)),
        (Action.ACCEPT, (0, 4)),
    ]
    assert shares[0].verdict.cause == MACRO
    assert shares[2].verdict.cause is None
    assert all(share.verdict.facts == (MACRO,) for share in shares)


def test_a_thousand_recipients_of_one_policy_are_one():
    (only,) = judged(*(f"r{number}@domain{number}" for number in range(1000)))
    assert only.places == tuple(range(1000))


@pytest.mark.parametrize(
    "fact", [MACRO, Finding("virus"), Finding("unheard-of"), ScanFailed("workers", "overload")]
)
def test_where_protection_is_off_nothing_leads_to_anything(fact):
    (only,) = judged("a@open", facts=(fact,), evidence=Evidence(100.0, ("x:100",)))
    assert (only.action, only.protected) == (Action.ACCEPT, False)
    assert only.verdict.facts == (fact,)


def test_points_count_for_those_that_have_a_threshold():
    evidence = Evidence(4.0, ("helo.not-fqdn:4",))
    shares = judged("a@x", "b@points", facts=(), evidence=evidence)
    assert what(shares) == [(Action.TAG, (1,)), (Action.ACCEPT, (0,))]


def test_clues_evidence_and_findings_make_one_total():
    clues = (Clue("url.listed", "", 3.0), Clue("rule.trial", "", 50.0, shadow=True))
    (only,) = judged(
        "b@points",
        facts=(Finding("html-smuggling", "2"),),
        evidence=Evidence(2.0, ("a.b:2",)),
        clues=clues,
    )
    assert only.verdict.total is not None
    assert only.verdict.total.points == 3.0 + 2.0 + FINDING_POINTS["html-smuggling"]
    assert only.verdict.spam


def test_a_mail_waits_only_if_it_may_and_is_for_nobody_who_takes_complaints():
    clues = (Clue("url.listed", "", 9.0),)
    assert what(judged("b@points", facts=(), clues=clues)) == [(Action.TAG, (0,))]
    assert what(judged("b@points", facts=(), clues=clues, may_wait=True)) == [(Action.DEFER, (0,))]
    assert what(judged("b@points", "c@abuse", facts=(), clues=clues, may_wait=True)) == [
        (Action.TAG, (0,)),
        (Action.ACCEPT, (1,)),
    ]


def test_recipients_with_other_thresholds_come_apart():
    shares = judged("a@x", "b@points", facts=(), clues=(Clue("url.listed", "", 15.0),))
    assert what(shares) == [(Action.REJECT, (1,)), (Action.ACCEPT, (0,))]
    assert differ(shares)


def test_a_finding_may_have_points_by_configuration():
    macro = Finding("office-macro", "2/a.docm", digest="0" * 64)
    table = Table()
    table.by_domain["points"] = replace(POINTS, points={"office-macro": 9.0})
    envelope = Envelope(Path("s@x", b""), recipients=[Path("b@points", b"")])
    (only,) = judge(ID, Flow.INBOUND, table, envelope, frozenset(), [ScanResult((macro,))], None)
    assert only.verdict.total is not None
    assert only.verdict.total.points == 9.0


def test_the_score_is_told_also_if_one_without_points_stands_first():
    shares = judged("c@abuse", "b@points", facts=(), clues=(Clue("url.listed", "", 2.0),))
    assert what(shares) == [(Action.ACCEPT, (0,)), (Action.ACCEPT, (1,))]
    disposition = dispose(shares)
    assert isinstance(disposition, Deliver)
    assert b"Score: 2\r\n" in disposition.header
    assert not disposition.apart


def test_who_takes_complaints_waits_as_others_do_when_we_are_in_trouble():
    (only,) = judged("a@abuse", facts=(ScanFailed("workers", "crashed"),))
    assert only.action is Action.DEFER


def test_spamtraps_are_in_no_share_unless_there_is_nobody_else():
    assert what(judged("t@x", "a@lax", left_out=[0])) == [(Action.ACCEPT, (1,))]
    assert what(judged("t@x", "t@lax", left_out=[0, 1])) == [(Action.DISCARD, (0, 1))]


def test_mail_to_spamtraps_alone_is_answered_as_any_that_is_taken():
    answer = dispose(
        judged("t@x", "t@lax", left_out=[0, 1]), frozenset({0, 1}), contact="https://help.example"
    )
    assert answer == Answer(Reply(250, "2.0.0", f"Ok [{ID}]"))


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ([Action.ACCEPT, Action.TAG, Action.QUARANTINE], False),
        ([Action.REJECT, Action.REJECT], False),
        ([Action.ACCEPT, Action.REJECT], True),
        ([Action.QUARANTINE, Action.REJECT], True),
        ([Action.ACCEPT, Action.DEFER], True),
        ([Action.DEFER, Action.REJECT], True),
    ],
)
def test_one_reply_is_right_for_all_or_not(actions, expected):
    assert differ([share(action, place) for place, action in enumerate(actions)]) is expected


def test_in_one_answer_what_would_be_refused_is_quarantined():
    shares = in_one_answer([share(Action.REJECT, 0), share(Action.TAG, 1)])
    assert what(shares) == [(Action.QUARANTINE, (0,)), (Action.TAG, (1,))]
    assert shares[0].verdict.cause == MACRO


def test_in_one_answer_all_wait_if_anybody_does():
    busy = ScanFailed("workers", "overload")
    shares = in_one_answer(
        [share(Action.REJECT, 0), share(Action.DEFER, 1, cause=busy), share(Action.TAG, 2)]
    )
    assert {one.action for one in shares} == {Action.DEFER}
    assert {one.verdict.reply().status for one in shares} == {"4.3.2"}


def test_who_gets_it_gets_it_at_once_the_others_hear_their_own():
    shares = [
        share(Action.REJECT, 1),
        share(Action.QUARANTINE, 3),
        share(Action.TAG, 0),
        share(Action.ACCEPT, 4),
    ]
    disposition = dispose(shares, frozenset({2}), kept="file")
    assert isinstance(disposition, Deliver)
    assert {place: reply.code for place, reply in disposition.apart.items()} == {1: 554, 2: 250, 3: 250}
    assert "quarantined" in disposition.apart[3].text
    assert b"X-Postwarden-Findings: office-macro" in disposition.header
    assert disposition.kept == "file"


def test_without_anybody_who_gets_it_each_hears_its_own():
    shares = [share(Action.REJECT, 1), share(Action.QUARANTINE, 0)]
    disposition = dispose(shares, frozenset({2}), contact="https://help.example")
    assert isinstance(disposition, Answer)
    assert disposition.reply.code == 554
    assert "https://help.example" in disposition.reply.text
    assert disposition.apart[2] == LEFT_OUT
    assert disposition.apart[0].code == 250


@pytest.mark.parametrize("recipients", [["a@x"], ["a@lax", "b@x", "c@abuse"], ["a@open", "b@x"]])
@pytest.mark.parametrize("facts", [(), (MACRO,), (DDE,), (MACRO, ScanFailed("clamd", "crashed"))])
def test_nobody_is_forgotten(recipients, facts):
    shares = judged(*recipients, facts=facts)
    assert sorted(place for one in shares for place in one.places) == list(range(len(recipients)))
    severities = [SEVERITY[one.action] for one in shares]
    assert severities == sorted(severities, reverse=True)
    disposition = dispose(shares)
    in_main = [one for one in shares if isinstance(disposition, Answer) or one.action in ("accept", "tag")]
    heard = set(disposition.apart) | {place for one in in_main for place in one.places}
    assert heard == set(range(len(recipients)))
