"""A mail through the inspector: answered, told, given to workers once, timed."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.disposition.disposition import Deliver
from contentfilter.inspector import RESERVE
from contentfilter.macros.allowlist import Allowlist
from contentfilter.macros.entry import entry_of
from contentfilter.macros.file import change
from mailbase.ids import is_id
from mailbase.logs import Log
from mailbase.vocabulary import Action, Finding, Flow, Unscanned

from ..inspecting import (
    MACRO,
    TICKETED,
    VIRUS,
    FakeClamd,
    Scene,
    codes,
    reply,
)


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
        "seconds_clamd=2",
        "seconds_total=5",
        "seconds_ticket=0",
    ):
        assert told in line
    for stage, seconds in {"wait": 2, "workers": 3, "clamd": 2, "total": 5, "ticket": 0}.items():
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
