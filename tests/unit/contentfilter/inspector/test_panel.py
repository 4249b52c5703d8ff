"""What the panel adds to what the inspector knows."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from contentfilter.assessing import Assessment, Mail, StampFailed
from contentfilter.assessing import Name as PanelName
from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.disposition.disposition import Deliver
from contentfilter.metrics import Metrics
from contentfilter.panel import Panel
from mailbase.logs import Log
from mailbase.vocabulary import Flow

from ..inspecting import ID, MACRO, TICKETED, Scene, reply


class Panelist:
    """One of the panel: an assessor, a preparer and a stamper in one."""

    name: PanelName = "urls"

    def __init__(self, said: Any = None) -> None:
        self.said = said
        self.mails: list[Mail] = []

    async def assess(self, mail: Mail) -> Assessment:
        self.mails.append(mail)
        return Assessment(self.said)

    async def prepare(self, head: bytes, flow: Any) -> dict[str, Any]:
        return {"head": len(head)}

    async def stamp(self, mail: Mail, shares: Any) -> bytes:
        self.mails.append(mail)
        if isinstance(self.said, Exception):
            raise self.said
        return b"X-Stamp: 1\r\n"


@pytest.fixture
def with_panel(tmp_path):
    scene = Scene(tmp_path, configuration="flows: {inbound: {tag_at: 5, checks: true}}\n")
    metrics = Metrics(CollectorRegistry())
    scene.backends.panel = Panel(scene.clock, Log("test", stream=scene.output), metrics)
    return scene


def test_what_is_found_before_the_scan_goes_to_the_workers(with_panel):
    with_panel.backends.panel.preparers = [Panelist()]
    with_panel.inspect()
    assert with_panel.pool.given == {"urls": {"head": 21}}


class Asking(Panelist):
    """Prepares nothing for mail of registered systems; hears of the flow from the ticket."""

    def __init__(self) -> None:
        super().__init__()
        self.flows: list[Any] = []

    async def prepare(self, head: bytes, flow: Any) -> dict[str, Any]:
        self.flows.append(await flow.get())
        return {} if self.flows[-1] is Flow.OUTBOUND else {"head": len(head)}


def test_who_prepares_hears_of_the_flow_when_policyd_has_told_it(with_panel):
    asking = Asking()
    with_panel.backends.panel.preparers = [asking]
    with_panel.policyd.answer = {"found": True, "flow": "outbound"}
    with_panel.inspect(TICKETED)
    with_panel.inspect()
    assert asking.flows == [Flow.OUTBOUND, Flow.INBOUND]
    assert with_panel.pool.given == {"urls": {"head": 21}}


def test_what_ends_a_worker_is_remembered_though_nothing_was_prepared_and_a_result_is_not(with_panel):
    with_panel.backends.panel.preparers = [Asking()]
    with_panel.policyd.answer = {"found": True, "flow": "outbound"}
    with_panel.inspect(TICKETED)
    with_panel.inspect(TICKETED)
    assert len(with_panel.pool.asked) == 2
    with_panel.pool.result = ScanFailed("workers", "crashed", "SIGSEGV")
    with_panel.inspect(TICKETED)
    with_panel.inspect(TICKETED)
    assert len(with_panel.pool.asked) == 3


def test_what_the_workers_were_spared_is_told_to_them_and_the_result_is_not_remembered(with_panel):
    counter = Panelist([])
    counter.name, counter.spares = "bulk", lambda: True
    with_panel.backends.panel.after = [counter]
    with_panel.inspect()
    assert with_panel.pool.given == {"bulk": False}
    counter.spares = lambda: False
    with_panel.inspect()
    assert with_panel.pool.given == {}
    with_panel.inspect()
    assert len(with_panel.pool.asked) == 2, "the second result is remembered"


def test_the_points_of_workers_and_panel_make_one_total_with_policyds(with_panel):
    beside, after = Panelist([Clue("rspamd.score", "", 1.5)]), Panelist([Clue("url.listed", "", 1.5)])
    with_panel.backends.panel.beside, with_panel.backends.panel.after = [beside], [after]
    with_panel.policyd.answer = {
        "found": True,
        "flow": "inbound",
        "findings": [{"name": "helo.no-fqdn:1"}],
        "points": 1.0,
    }
    with_panel.pool.result = ScanResult(clues=(Clue("statistics.spam", "", 1.0),))
    _, disposition = with_panel.inspect(TICKETED)
    assert b"accept" not in disposition.header
    assert beside.mails[0].result is None
    assert after.mails[0].result == with_panel.pool.result
    assert after.mails[0].ticket is not None
    assert after.mails[0].ticket.id == ID
    with_panel.pool.result = ScanResult()
    _, disposition = with_panel.inspect(TICKETED + b"more\r\n")
    assert b" accept " in disposition.header


def test_stamps_stand_below_our_own_lines(with_panel):
    with_panel.backends.panel.stampers = [Panelist()]
    decision, disposition = with_panel.inspect()
    assert disposition == Deliver(
        f"X-Postwarden-Decision: {decision} accept flow=inbound\r\n".encode()
        + b"X-Postwarden-Flag: NO\r\nX-Postwarden-Score: 0\r\nX-Stamp: 1\r\n"
    )


def test_a_mail_that_cannot_be_stamped_waits(with_panel):
    with_panel.backends.panel.stampers = [Panelist(StampFailed("no key"))]
    _, disposition = with_panel.inspect()
    assert reply(disposition) == (451, "4.3.0")
    assert "no key" in with_panel.output.getvalue()


def test_a_mail_that_is_refused_is_not_stamped(with_panel):
    stamper = Panelist(StampFailed("no key"))
    with_panel.backends.panel.stampers = [stamper]
    with_panel.pool.result = ScanResult((MACRO,))
    _, disposition = with_panel.inspect()
    assert reply(disposition) == (554, "5.7.1")
    assert stamper.mails == []
