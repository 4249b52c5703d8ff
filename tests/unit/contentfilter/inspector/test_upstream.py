"""Mail of upstream relays: judged by its client, and never refused."""

from __future__ import annotations

import pytest

from contentfilter.content.results import ScanResult
from contentfilter.disposition.disposition import Deliver
from contentfilter.inspector import RESERVE
from mailbase.evidence import Evidence

from ..inspecting import (
    ID,
    MACRO,
    TICKETED,
    Scene,
    codes,
    reply,
)
from .upstreams import CLIENT, LOOKING, RELAY


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


def test_an_upstream_is_never_refused_but_its_mail_quarantined(scene):
    scene.pool.result = ScanResult((MACRO,))
    decision, disposition = scene.inspect(client="198.51.100.7")
    assert reply(disposition) == (250, "2.0.0")
    (kept,) = scene.quarantine.kept
    assert (kept.id, kept.cause) == (decision, MACRO)
    assert scene.count("contentfilter_messages_total", flow="upstream", action="quarantine") == 1
