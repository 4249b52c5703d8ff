"""What each recipient of one mail gets, and what the client is told of that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.disposition.disposition import Deliver
from mailbase.registry import load_registry
from mailbase.spamtraps import Spamtraps
from mailbase.vocabulary import Action

from ..inspecting import MACRO, REGISTRY, TICKETED, Scene, codes, reply


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


MIXED = ("r@inst.example", "l@lax.example", "abuse@inst.example", "o@open.example", "trap@inst.example")


def test_on_lmtp_each_recipient_has_its_own_answer(scene):
    scene.backends.traps = Spamtraps(["trap@inst.example"])
    scene.pool.result = ScanResult((MACRO,))
    decision, disposition = scene.inspect(recipients=MIXED, lmtp=True)
    assert isinstance(disposition, Deliver)
    assert codes(disposition) == {0: 554, 2: 250, 4: 250}
    assert disposition.header.startswith(
        f"X-Postwarden-Decision: {decision} accept flow=inbound\r\n".encode()
    )
    ((verdict, envelope),) = scene.quarantine.kept_for
    assert [path.address for path in envelope.recipients] == ["abuse@inst.example"]
    assert (verdict.action, verdict.cause) == (Action.QUARANTINE, MACRO)
    assert disposition.kept == "file"
    line = scene.output.getvalue()
    assert "action=reject cause=office-macro" in line
    assert "actions=reject:1,quarantine:1,accept:1,accept:1 unprotected=1" in line
    for action, count in (("reject", 1), ("quarantine", 1), ("accept", 2)):
        assert scene.count("contentfilter_recipients_total", flow="inbound", action=action) == count
    assert scene.count("contentfilter_unprotected_recipients_total") == 1
    assert scene.count("contentfilter_messages_total", flow="inbound", action="reject") == 1
    assert scene.count("contentfilter_findings_total", name="office-macro") == 1


@pytest.mark.parametrize(
    ("recipients", "action"),
    [(MIXED[:2], Action.ACCEPT), (MIXED[:1], Action.REJECT), ((MIXED[0], MIXED[2]), Action.QUARANTINE)],
)
def test_what_anybody_gets_is_not_reported_as_refused(scene, recipients, action):
    """Else a recipient who refuses would give a hijacked account back what the others cost its limits."""
    scene.policyd.answer = {"found": True, "flow": "inbound"}
    scene.pool.result = ScanResult((MACRO,))
    scene.inspect(TICKETED, recipients=recipients, lmtp=True)
    assert scene.reports[0].action is action


def test_on_lmtp_a_quarantine_that_fails_makes_its_recipients_wait_alone(scene):
    scene.quarantine.problem = OSError(28, "No space left on device")
    scene.pool.result = ScanResult((MACRO,))
    _, disposition = scene.inspect(recipients=MIXED[:3], lmtp=True)
    assert isinstance(disposition, Deliver)
    assert (codes(disposition), disposition.kept) == ({0: 554, 2: 451}, "")


def test_on_smtp_answers_that_differ_make_the_client_come_again(scene):
    scene.policyd.answer = {"found": True, "flow": "inbound"}
    scene.pool.result = ScanResult((MACRO,))
    decision, disposition = scene.inspect(TICKETED, recipients=MIXED[:2])
    assert reply(disposition) == (451, "4.5.3")
    assert disposition.reply.text.endswith(f"[{decision}]")
    assert scene.reports[0].action is Action.DEFER
    assert scene.count("contentfilter_messages_total", flow="inbound", action="defer") == 1
    splits = scene.inspector._splits
    assert splits.recipients == 2
    # Nobody is quarantined before he has come by himself.
    scene.inspect(TICKETED, recipients=MIXED[:3])
    assert scene.quarantine.kept == []
    _, disposition = scene.inspect(TICKETED, recipients=MIXED[1:3])
    assert isinstance(disposition, Deliver)
    assert codes(disposition) == {1: 250}
    _, disposition = scene.inspect(TICKETED, recipients=MIXED[:1])
    assert reply(disposition) == (554, "5.7.1")
    assert len(splits) == 0


def test_while_they_wait_they_are_remembered(scene):
    scene.pool.result = ScanResult((MACRO,))
    scene.inspect(recipients=MIXED[:2])
    scene.pool.result = ScanFailed("workers", "overload")
    _, disposition = scene.inspect(b"Subject: hi\r\n\r\nchanged\r\n", recipients=MIXED[:1])
    assert reply(disposition) == (451, "4.3.2")
    assert scene.inspector._splits.recipients == 2


@pytest.mark.parametrize(("reason", "status", "count"), [("overload", "4.3.2", 0), ("crashed", "4.5.3", 1)])
def test_nobody_comes_apart_for_having_come_when_there_was_too_much_to_do(scene, reason, status, count):
    scene.pool.result = ScanFailed("workers", reason)
    _, disposition = scene.inspect(recipients=("a@inst.example", "b@open.example"))
    assert reply(disposition) == (451, status)
    assert len(scene.inspector._splits) == count


def test_on_smtp_delivered_and_quarantined_are_one_answer(scene):
    scene.pool.result = ScanResult((MACRO,))
    _, disposition = scene.inspect(recipients=MIXED[1:3])
    assert isinstance(disposition, Deliver)
    assert codes(disposition) == {1: 250}
    assert disposition.kept == "file"
    scene.inspector.take_back("file")
    assert scene.quarantine.taken_back == ["file"]


def test_on_smtp_a_quarantine_that_fails_makes_all_wait_and_delivers_nothing(scene):
    scene.quarantine.problem = OSError(28, "No space left on device")
    scene.pool.result = ScanResult((MACRO,))
    _, disposition = scene.inspect(recipients=MIXED[1:3])
    assert reply(disposition) == (451, "4.3.0")
    assert len(scene.inspector._splits) == 0
    assert scene.count("contentfilter_quarantine_failures_total") == 1


def test_who_cannot_come_again_for_some_is_refused_nothing(scene):
    scene.pool.result = ScanResult((MACRO,))
    _, disposition = scene.inspect(recipients=MIXED[:2], inseparable=True)
    assert isinstance(disposition, Deliver)
    assert codes(disposition) == {0: 250}
    ((_, envelope),) = scene.quarantine.kept_for
    assert [path.address for path in envelope.recipients] == ["r@inst.example"]


@pytest.mark.parametrize("lmtp", [False, True])
def test_an_upstreams_recipients_are_delivered_or_quarantined_each_on_its_own(scene, lmtp):
    scene.pool.result = ScanResult((MACRO,))
    _, disposition = scene.inspect(recipients=MIXED[:2], client="198.51.100.7", lmtp=lmtp)
    assert isinstance(disposition, Deliver)
    assert codes(disposition) == {0: 250}
    ((_, envelope),) = scene.quarantine.kept_for
    assert [path.address for path in envelope.recipients] == ["r@inst.example"]
    assert len(scene.inspector._splits) == 0


def test_an_upstream_is_never_told_to_come_again_for_some(scene):
    scene.pool.result = ScanFailed("workers", "crashed")
    _, disposition = scene.inspect(recipients=MIXED[:2], client="198.51.100.7")
    assert reply(disposition) == (451, "4.3.0")
    assert len(scene.inspector._splits) == 0


def test_a_reload_changes_the_policy_of_a_domain(scene, tmp_path):
    scene.pool.result = ScanResult((MACRO,))
    assert isinstance(scene.inspect(recipients=("l@lax.example",))[1], Deliver)
    (tmp_path / "registry.yaml").write_text(REGISTRY.replace("accept}, unscanned", "tag}, unscanned"))
    settings = scene.settings.with_registry(load_registry(tmp_path / "registry.yaml"))
    scene.inspector.backends = replace(scene.backends, settings=settings)
    _, disposition = scene.inspect(recipients=("l@lax.example",))
    assert b"X-Postwarden-Findings: office-macro" in disposition.header
