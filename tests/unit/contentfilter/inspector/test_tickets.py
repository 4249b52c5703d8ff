"""What the inspector asks policyd by a mail's ticket, and what it does without an answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contentfilter.content.results import ScanResult
from contentfilter.disposition.disposition import Deliver
from contentfilter.disposition.recipients import LEFT_OUT
from contentfilter.origin.origin import TICKET_TIMEOUT, ticket_id
from mailbase.report import Report
from mailbase.spamtraps import Spamtraps
from mailbase.vocabulary import Action

from ..inspecting import (
    AFTER_QUEUE,
    ID,
    LISTENER,
    MACRO,
    TICKETED,
    VIRUS,
    reply,
)
from .upstreams import BOTH


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
