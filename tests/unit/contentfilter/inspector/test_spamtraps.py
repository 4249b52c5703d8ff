"""Recipients who are left out or get through: spamtraps, and those who take complaints."""

from __future__ import annotations

import pytest

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.disposition.disposition import Deliver
from contentfilter.disposition.recipients import LEFT_OUT
from mailbase.evidence import Evidence
from mailbase.vocabulary import Action

from ..inspecting import (
    MACRO,
    TICKETED,
    Scene,
    reply,
)
from .upstreams import BOTH, CLIENT, LOOKING, RELAY


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
