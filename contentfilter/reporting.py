"""Tells policyd what became of mails. Nobody waits for it, and without policyd it costs nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from contentfilter.disposition.account import Told, content
from mailbase.addresses import unpack
from mailbase.control import ControlError
from mailbase.replies import Reply
from mailbase.report import MAX_FINDINGS, QUEUED, UNQUARANTINED, VERB, Report
from mailbase.store.recent import Recent
from mailbase.ticket import Ticket
from mailbase.vocabulary import Action, Finding

if TYPE_CHECKING:
    from contentfilter.origin.origin import Origin

TIMEOUT = 5.0
"""Seconds for policyd to take a report."""
MAX_UNDER_WAY = 200
"""Reports that wait for policyd; more are dropped."""

REMEMBERED = 2_000
"""Mails, in one of two generations, that policyd knows and that are on their way to Postfix."""
_QUEUE_ID = re.compile(r"queued as ([0-9A-Za-z]{1,40})\b")
"""In Postfix's answer to the end of data."""

Fate = Literal["taken", "failed", "dropped"]
FATES: tuple[Fate, ...] = get_args(Fate)


class Policyd(Protocol):
    """policyd's control socket."""

    async def request(self, verb: str, arguments: dict[str, Any], timeout: float) -> dict[str, Any]: ...


class Reporter:
    """Arguments:
    policyd: a connection of its own, so that no question waits behind a report.
    behind: runs a coroutine that nobody waits for.
    ended: told how each report fared.
    """

    def __init__(
        self,
        policyd: Policyd,
        behind: Callable[[Coroutine[Any, Any, None]], object],
        ended: Callable[[Fate], None],
    ) -> None:
        self._policyd = policyd
        self._behind = behind
        self._ended = ended
        self._under_way = 0
        self._known: Recent[str, bool] = Recent(REMEMBERED)

    def report(self, report: Report) -> None:
        """Send ``report`` if there is room for it."""
        if report.action in (Action.ACCEPT, Action.TAG):
            self._known.put(report.id, True)
        self._ask(VERB, report.to_dict())

    def delivered(self, decision_id: str, reply: Reply) -> None:
        """Postfix has taken a mail: tell under which queue id, if policyd knows of the mail."""
        found = _QUEUE_ID.search(str(reply))
        if found is not None and self._known.get(decision_id, False):
            self._ask(QUEUED, {"id": decision_id, "queue_id": found[1]})

    def unquarantined(self, decision_id: str, event: str, reply: str) -> None:
        """A command has taken a mail out of the quarantine.

        Arguments:
            event: one of :data:`mailbase.report.TAKEN_OUT`.
            reply: Postfix's, if it has the mail now.
        """
        about = {"id": decision_id, "event": event}
        found = _QUEUE_ID.search(reply)
        self._ask(UNQUARANTINED, about if found is None else {**about, "queue_id": found[1]})

    def _ask(self, verb: str, arguments: dict[str, Any]) -> None:
        if self._under_way >= MAX_UNDER_WAY:
            self._ended("dropped")
            return
        self._under_way += 1
        self._behind(self._send(verb, arguments))

    async def _send(self, verb: str, arguments: dict[str, Any]) -> None:
        try:
            await self._policyd.request(verb, arguments, TIMEOUT)
        except ControlError:
            # policyd says what is wrong in its own log, if it is there.
            self._ended("failed")
        else:
            self._ended("taken")
        finally:
            self._under_way -= 1


def report_of(ticket: Ticket, told: Told, size: int, origin: Origin) -> Report:
    """What policyd is told of a mail.

    Arguments:
        ticket: policyd's for this mail.
        told: what was decided.
        size: octets.
        origin: where the mail came from.
    """
    verdict = told.shares[0].verdict
    names = [fact.name for fact in verdict.facts if isinstance(fact, Finding)]
    if origin.client is not None and origin.evidence is not None:
        # policyd has it on no ticket, and whoever asks why should find it.
        names += origin.evidence.facts
    found = tuple(dict.fromkeys(names))[:MAX_FINDINGS]
    whence = unpack(origin.client.address) if origin.client is not None else ""
    return Report(
        ticket.id,
        ticket.client,
        ticket.sender,
        # Of several the mildest: what anybody gets was not refused, and keeps what it took from limits.
        told.shares[-1].action,
        found,
        size,
        whence,
        told.reply,
        content(told),
    )
