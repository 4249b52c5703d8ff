"""From facts to actions and texts, by tables."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.disposition.policy import Policy
from contentfilter.disposition.reasons import BY_DMARC, REASONS, SPAM, UNSCANNED, spam_text
from contentfilter.disposition.total import add_up
from contentfilter.disposition.verdict import Verdict, decide
from mailbase.config import FINDING_NAMES, FlowsSettings
from mailbase.config.evidence import DEFAULT_POINTS
from mailbase.config.points import CLUE_POINTS
from mailbase.evidence import Evidence
from mailbase.vocabulary import UNSCANNED_REASONS, Action, Finding, Flow, Unscanned

ID = "0123456789abc"
FLOWS = FlowsSettings()

MACRO = Finding("office-macro", "2/report.zip/a.docm")
LOCKED = Finding("pdf-encrypted", "3/b.pdf")
DDE = Finding("office-dde", "1/c.doc")
OWNER = Finding("pdf-owner-restricted", "1/d.pdf")
CRASH = ScanFailed("workers", "crashed")
BUSY = ScanFailed("workers", "overload")


def verdict(
    *facts: Finding | Unscanned | ScanFailed, flow: Flow = Flow.INBOUND, **actions: Action
) -> Verdict:
    """One result per fact, as if each came from a scanner of its own."""
    settings = FLOWS.of(flow)
    policy = Policy(settings.actions, settings.unscanned)
    if actions:
        names = {name.replace("_", "-"): action for name, action in actions.items()}
        policy = Policy({**settings.actions, **names}, settings.unscanned)
    results: list[ScanResult | ScanFailed] = []
    for fact in facts:
        match fact:
            case ScanFailed():
                results.append(fact)
            case Finding():
                results.append(ScanResult((fact,)))
            case Unscanned():
                results.append(ScanResult((), (fact,)))
    return decide(ID, flow, policy, results)


@pytest.mark.parametrize(
    ("facts", "action", "cause"),
    [
        ([], Action.ACCEPT, None),
        ([OWNER], Action.ACCEPT, None),
        ([DDE], Action.TAG, DDE),
        ([MACRO], Action.REJECT, MACRO),
        ([DDE, MACRO], Action.REJECT, MACRO),
        ([CRASH], Action.DEFER, CRASH),
        ([BUSY], Action.DEFER, BUSY),
        ([CRASH, DDE], Action.DEFER, CRASH),
        ([CRASH, MACRO], Action.REJECT, MACRO),
        ([Unscanned("2", "encrypted")], Action.ACCEPT, None),
        ([Unscanned("2", "failed")], Action.DEFER, Unscanned("2", "failed")),
        ([Unscanned("2", "too-large")], Action.TAG, Unscanned("2", "too-large")),
    ],
)
def test_the_most_severe_decides(facts, action, cause):
    result = verdict(*facts)
    assert (result.action, result.cause) == (action, cause)


def test_the_configured_order_names_the_cause_whoever_finished_first():
    # office-macro stands before pdf-encrypted in the table.
    for order in itertools.permutations([LOCKED, MACRO, DDE, CRASH]):
        assert verdict(*order).cause == MACRO


@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize("name", sorted(FINDING_NAMES))
@pytest.mark.parametrize("action", Action)
def test_upstream_never_hears_5xx_and_nothing_is_dropped(flow, name, action):
    result = verdict(Finding(name, "1"), flow=flow, **{name.replace("-", "_"): action})
    assert result.action is not Action.DISCARD
    if flow is Flow.UPSTREAM:
        assert result.action is not Action.REJECT
        assert result.reply().code < 500


@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize(
    "reason", ["crashed", "timed-out", "out-of-memory", "unavailable", "protocol", "overload"]
)
def test_a_failure_is_never_a_pass_nor_a_5xx(flow, reason):
    result = verdict(ScanFailed("clamd", reason), flow=flow)
    assert result.action is Action.DEFER
    reply = result.reply()
    assert (reply.code, reply.status) == (451, "4.3.2" if reason == "overload" else "4.3.0")
    assert f"[{ID}]" in reply.text


def test_an_unknown_finding_is_no_pass():
    assert verdict(Finding("brand-new", "1")).action is Action.REJECT
    assert verdict(Finding("brand-new", "1"), flow=Flow.UPSTREAM).action is Action.QUARANTINE


def test_what_the_operator_lets_through_goes_through():
    assert verdict(MACRO, office_macro=Action.TAG).action is Action.TAG


def test_every_finding_and_reason_has_words():
    assert set(REASONS) == FINDING_NAMES
    assert set(UNSCANNED) == UNSCANNED_REASONS


@pytest.mark.parametrize("name", sorted(FINDING_NAMES))
def test_a_refusal_is_one_line_with_name_reason_advice_contact_and_id(name):
    result = verdict(
        Finding(name, "2/x" + "y" * 600 + "/" + "z" * 600), **{name.replace("-", "_"): Action.REJECT}
    )
    reply = result.reply("https://mx.example.org/mail?" + "q" * 92)
    line = reply.encode()
    assert line.startswith(b"550 5.7.1 " if name in BY_DMARC else b"554 5.7.1 ")
    assert len(line) <= 512
    assert line.endswith(b"q [" + ID.encode() + b"]\r\n")
    assert REASONS[name].what.encode() in line
    assert REASONS[name].advice.encode() in line


@pytest.mark.parametrize(
    ("part", "beginning"),
    [
        ("", "This message contains a macro"),
        ("2", "A part of this message contains a macro"),
        ("2/a.docm", 'The attachment "a.docm" contains a macro'),
        ("2/report.zip/x/y/a.docm", '"a.docm" in the attachment "report.zip" contains a macro'),
        ("1/2/a.docm", 'The attachment "a.docm" contains a macro'),
        ('2/"\\.docm', 'The attachment "\'/.docm" contains'),
    ],
)
def test_the_attachment_is_named_as_the_sender_knows_it(part, beginning):
    assert verdict(Finding("office-macro", part)).reply().text.startswith(beginning)


@pytest.mark.parametrize("evil", ["a\r\n250 ok", "a\n\naction=OK\n\n", "a\0b", "\udcff", "ä€", "x" * 5000])
def test_nothing_from_outside_gets_through_unencoded(evil):
    result = verdict(
        Finding("office-macro", f"2/{evil}"), Unscanned(evil, "too-large"), office_macro=Action.REJECT
    )
    line = result.reply(evil).encode()
    assert line.count(b"\r\n") == 1
    assert line.endswith(b"\r\n")
    assert all(32 <= octet < 127 for octet in line[:-2])
    tagged = verdict(DDE, Finding("office-dde", evil), Unscanned(evil, "too-large"))
    for header in tagged.header("X-Postwarden").split(b"\r\n")[:-1]:
        assert header.startswith(b"X-Postwarden-")
        assert len(header) <= 998
        assert all(32 <= octet < 127 for octet in header)


def test_header_lines():
    assert verdict().header("X-Postwarden") == f"X-Postwarden-Decision: {ID} accept flow=inbound\r\n".encode()
    tagged = verdict(DDE, OWNER, Unscanned("3/x.7z", "unsupported"), ScanFailed("clamd", "unavailable"))
    assert tagged.action is Action.DEFER
    tagged = verdict(DDE, OWNER, Unscanned("3/x.7z", "unsupported"))
    assert tagged.header("X-Mx").decode().split("\r\n") == [
        f"X-Mx-Decision: {ID} tag flow=inbound",
        'X-Mx-Findings: office-dde "1/c.doc", pdf-owner-restricted "1/d.pdf"',
        'X-Mx-Unscanned: unsupported "3/x.7z"',
        "",
    ]


def test_a_failure_that_policy_passes_is_written_on_the_mail():
    policy = Policy(FLOWS.inbound.actions, {**FLOWS.inbound.unscanned, "engine-failed": Action.TAG})
    tagged = decide(ID, Flow.INBOUND, policy, [ScanFailed("clamd", "unavailable")])
    assert tagged.action is Action.TAG
    assert b'X-P-Unscanned: engine-failed "clamd"' in tagged.header("X-P")
    # An overload is ours to bear, whatever the policy.
    assert decide(ID, Flow.INBOUND, policy, [BUSY]).action is Action.DEFER


@pytest.mark.parametrize("reason", ["unavailable", "timed-out", "overload", "crashed", "protocol"])
def test_a_spam_engine_that_says_nothing_holds_no_mail_up_unless_the_policy_says_so(reason):
    failed = ScanFailed("rspamd", reason)
    passed = decide(ID, Flow.INBOUND, Policy(FLOWS.inbound.actions, FLOWS.inbound.unscanned), [failed])
    assert (passed.action, passed.cause, passed.facts) == (Action.ACCEPT, None, (failed,))
    for action in (Action.TAG, Action.DEFER):
        policy = Policy(FLOWS.inbound.actions, {**FLOWS.inbound.unscanned, "spam-engine-failed": action})
        assert decide(ID, Flow.INBOUND, policy, [failed]).action is action


SCORED = Policy(FLOWS.inbound.actions, FLOWS.inbound.unscanned, tag_at=5.0, defer_at=8.0, reject_at=15.0)


def scored(
    points: float, *facts: Finding, policy: Policy = SCORED, flow: Flow = Flow.INBOUND, may_wait: bool = True
) -> Verdict:
    total = add_up((Clue("url.listed", "x.example", points), Clue("rule.zero", "", 0.0)), (), None)
    return decide(ID, flow, policy, [ScanResult(facts)], total, may_wait)


@pytest.mark.parametrize(
    ("points", "may_wait", "action"),
    [
        (-3.0, True, Action.ACCEPT),
        (4.999, True, Action.ACCEPT),
        (5.0, True, Action.TAG),
        (7.999, True, Action.TAG),
        (8.0, True, Action.DEFER),
        (8.0, False, Action.TAG),
        (14.999, True, Action.DEFER),
        (14.999, False, Action.TAG),
        (15.0, True, Action.REJECT),
        (15.0, False, Action.REJECT),
        (1000.0, False, Action.REJECT),
    ],
)
def test_the_total_decides_by_its_thresholds(points, may_wait, action):
    result = scored(points, may_wait=may_wait)
    assert result.action is action
    assert result.waits is (action is Action.DEFER)
    assert (result.cause is None) is (action is Action.ACCEPT)
    if result.cause is not None:
        assert result.cause == Finding("points", "", f"{points:g}: url.listed:{points:g}")


def test_what_was_found_and_is_worse_decides():
    for points in (5.0, 9.0, 20.0):
        result = scored(points, MACRO)
        assert (result.action, result.cause) == (Action.REJECT, MACRO)
        assert result.facts[-1].name == "points"
    result = scored(9.0, DDE)
    assert (result.action, result.cause) == (Action.DEFER, result.facts[-1])
    assert scored(2.0, DDE).cause == DDE


def test_without_thresholds_nothing_follows():
    policy = Policy(FLOWS.inbound.actions, FLOWS.inbound.unscanned)
    result = scored(999.0, policy=policy)
    assert (result.action, result.spam) == (Action.ACCEPT, False)
    assert b"Flag: NO\r\nX-P-Score: 999\r\n" in result.header("X-P")


@pytest.mark.parametrize("switch", ["scored", "protected"])
def test_who_wants_no_points_has_none(switch):
    result = scored(999.0, policy=replace(SCORED, **{switch: False}))
    assert (result.action, result.total, result.spam) == (Action.ACCEPT, None, False)
    assert b"Score" not in result.header("X-P")


@pytest.mark.parametrize("points", [6.0, 9.0, 99.0])
def test_mail_of_an_upstream_is_never_refused_nor_deferred_for_its_total(points):
    result = scored(points, flow=Flow.UPSTREAM)
    assert result.action in (Action.TAG, Action.QUARANTINE)


def test_who_wants_no_tag_gets_none_after_the_wait():
    result = scored(9.0, policy=replace(SCORED, tag_at=None), may_wait=False)
    assert (result.action, result.spam) == (Action.ACCEPT, False)


def test_a_refusal_for_the_total_says_why_in_words_and_not_how_much():
    clues = [
        Clue("url.listed", "evil.example", 9.0),
        Clue("rule.our-secret", "", 6.0),
        Clue("statistics.spam", "", 3.0),
        Clue("arc.pass", "", -1.0),
    ]
    total = add_up(clues, (), None)
    text = decide(ID, Flow.INBOUND, SCORED, [], total).reply("https://help.example").text
    assert text == (
        "This message looks like spam: it links to what is known from spam, and it has marks of spam. "
        f"If it is not, please ask the recipient's postmaster. https://help.example [{ID}]"
    )
    reply = decide(ID, Flow.INBOUND, SCORED, [], total).reply()
    assert (reply.code, reply.status) == (554, "5.7.1")


@pytest.mark.parametrize(("flow", "whom"), [(Flow.OUTBOUND, "your"), (Flow.SUBMISSION, "your")])
def test_our_own_people_are_sent_to_their_own_postmaster(flow, whom):
    assert f"please ask {whom} postmaster." in scored(99.0, flow=flow).reply().text


def test_the_id_stands_in_the_contact_where_it_asks_for_it():
    contact = "https://help.example/?id={id}"
    for result in (scored(99.0), replace(scored(9.0), wait=1), verdict(MACRO)):
        assert result.reply(contact).text.endswith(f" https://help.example/?id={ID} [{ID}]")
    assert verdict(MACRO).reply("https://help.example/{x}").text.endswith(f"/{{x}} [{ID}]")


def test_every_source_has_words_for_the_sender():
    assert SPAM.keys() >= CLUE_POINTS.keys() | DEFAULT_POINTS.keys() - {"dnswl"}
    longest = sorted(SPAM.values(), key=len)[-2:]
    assert len(", and ".join(longest)) < 150
    assert "attached" in spam_text(["name-mismatch"])
    assert spam_text([]).startswith("This message looks like spam. ")


def test_who_has_to_wait_hears_how_long():
    reply = replace(scored(9.0), wait=300).reply("https://help.example")
    assert (reply.code, reply.status) == (451, "4.7.1")
    assert reply.text == (
        f"This message looks like spam and has to wait, please try again in 300 s https://help.example [{ID}]"
    )


def test_the_lines_of_the_score():
    result = scored(6.25, DDE, may_wait=False)
    assert result.header("X-Mx").decode().split("\r\n") == [
        f"X-Mx-Decision: {ID} tag flow=inbound",
        "X-Mx-Flag: YES",
        "X-Mx-Score: 6.25",
        "X-Mx-Report: url.listed 6.25",
        'X-Mx-Findings: office-dde "1/c.doc"',
        "",
    ]


def test_a_score_below_0_is_told_as_0():
    header = scored(-2.5).header("X-P")
    assert b"\r\nX-P-Flag: NO\r\nX-P-Score: 0\r\nX-P-Report: url.listed -2.5\r\n" in header


def test_what_is_tagged_for_a_finding_is_not_flagged_as_spam():
    header = scored(1.0, DDE).header("X-P")
    assert b" tag " in header
    assert b"X-P-Flag: NO\r\n" in header


@pytest.mark.parametrize("flow", [Flow.OUTBOUND, Flow.SUBMISSION])
def test_mail_to_strangers_has_no_score_unless_it_is_tagged(flow):
    assert b"Score" not in scored(4.0, flow=flow).header("X-P")
    assert b"Flag: YES" in scored(6.0, flow=flow).header("X-P")


@pytest.mark.parametrize("name", ["a\r\nX-Evil: 1", "\0", "ä" * 50, "x" * 5000])
def test_a_report_is_printable_and_bounded(name):
    clues = [Clue(f"{name}{number}", name, 1.0) for number in range(500)]
    total = add_up(clues, (Finding("html-smuggling", name),), Evidence(3.0, (f"{name}:1",)))
    header = decide(ID, Flow.INBOUND, SCORED, [], total, False).header("X-Postwarden")
    for line in header.split(b"\r\n")[:-1]:
        assert line.startswith(b"X-Postwarden-")
        assert len(line) <= 998
        assert all(32 <= octet < 127 for octet in line)
