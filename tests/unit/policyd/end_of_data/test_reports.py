"""What contentfilter reports: refunds once, and never for what comes again."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailbase.control import ControlError
from mailbase.report import Report
from mailbase.store import StoreError
from policyd.end_of_data.reports import MAX_CLOSED, Reports
from tests.unit.awaited import result_of

LIMITS = (
    "flows: {submission: {limits: {few: {per: user, of: messages, limit: 5, within: 1h},"
    " big: {per: user, of: bytes, limit: 10000, within: 1h}}}}"
)
USER = {"sasl_username": "anna", "recipient": "b@elsewhere.example"}


class Desk:
    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.reports = Reports(bench.tickets, bench.charges, bench.clock.seconds)

    def mail(self, **who: str) -> str:
        """A mail to the end of its data; its ticket's id."""
        request = {**USER, **who, "instance": f"m{self.bench.instances}"}
        ticket = self.bench.reply(**request, protocol_state="DATA").rpartition(" ")[2]
        assert self.bench.reply(**request, protocol_state="END-OF-MESSAGE", size="1000") == "DUNNO"
        return str(ticket)

    def tell(self, ticket: str, action: str = "reject", **more: Any) -> Any:
        report = {"id": ticket, "client": "192.0.2.1", "sender": "someone@sender.example", "action": action}
        return result_of(self.reports.report({**report, **more}))

    def used(self) -> dict[str, int]:
        now = self.bench.clock.seconds()

        async def collect() -> dict[str, int]:
            rates = {limit.label: limit.rate for limit in self.bench.engine.policy.limits}
            return {
                name: round((full_at - now) / rates[name].interval)
                async for page in self.bench.limits.pages(now)
                for _key, (full_at, name, _subject, _expires) in page
            }

        found: list[Any] = []
        Deferred.fromCoroutine(collect()).addCallback(found.append)
        return dict(found[0])


@pytest.fixture
def desk(make_bench: Any) -> Desk:
    return Desk(make_bench(LIMITS))


def test_refused_mail_gets_back_what_it_took(desk: Desk) -> None:
    ticket = desk.mail()
    assert desk.used() == {"submission.few": 1, "submission.big": 1000}
    assert desk.tell(ticket) == {"known": True, "refunded": True}
    assert desk.used() == {}
    assert desk.bench.metrics.limits["submission", "few", "refunded"] == 1


def test_only_once(desk: Desk) -> None:
    first = desk.mail()
    desk.mail()
    desk.tell(first)
    assert desk.tell(first) == {"known": True, "refunded": False}
    assert desk.used() == {"submission.few": 1, "submission.big": 1000}
    assert desk.reports.counted == {"final": 1, "deferred": 0, "again": 1, "unknown": 0}


@pytest.mark.parametrize("action", ["accept", "tag", "quarantine", "discard"])
def test_mail_that_was_taken_gets_nothing_back_even_if_a_later_word_is_another(
    desk: Desk, action: str
) -> None:
    ticket = desk.mail()
    assert desk.tell(ticket, action) == {"known": True, "refunded": False}
    assert not desk.tell(ticket)["refunded"]
    assert desk.used() == {"submission.few": 1, "submission.big": 1000}


def test_after_a_deferral_the_last_word_counts(desk: Desk) -> None:
    ticket = desk.mail()
    assert not desk.tell(ticket, "defer")["refunded"]
    assert not desk.tell(ticket, "defer")["refunded"]
    assert desk.tell(ticket)["refunded"]
    assert desk.reports.counted["deferred"] == 2


def test_a_refund_survives_a_restart(desk: Desk) -> None:
    ticket = desk.mail()
    desk.bench.restart()
    desk.reports = Reports(desk.bench.tickets, desk.bench.charges, desk.bench.clock.seconds)
    assert desk.tell(ticket)["refunded"]
    desk.reports = Reports(desk.bench.tickets, desk.bench.charges, desk.bench.clock.seconds)
    assert not desk.tell(ticket)["refunded"]


def test_nobody_can_report_what_is_not_his(desk: Desk) -> None:
    ticket = desk.mail()
    assert desk.tell("0000000000000") == {"known": False}
    assert desk.tell(ticket, client="192.0.2.9") == {"known": False}
    assert desk.tell(ticket, sender="other@sender.example") == {"known": False}
    assert desk.used() == {"submission.few": 1, "submission.big": 1000}
    assert desk.reports.counted["unknown"] == 3


def test_others_can_listen(desk: Desk) -> None:
    heard: list[Any] = []
    desk.reports.hooks.append(lambda *what: heard.append(what))
    ticket = desk.mail()
    for action in ("defer", "reject", "reject"):
        desk.tell(ticket, action, findings=["virus"])
    assert [(its.user, report.action, first) for its, report, first in heard] == [
        ("anna", "defer", False),
        ("anna", "reject", True),
        ("anna", "reject", False),
    ]
    assert isinstance(heard[0][1], Report)


@pytest.mark.parametrize("broken", [{"action": "explode"}, {"id": 5}, {"findings": 1}])
def test_what_is_no_report_is_refused(desk: Desk, broken: dict[str, Any]) -> None:
    with pytest.raises(ControlError):
        desk.tell(desk.mail(), **broken)


def test_a_store_that_cannot_tell_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise StoreError("gone")

    heard: list[Any] = []
    desk.reports.hooks.append(lambda *what: heard.append(what))
    ticket = desk.mail()
    monkeypatch.setattr(desk.bench.limits, "give_back", fail)
    with pytest.raises(ControlError, match="gone"):
        desk.tell(ticket)
    # Who watches for hijacked accounts, and the journal, know it all the same.
    assert [(report.action, first) for _, report, first in heard] == [("reject", True)]


def test_memory_of_what_was_reported_is_bounded(desk: Desk) -> None:
    for number in range(3 * MAX_CLOSED):
        desk.reports._closed.put(str(number), True)
    assert len(desk.reports._closed) <= 2 * MAX_CLOSED
