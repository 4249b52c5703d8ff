"""Evidence on mail that a trusted relay passes on: on the client in the relay's Received line.

policyd sees no Received lines, and the relay's own address is no evidence; so contentfilter reads the line
and asks here, after DATA, what is known of that client.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from mailbase.addresses import domain_of, pack
from mailbase.control import ControlError
from mailbase.control.server import Handler
from mailbase.evidence import VERB, Evidence, Question
from policyd.checks.points import FlowPoints
from policyd.engine.account import one_line
from policyd.evidence.inquiry import Gather, Subject
from policyd.evidence.weights import Weighed


class UpstreamVerbs:
    """Arguments:
    points: how mail of upstream relays gets points; None where it gets none.
    gather: asks the checks.
    seconds: the clock, seconds since the epoch.
    deadline: seconds after which what is known counts.
    """

    def __init__(
        self,
        points: Callable[[], FlowPoints | None],
        gather: Gather,
        seconds: Callable[[], float],
        deadline: Callable[[], float],
    ) -> None:
        self._points = points
        self._gather = gather
        self._seconds = seconds
        self._deadline = deadline
        self.asked = 0

    def table(self) -> dict[str, Handler]:
        """Verb → handler."""
        return {VERB: self.evidence}

    async def evidence(self, request: dict[str, Any]) -> dict[str, Any]:
        """A :class:`~mailbase.evidence.Question`: what speaks for and against a client that we never saw."""
        try:
            question = Question.from_dict(request)
        except ValueError as error:
            raise ControlError(str(error)) from error
        address = pack(question.client)
        if address is None:
            raise ControlError("expected client: an IP address")
        self.asked += 1
        points = self._points()
        if points is None:
            return Evidence().to_dict()
        deadline = self._seconds() + self._deadline()
        collected = self._gather(points.checks, _subject(question, address), deadline, True)
        if isinstance(collected, Awaitable):
            collected = await collected
        return _told(points.weights.weigh(collected.evidence, collected.late)).to_dict()


def _subject(question: Question, address: bytes) -> Subject:
    name = question.name.lower()
    sender = one_line(question.sender)
    return Subject(
        address,
        name,
        name,
        one_line(question.helo),
        sender,
        domain_of(sender) if sender else None,
        # Nobody but the relay knows at which of its addresses.
        "",
    )


def _told(weighed: Weighed) -> Evidence:
    return Evidence(weighed.total, weighed.texts(), weighed.late)
