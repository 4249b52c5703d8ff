"""Reports: nobody waits for them, and they are bounded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from contentfilter.reporting import MAX_UNDER_WAY, TIMEOUT, Reporter
from mailbase.control import ControlError
from mailbase.replies import Reply
from mailbase.report import MAX_FINDINGS, Report
from mailbase.vocabulary import Action

REPORT = Report("0123456789abc", "192.0.2.1", "a@x.example", Action.REJECT, ("virus",), 100)


class FakePolicyd:
    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any], float]] = []
        self.answers: list[Deferred[dict[str, Any]]] = []

    async def request(self, verb: str, arguments: dict[str, Any], timeout: float) -> dict[str, Any]:
        self.asked.append((verb, arguments, timeout))
        self.answers.append(Deferred())
        return await self.answers[-1]


def test_a_report_goes_out_and_is_counted_by_its_fate() -> None:
    policyd, fates = FakePolicyd(), []
    reporter = Reporter(policyd, Deferred.fromCoroutine, fates.append)
    reporter.report(REPORT)
    assert policyd.asked == [("report", REPORT.to_dict(), TIMEOUT)]
    assert Report.from_dict(policyd.asked[0][1]) == REPORT
    assert fates == []
    policyd.answers[0].callback({"known": True})
    reporter.report(REPORT)
    policyd.answers[1].errback(ControlError("not reachable"))
    assert fates == ["taken", "failed"]


@pytest.mark.parametrize(
    ("action", "reply", "told"),
    [
        (Action.ACCEPT, "2.0.0 Ok: queued as 4XyzAB12cd", "4XyzAB12cd"),
        (Action.TAG, "2.0.0 Ok: queued as 8E32021845B", "8E32021845B"),
        (Action.REJECT, "2.0.0 Ok: queued as 8E32021845B", None),
        (Action.ACCEPT, "2.0.0 Ok", None),
        (Action.ACCEPT, "2.0.0 Ok: queued as ../../x", None),
    ],
)
def test_policyd_is_told_the_queue_id_of_a_mail_that_it_knows(
    action: Action, reply: str, told: str | None
) -> None:
    policyd = FakePolicyd()
    reporter = Reporter(policyd, Deferred.fromCoroutine, lambda fate: None)
    reporter.delivered(REPORT.id, Reply(250, "", reply))
    assert policyd.asked == []
    reporter.report(replace(REPORT, action=action))
    reporter.delivered(REPORT.id, Reply(250, "", reply))
    verbs = [(verb, arguments) for verb, arguments, _ in policyd.asked[1:]]
    assert verbs == ([] if told is None else [("queued", {"id": REPORT.id, "queue_id": told})])


def test_more_than_policyd_takes_is_dropped() -> None:
    policyd, fates = FakePolicyd(), []
    reporter = Reporter(policyd, Deferred.fromCoroutine, fates.append)
    for _ in range(MAX_UNDER_WAY + 3):
        reporter.report(REPORT)
    assert (len(policyd.asked), fates) == (MAX_UNDER_WAY, ["dropped"] * 3)
    policyd.answers[0].callback({})
    reporter.report(REPORT)
    assert len(policyd.asked) == MAX_UNDER_WAY + 1


@pytest.mark.parametrize(
    "change",
    [
        {"id": 1},
        {"client": None},
        {"action": "explode"},
        {"action": []},
        {"findings": "virus"},
        {"findings": [1]},
        {"size": "big"},
    ],
)
def test_what_is_no_report_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Report.from_dict({**REPORT.to_dict(), **change})
    with pytest.raises(ValueError, match="not a report"):
        Report.from_dict({})


def test_findings_are_bounded_and_clean() -> None:
    data = {**REPORT.to_dict(), "findings": ["x" * 1000, "\ud800"] * 100, "more": 1}
    report = Report.from_dict(data)
    assert len(report.findings) == MAX_FINDINGS
    assert max(map(len, report.findings)) == 60
    assert "".join(report.findings).encode()


@pytest.mark.parametrize(
    ("event", "reply", "more"),
    [
        ("released", "250 2.0.0 Ok: queued as 4XyzAB12cd", {"queue_id": "4XyzAB12cd"}),
        ("released", "250 2.0.0 Ok", {}),
        ("deleted", "", {}),
    ],
)
def test_policyd_is_told_what_a_command_took_out_of_the_quarantine(
    event: str, reply: str, more: dict[str, str]
) -> None:
    policyd = FakePolicyd()
    Reporter(policyd, Deferred.fromCoroutine, lambda fate: None).unquarantined(REPORT.id, event, reply)
    ((verb, arguments, _),) = policyd.asked
    assert (verb, arguments) == ("unquarantined", {"id": REPORT.id, "event": event, **more})
