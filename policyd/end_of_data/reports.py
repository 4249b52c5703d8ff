"""Takes in what contentfilter did with each mail that has a ticket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, get_args

from mailbase.control import ControlError
from mailbase.control.server import Handler
from mailbase.report import VERB, Report
from mailbase.store import StoreError
from mailbase.store.recent import Recent
from mailbase.ticket import Ticket
from mailbase.vocabulary import Action
from policyd.end_of_data.tickets import Tickets
from policyd.limits.charges import Charges

MAX_CLOSED = 20_000
"""Tickets of which is remembered, in one of two generations, that the last word was spoken."""

Result = Literal["final", "deferred", "again", "unknown"]
RESULTS: tuple[Result, ...] = get_args(Result)
"""The last word on a mail; it will come again; it was reported before; nobody has such a ticket."""

Hook = Callable[[Ticket, Report, bool], None]
"""Told of each report: the mail's ticket, what became of it, and whether it is the first last word on it."""


class Reports:
    """Arguments:
    tickets: tell what the mail was.
    charges: what it took from limits.
    seconds: the clock, seconds since the epoch.

    Attributes:
        hooks: told of each report that belongs to a ticket.
        counted: reports by result, for the metrics.
    """

    def __init__(self, tickets: Tickets, charges: Charges, seconds: Callable[[], float]) -> None:
        self._tickets = tickets
        self._charges = charges
        self._seconds = seconds
        self._closed: Recent[str, bool] = Recent(MAX_CLOSED)
        self.hooks: list[Hook] = []
        self.counted: dict[Result, int] = dict.fromkeys(RESULTS, 0)

    def table(self) -> dict[str, Handler]:
        """Verb → handler."""
        return {VERB: self.report}

    async def report(self, request: dict[str, Any]) -> dict[str, Any]:
        """A :class:`~mailbase.report.Report`: what contentfilter did with a mail."""
        try:
            report = Report.from_dict(request)
            ticket = self._tickets.find(report.id, report.client, report.sender, self._seconds())
            if isinstance(ticket, Awaitable):
                ticket = await ticket
        except (ValueError, StoreError) as error:
            raise ControlError(str(error)) from error
        if ticket is None:
            self.counted["unknown"] += 1
            return {"known": False}
        result: Result = "deferred"
        if report.final:
            # A mail in the queue may be reported by parts, and again after our answer was lost.
            result = "again" if self._closed.get(report.id, False) else "final"
            self._closed.put(report.id, True)
        self.counted[result] += 1
        for hook in self.hooks:
            hook(ticket, report, result == "final")
        refunded = False
        if result == "final":
            # Last: nobody else misses the report if that cannot be done, for it is not told a second time.
            try:
                refunded = await self._charges.close(
                    report.id, report.action is Action.REJECT, self._seconds()
                )
            except StoreError as error:
                raise ControlError(str(error)) from error
        return {"known": True, "refunded": refunded}
