"""Asks policyd how often mail of nearly the same text has come, and whether a spamtrap got it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from contentfilter.assessing import Assessment, Mail, Name
from contentfilter.clues import Clue
from contentfilter.policy import has_thresholds
from mailbase.bulk import VERB
from mailbase.config import Settings
from mailbase.config.points import BUILT_IN
from mailbase.control import ControlError
from mailbase.spamtraps import Spamtraps
from mailbase.vocabulary import Flow

MANY = 20
"""Mails of one text within the time that texts are remembered, from which they are many."""
TIMEOUT = 2.0
"""Seconds for policyd to answer."""

Ask = Callable[[str, dict[str, Any], float], Awaitable[dict[str, Any]]]


CLUES = ("bulk.trapped", "bulk.many")


def is_counted(settings: Settings) -> bool:
    """Whether bulk is counted: there are statistics, and a flow in which its points can lead to something."""
    return settings.statistics.enabled and any(
        has_thresholds(settings, flow)
        and any(settings.flows.of(flow).points.get(name, BUILT_IN[name]) for name in CLUES)
        for flow in Flow
    )


class BulkAssessor:
    """States ``bulk.trapped`` and ``bulk.many``.

    Arguments:
        ask: policyd.
        traps: dummy addresses, where policyd does not tell.
    """

    name: Name = "bulk"

    def __init__(self, ask: Ask, traps: Spamtraps) -> None:
        self._ask = ask
        self._traps = traps

    async def assess(self, mail: Mail) -> Assessment:
        """See :class:`contentfilter.assessing.Assessor`."""
        keys = () if mail.result is None else mail.result.traits.bulk
        if not keys:
            return Assessment()
        trapped = bool(mail.ticket is not None and mail.ticket.spamtraps) or (
            bool(self._traps)
            and any(self._traps.match(recipient.address) for recipient in mail.envelope.recipients)
        )
        try:
            answer = await self._ask(VERB, {"keys": list(keys), "trapped": trapped}, TIMEOUT)
        except ControlError as error:
            return Assessment(failed=str(error))
        clues = []
        seen = answer.get("seen")
        if answer.get("trapped") is True:
            clues.append(Clue("bulk.trapped", "a spamtrap got nearly the same text"))
        if isinstance(seen, int) and seen >= MANY:
            clues.append(Clue("bulk.many", f"nearly the same text came {seen} times"))
        return Assessment(clues)
