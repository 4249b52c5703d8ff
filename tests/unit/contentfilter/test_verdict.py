"""From facts to actions and texts, by tables."""

from __future__ import annotations

import itertools

import pytest

from contentfilter.policy import Policy
from contentfilter.reasons import REASONS, UNSCANNED
from contentfilter.results import ScanFailed, ScanResult
from contentfilter.verdict import Verdict, decide
from mailbase.config import FINDING_NAMES, FlowsSettings
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
    assert line.startswith(b"554 5.7.1 ")
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
