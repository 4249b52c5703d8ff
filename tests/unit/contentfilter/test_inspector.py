"""What the inspector does with a mail, and with what others say of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.disposition.disposition import Deliver
from contentfilter.disposition.recipients import LEFT_OUT
from contentfilter.inspector import RESERVE
from contentfilter.macros.allowlist import Allowlist
from contentfilter.macros.entry import entry_of
from contentfilter.macros.file import change
from contentfilter.origin.origin import TICKET_TIMEOUT, ticket_id
from contentfilter.origin.received import Hop
from mailbase.evidence import Evidence
from mailbase.ids import is_id
from mailbase.logs import Log
from mailbase.report import Report
from mailbase.spamtraps import Spamtraps
from mailbase.vocabulary import Action, Finding, Flow, Unscanned

from .inspecting import (
    AFTER_QUEUE,
    ID,
    LISTENER,
    MACRO,
    TICKETED,
    VIRUS,
    FakeClamd,
    Scene,
    codes,
    reply,
)


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def test_clean_mail_is_delivered_with_its_decision_on_top(scene):
    decision, disposition = scene.inspect()
    assert is_id(decision)
    assert disposition == Deliver(
        f"X-Postwarden-Decision: {decision} accept flow=inbound\r\n".encode()
        + b"X-Postwarden-Flag: NO\r\nX-Postwarden-Score: 0\r\n"
    )
    assert scene.pool.asked == [(21, 75.0 - RESERVE)]
    assert scene.policyd.asked == []
    assert scene.count("contentfilter_messages_total", flow="inbound", action="accept") == 1
    assert scene.count("contentfilter_message_bytes_total") == 21


def test_a_macro_is_refused_in_the_operators_words(tmp_path):
    texts = "contentfilter: {replies: {office-macro: 'Keine Makros: {attachment} {contact} [{id}]'}}"
    scene = Scene(tmp_path, configuration=texts)
    scene.pool.result = ScanResult((MACRO,))
    decision, disposition = scene.inspect()
    assert disposition.reply.text == f"Keine Makros: a.docm https://help.example [{decision}]"
    assert f"Keine Makros: a.docm https://help.example [{decision}]" in scene.output.getvalue()


def test_a_macro_is_refused_with_name_contact_and_id(scene):
    scene.pool.result = ScanResult((MACRO,), (Unscanned("3", "encrypted"),), 5)
    decision, disposition = scene.inspect()
    assert reply(disposition) == (554, "5.7.1")
    text = disposition.reply.text
    assert '"a.docm"' in text
    assert text.endswith(f"https://help.example [{decision}]")
    assert scene.count("contentfilter_findings_total", name="office-macro") == 1
    assert scene.count("contentfilter_unscanned_total", reason="encrypted") == 1
    assert scene.count("contentfilter_parts_total") == 5
    line = scene.output.getvalue()
    for item in (
        f"id={decision}",
        "action=reject",
        "cause=office-macro:2/a.docm",
        "flow=inbound",
        "recipients=1",
    ):
        assert item in line
    assert "seconds_workers=" in line


def test_with_pseudonyms_the_log_tells_what_was_found_and_not_in_which_file(scene):
    scene.inspector._log = Log("test", stream=scene.output, pseudonym_key=b"key")
    scene.pool.result = ScanResult((MACRO, VIRUS), (Unscanned("3/b.zip", "encrypted", "c.txt"),), 5)
    scene.inspect()
    line = scene.output.getvalue()
    for item in ('findings="office-macro, virus"', "unscanned=encrypted", 'reply="554 5.7.1"'):
        assert item in line
    for name in ("a.docm", "b.zip", "c.txt", "Eicar", "x.example"):
        assert name not in line


def test_the_same_mail_is_given_to_the_workers_once(scene):
    scene.pool.result = ScanResult((MACRO,), (), 5)
    for trace in (b"Received: from a\r\n", b"Received: from b\r\n"):
        _, disposition = scene.inspect(trace + b"Subject: hi\r\n\r\nbody\r\n")
        assert reply(disposition) == (554, "5.7.1")
    assert len(scene.pool.asked) == 1
    assert scene.count("contentfilter_findings_total", name="office-macro") == 2
    assert scene.count("contentfilter_parts_total") == 5
    assert scene.count("contentfilter_scans_recalled_total", what="result") == 1


def test_the_workers_are_told_whether_dots_were_stuffed(scene):
    for wire in (b"Subject: hi\r\n\r\na.b\r\n", b"Subject: hi\r\n\r\n..b\r\n", b".a: hi\r\n\r\nb\r\n"):
        scene.inspect(wire)
    assert scene.pool.dotted == [False, True, True]


def test_a_mail_that_ended_a_worker_is_answered_without_another_one(scene):
    scene.pool.result = ScanFailed("workers", "crashed", "worker ended: SIGSEGV")
    for _ in range(3):
        _, disposition = scene.inspect()
        assert reply(disposition) == (451, "4.3.0")
    assert len(scene.pool.asked) == 1
    assert scene.count("contentfilter_scans_recalled_total", what="failure") == 2
    assert "not tried again: worker ended: SIGSEGV" in scene.output.getvalue()


def test_the_time_of_every_stage_is_told(tmp_path):
    scene = Scene(tmp_path, clamd=FakeClamd(answer=Deferred()))
    scene.pool.answer = Deferred()
    scene.start(TICKETED)
    scene.clock.advance(3.0)
    scene.pool.answer.callback(ScanResult(seconds=1.0))
    scene.clock.advance(2.0)
    scene.backends.engines[0].answer.callback(ScanResult())  # type: ignore[attr-defined]
    line = scene.output.getvalue()
    for told in (
        "seconds_wait=2",
        "seconds_workers=3",
        "seconds_clamd=5",
        "seconds_total=5",
        "seconds_ticket=0",
    ):
        assert told in line
    for stage, seconds in {"wait": 2, "workers": 3, "clamd": 5, "total": 5, "ticket": 0}.items():
        assert scene.count("contentfilter_scan_seconds_sum", stage=stage) == seconds
        assert scene.count("contentfilter_scan_seconds_count", stage=stage) == 1
    assert scene.count("contentfilter_engine_scans_total", engine="clamd", result="clean") == 1


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (ScanResult((VIRUS,)), "found"),
        (ScanResult(unscanned=(Unscanned("", "too-large"),)), "unscanned"),
        (ScanFailed("clamd", "unavailable"), "failed"),
    ],
)
def test_what_an_engine_says_is_counted(tmp_path, result, said):
    scene = Scene(tmp_path, clamd=FakeClamd(result))
    scene.inspect()
    assert scene.count("contentfilter_engine_scans_total", engine="clamd", result=said) == 1


def test_policyd_is_asked_about_the_topmost_line_and_its_answer_rules(scene):
    scene.policyd.answer = {"found": True, "flow": "submission", "user": "anna"}
    decision, disposition = scene.inspect(TICKETED)
    assert scene.policyd.asked == [
        ("ticket", {"id": ID, "client": "203.0.113.9", "sender": "Sender@x.example"}, TICKET_TIMEOUT)
    ]
    assert decision == ID
    assert isinstance(disposition, Deliver)
    assert b"flow=submission" in disposition.header
    assert "user=anna" in scene.output.getvalue()
    assert scene.count("contentfilter_tickets_total", result="found") == 1


def test_policyd_is_told_what_became_of_a_mail_with_a_ticket(scene):
    scene.policyd.answer = {"found": True, "flow": "inbound"}
    scene.pool.result = ScanResult((MACRO, MACRO, VIRUS))
    scene.inspect(TICKETED)
    (report,) = scene.reports
    assert replace(report, reply="", content=None) == Report(
        ID, "203.0.113.9", "Sender@x.example", Action.REJECT, ("office-macro", "virus"), len(TICKETED)
    )
    assert report.reply.startswith('554 5.7.1 The attachment "a.docm"')
    assert report.content is not None
    assert report.content["cause"] == "office-macro:2/a.docm"
    assert [fact["name"] for fact in report.content["facts"]] == ["office-macro", "office-macro", "virus"]
    assert scene.inspector.recent.get(ID, None) is not None


def test_without_a_ticket_there_is_nothing_to_tell(scene):
    scene.pool.result = ScanResult((MACRO,))
    scene.inspect()
    assert scene.reports == []


LOOKING = (
    "flows: {inbound: {tag_at: 4, checks: {helo: true}},"
    " upstream: {tag_at: 4, quarantine_at: 8, checks: true}}"
)
RELAY = "198.51.100.7"
CLIENT = Hop(b"\xc0\x00\x02\x63", "helo.example")


@pytest.mark.parametrize(
    ("points", "action"), [(3.9, "accept"), (4, "tag"), (7.5, "tag"), (8, "quarantine"), (99, "quarantine")]
)
def test_mail_of_an_upstream_is_judged_by_its_client(tmp_path, points, action):
    scene = Scene(tmp_path, configuration=LOOKING)
    scene.policyd.answer = {"found": True, "flow": "upstream", "points": 100}
    scene.found = (CLIENT, Evidence(points, ("helo.not-fqdn:1.5", "fcrdns.no-ptr:2")))
    _, disposition = scene.inspect(TICKETED, client=RELAY)
    assert scene.looked == [(TICKETED, ID, 75.0 - RESERVE)]
    assert scene.count("contentfilter_messages_total", flow="upstream", action=action) == 1
    assert scene.reports[0].origin == "192.0.2.99"
    told = ("helo.not-fqdn:1.5", "fcrdns.no-ptr:2")
    assert scene.reports[0].findings == (told if action == "accept" else ("points", *told))
    line = scene.output.getvalue()
    assert f"points={points} facts=helo.not-fqdn:1.5,fcrdns.no-ptr:2 address=192.0.2.99" in line
    if action == "quarantine":
        assert reply(disposition) == (250, "2.0.0")
        assert scene.quarantine.kept[0].cause.name == "points"
        assert scene.quarantine.kept[0].facts == (scene.quarantine.kept[0].cause,)
    else:
        rest = f"policyd {points - 3.5:g}, " if points - 3.5 > 2 else ""
        last = "" if rest else f", policyd {points - 3.5:g}"
        expected = (
            f"Score: {points:g}\r\nX-Postwarden-Report: {rest}fcrdns.no-ptr 2, helo.not-fqdn 1.5{last}\r\n"
        )
        assert expected.encode() in disposition.header
        assert (b"X-Postwarden-Flag: YES\r\n" in disposition.header) is (action == "tag")
    counted = scene.count("contentfilter_by_points_total", flow="upstream", action="tag")
    assert counted == (action == "tag")
    assert scene.count("contentfilter_by_points_total", flow="upstream", action="quarantine") == (
        action == "quarantine"
    )


def test_without_a_ticket_the_upstream_is_known_by_its_address(tmp_path):
    scene = Scene(tmp_path, configuration=LOOKING)
    scene.found = (CLIENT, Evidence(8.0, ("x.y:8",)))
    scene.inspect(client=RELAY)
    assert len(scene.looked) == len(scene.quarantine.kept) == 1


@pytest.mark.parametrize("found", [(None, None), (CLIENT, None)])
def test_what_cannot_be_told_changes_nothing(tmp_path, found):
    scene = Scene(tmp_path, configuration=LOOKING)
    scene.found = found
    _, disposition = scene.inspect(client=RELAY)
    assert isinstance(disposition, Deliver)
    assert b" accept flow=upstream" in disposition.header


def test_points_hold_back_those_they_count_for(tmp_path):
    scene = Scene(tmp_path, configuration=LOOKING)
    scene.found = (CLIENT, Evidence(99.0, ("x.y:99",)))
    _, disposition = scene.inspect(client=RELAY, recipients=("abuse@inst.example", "r@inst.example"))
    assert isinstance(disposition, Deliver)
    assert b" accept flow=upstream" in disposition.header
    assert codes(disposition) == {1: 250}


def test_other_mail_is_not_looked_at_again_but_tagged_by_its_tickets_points(tmp_path):
    scene = Scene(tmp_path, configuration=LOOKING)
    scene.policyd.answer = {
        "found": True,
        "flow": "inbound",
        "points": 5,
        "findings": [{"name": "helo.not-fqdn"}],
        "facts": ["helo.not-fqdn:5"],
    }
    _, disposition = scene.inspect(TICKETED)
    assert scene.looked == []
    assert isinstance(disposition, Deliver)
    assert (
        b"-Flag: YES\r\nX-Postwarden-Score: 5\r\nX-Postwarden-Report: helo.not-fqdn 5\r\n"
        in disposition.header
    )
    scene.policyd.answer |= {"points": 3.9, "facts": ["helo.not-fqdn:3.9"]}
    _, disposition = scene.inspect(TICKETED)
    assert (
        b"-Flag: NO\r\nX-Postwarden-Score: 3.9\r\nX-Postwarden-Report: helo.not-fqdn 3.9\r\n"
        in disposition.header
    )


def test_with_every_check_off_nobody_is_looked_at(scene):
    scene.found = (CLIENT, Evidence(99.0, ("x.y:99",)))
    _, disposition = scene.inspect(client=RELAY)
    assert scene.looked == []
    assert isinstance(disposition, Deliver)


@pytest.mark.parametrize(
    ("recipients", "action"),
    [
        (("Abuse+x@inst.example",), "accept"),
        (("abuse@inst.example", "postmaster@inst.example"), "accept"),
    ],
)
def test_complaints_get_through(tmp_path, recipients, action):
    scene = Scene(tmp_path, configuration=LOOKING)
    scene.found = (CLIENT, Evidence(99.0, ("x.y:99",)))
    _, disposition = scene.inspect(client=RELAY, recipients=recipients)
    assert isinstance(disposition, Deliver)
    assert f" {action} flow=upstream".encode() in disposition.header


def test_content_that_is_worse_decides(tmp_path):
    scene = Scene(tmp_path, configuration=LOOKING)
    scene.found = (CLIENT, Evidence(4.0, ("x.y:4",)))
    scene.pool.result = ScanResult((MACRO,))
    scene.inspect(client=RELAY)
    assert scene.quarantine.kept[0].cause == MACRO


TRAPPED = {"found": True, "flow": "inbound", "spamtraps": ["Trap@inst.example"]}
BOTH = ("trap@inst.example", "r@inst.example")


def test_a_spamtrap_is_left_out_and_the_others_get_their_mail(scene):
    scene.policyd.answer = TRAPPED
    _, disposition = scene.inspect(TICKETED, recipients=BOTH)
    assert isinstance(disposition, Deliver)
    assert disposition.apart == {0: LEFT_OUT}
    assert scene.count("contentfilter_spamtrap_recipients_total") == 1
    assert " recipients=2 spamtraps=1 " in scene.output.getvalue()
    assert scene.reports[0].action is Action.ACCEPT


@pytest.mark.parametrize("result", [ScanResult(), ScanResult((MACRO,)), ScanFailed("workers", "overload")])
def test_mail_to_spamtraps_alone_is_discarded_whatever_it_holds(scene, result):
    scene.policyd.answer = TRAPPED
    scene.pool.result = result
    decision, disposition = scene.inspect(TICKETED, recipients=("<TRAP@inst.example>", '"trap"@inst.example'))
    assert reply(disposition) == (250, "2.0.0")
    assert disposition.reply.text == f"Ok [{decision}]"
    assert scene.count("contentfilter_messages_total", flow="inbound", action="discard") == 1
    assert scene.reports[0].action is Action.DISCARD
    assert "action=discard" in scene.output.getvalue()


def test_refused_and_quarantined_mail_leaves_spamtraps_out(scene):
    scene.policyd.answer = TRAPPED
    scene.pool.result = ScanResult((MACRO,))
    _, disposition = scene.inspect(TICKETED, recipients=BOTH)
    assert reply(disposition) == (554, "5.7.1")
    assert disposition.apart == {0: LEFT_OUT}
    scene.policyd.answer = {**TRAPPED, "flow": "upstream"}
    scene.inspect(TICKETED, recipients=BOTH)
    ((_, envelope),) = scene.quarantine.kept_for
    assert [path.address for path in envelope.recipients] == ["r@inst.example"]


def test_without_policyd_the_configuration_tells(scene):
    scene.backends.traps = Spamtraps(["trap@inst.example"])
    _, disposition = scene.inspect(recipients=BOTH)
    assert disposition.apart == {0: LEFT_OUT}
    _, disposition = scene.inspect(recipients=("trap+1@inst.example",))
    assert reply(disposition) == (250, "2.0.0")


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (None, "unavailable"),
        ({"found": False}, "unknown"),
        ({}, "unknown"),
        ({"found": "yes"}, "unknown"),
        ({"found": True}, "unavailable"),
        ({"found": True, "flow": "everything"}, "unavailable"),
        ({"found": True, "flow": "upstream", "id": "1" * 13}, "unknown"),
    ],
)
def test_without_an_answer_the_mail_goes_on_by_what_we_know(scene, answer, result):
    scene.policyd.answer = answer
    decision, disposition = scene.inspect(TICKETED)
    assert decision != ID
    assert isinstance(disposition, Deliver)
    assert b"flow=inbound" in disposition.header
    assert scene.count("contentfilter_tickets_total", result=result) == 1


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (TICKETED, ID),
        (b"x-postwarden-id:" + ID.encode() + b"\r\n", ID),
        (b"A: b\r\nX-Postwarden-Id: " + ID.encode() + b"\r\nX-Postwarden-Id: 1111111111111\r\n\r\n", ID),
        (b"Subject: x\r\n\r\nX-Postwarden-Id: " + ID.encode() + b"\r\n", ""),
        (b"X-Postwarden-Id: " + ID.upper().encode() + b"\r\n", ID),
        (b"X-Postwarden-Id: " + b"z" * 13 + b"\r\n", ""),
        (b"X-Postwarden-Id: " + ID.encode() + b" more\r\n", ""),
        (b"NotX-Postwarden-Id: " + ID.encode() + b"\r\n", ""),
        (b"", ""),
    ],
)
def test_the_ticket_line(head, expected):
    assert ticket_id(head) == expected


@pytest.mark.parametrize(
    ("client", "listener", "flow"),
    [
        ("203.0.113.9", LISTENER, "inbound"),
        ("198.51.100.7", LISTENER, "upstream"),
        ("192.0.2.77", LISTENER, "outbound"),
        ("::ffff:198.51.100.7", LISTENER, "upstream"),
        ("203.0.113.9", AFTER_QUEUE, "submission"),
        ("198.51.100.7", AFTER_QUEUE, "upstream"),
        ("", LISTENER, "inbound"),
        ("garbage", AFTER_QUEUE, "submission"),
    ],
)
def test_the_flow_without_a_ticket(scene, client, listener, flow):
    _decision, disposition = scene.inspect(client=client, listener=listener)
    assert isinstance(disposition, Deliver)
    assert f"flow={flow}".encode() in disposition.header


def test_an_upstream_is_never_refused_but_its_mail_quarantined(scene):
    scene.pool.result = ScanResult((MACRO,))
    decision, disposition = scene.inspect(client="198.51.100.7")
    assert reply(disposition) == (250, "2.0.0")
    (kept,) = scene.quarantine.kept
    assert (kept.id, kept.cause) == (decision, MACRO)
    assert scene.count("contentfilter_messages_total", flow="upstream", action="quarantine") == 1


def test_a_full_disk_leaves_the_mail_with_the_client(scene):
    scene.pool.result = ScanResult((MACRO,))
    scene.quarantine.problem = OSError(28, "No space left on device")
    _decision, disposition = scene.inspect(client="198.51.100.7")
    assert reply(disposition) == (451, "4.3.0")
    assert scene.count("contentfilter_quarantine_failures_total") == 1
    assert scene.count("contentfilter_messages_total", flow="upstream", action="defer") == 1
    assert scene.count("contentfilter_messages_total", flow="upstream", action="quarantine") == 0


@pytest.mark.parametrize(("reason", "status"), [("crashed", "4.3.0"), ("overload", "4.3.2")])
def test_a_scanner_that_fails_makes_the_mail_wait(scene, reason, status):
    scene.pool.result = ScanFailed("workers", reason)
    _decision, disposition = scene.inspect()
    assert reply(disposition) == (451, status)
    assert scene.count("contentfilter_scanner_failures_total", scanner="workers", reason=reason) == 1


def test_scanners_run_side_by_side_and_order_of_finishing_does_not_matter(tmp_path):
    texts = []
    for first in ("pool", "clamd"):
        clamd = FakeClamd(answer=Deferred())
        scene = Scene(tmp_path, clamd=clamd)
        scene.pool.answer = Deferred()
        results: list[Any] = []
        scene.start().addBoth(results.append)
        assert not results
        order = [(scene.pool.answer, ScanResult((MACRO,))), (clamd.answer, ScanResult((VIRUS,)))]
        for answer, result in order if first == "pool" else reversed(order):
            assert answer is not None
            answer.callback(result)
        texts.append(results[0][1].reply.text[:30])
    assert texts[0] == texts[1] == 'The attachment "a.docm" contai'


def test_clamd_alone_failing_is_no_pass(tmp_path):
    scene = Scene(tmp_path, clamd=FakeClamd(ScanFailed("clamd", "unavailable")))
    _decision, disposition = scene.inspect()
    assert reply(disposition) == (451, "4.3.0")


def test_when_nobody_waits_all_is_given_up(tmp_path):
    clamd = FakeClamd(answer=Deferred())
    scene = Scene(tmp_path, clamd=clamd)
    scene.pool.answer = Deferred()
    inspection = scene.start()
    inspection.cancel()
    inspection.addErrback(lambda failure: failure.trap(CancelledError) and None)
    assert scene.pool.answer.called
    assert clamd.answer is not None
    assert clamd.answer.called
    assert scene.output.getvalue() == ""


def test_our_own_mistake_is_raised_not_passed(tmp_path):
    scene = Scene(tmp_path, clamd=FakeClamd(answer=Deferred()))
    scene.pool.answer = Deferred()
    failures: list[Any] = []
    scene.start().addErrback(failures.append)
    scene.pool.answer.errback(ZeroDivisionError())
    assert failures[0].check(ZeroDivisionError)
    assert scene.backends.engines[0].answer.called  # type: ignore[attr-defined]


def test_every_label_starts_at_zero(scene):
    for flow in Flow:
        for action in Action:
            assert scene.count("contentfilter_messages_total", flow=flow, action=action) == 0
    assert scene.count("contentfilter_findings_total", name="pdf-encrypted") == 0
    assert scene.count("contentfilter_scanner_failures_total", scanner="clamd", reason="unavailable") == 0
    assert scene.count("contentfilter_workers_ended_total", fate="crashed") == 0


def test_an_allowed_macro_is_told_and_not_acted_on(scene, tmp_path):
    digest = "0" * 40
    macro = Finding("office-macro", "2/a.docm", "VBA in x", digest)
    scene.pool.result = ScanResult((macro,))
    path = tmp_path / "allowed"
    change(path, lambda _old: [entry_of(digest, "inst.example")])
    scene.backends.allowed = Allowlist(path, Log("test", stream=scene.output), lambda: 1795312800.0)
    _decision, disposition = scene.inspect()
    assert isinstance(disposition, Deliver)
    assert scene.count("contentfilter_findings_total", name="office-macro-allowed") == 1
    assert f"office-macro-allowed:2/a.docm(VBA in x)#{digest}" in scene.output.getvalue()
    both = ("r@inst.example", "r@other.example")
    assert reply(scene.inspect(recipients=both)[1]) == (451, "4.5.3")
    _decision, disposition = scene.inspect(recipients=both, lmtp=True)
    assert codes(disposition) == {1: 554}
    assert f"office-macro:2/a.docm(VBA in x)#{digest}" in scene.output.getvalue()
