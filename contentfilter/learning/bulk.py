"""Asks policyd how often mail of nearly the same text has come, and whether a spamtrap got it.

Once it has not answered, mails go on without being asked about, until it answers to one that does not wait.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from contentfilter.assessing import Assessment, Mail, Name
from contentfilter.content.clues import Clue
from contentfilter.disposition.policy import has_thresholds
from contentfilter.together import begin
from mailbase.bulk import VERB
from mailbase.config import Settings
from mailbase.config.points import BUILT_IN
from mailbase.control import ControlError
from mailbase.logs import Log
from mailbase.spamtraps import Spamtraps
from mailbase.vocabulary import Flow

MANY = 20
"""Mails of one text within the time that texts are remembered, from which they are many."""
TIMEOUT = 2.0
"""Seconds for policyd to answer."""
PAUSE = 2.0
"""Seconds between two questions while it does not."""

Ask = Callable[[str, dict[str, Any], float], Awaitable[dict[str, Any]]]


CLUES = ("bulk.trapped", "bulk.many")


def is_counted(settings: Settings) -> bool:
    """Whether bulk is counted: there are statistics, and a flow in which its points can lead to something."""
    return (
        settings.contentfilter.analysis
        and settings.statistics.enabled
        and any(
            has_thresholds(settings, flow)
            and any(settings.flows.of(flow).points.get(name, BUILT_IN[name]) for name in CLUES)
            for flow in Flow
        )
    )


class BulkAssessor:
    """States ``bulk.trapped`` and ``bulk.many``.

    Arguments:
        ask: policyd.
        traps: dummy addresses, where policyd does not tell.
        seconds: the reactor's clock.
        log: for the beginning and the end of an outage.
    """

    name: Name = "bulk"

    def __init__(self, ask: Ask, traps: Spamtraps, seconds: Callable[[], float], log: Log) -> None:
        self._ask = ask
        self._traps = traps
        self._seconds = seconds
        self._log = log
        self._why = ""
        """Why policyd does not answer, as long as it does not."""
        self._again_at = 0.0
        self._missed = 0
        """Mails that it could not be asked about."""

    def spares(self) -> bool:
        """Whether workers need make no digest: policyd does not answer, and is not asked again yet."""
        return bool(self._why) and self._seconds() < self._again_at

    async def assess(self, mail: Mail) -> Assessment:
        """See :class:`contentfilter.assessing.Assessor`."""
        keys = () if mail.result is None else mail.result.traits.bulk
        if not keys:
            if mail.result is None or not self.spares():
                return Assessment()
            # It may have been too short to be counted; nobody has looked.
            self._missed += 1
            return Assessment(failed=self._why, logged=True)
        trapped = bool(mail.ticket is not None and mail.ticket.spamtraps) or (
            bool(self._traps)
            and any(self._traps.match(recipient.address) for recipient in mail.envelope.recipients)
        )
        question = {"keys": list(keys), "trapped": trapped}
        if why := self._why:
            self._missed += 1
            if self._seconds() >= self._again_at:
                self._again_at = self._seconds() + PAUSE
                begin(self._try_again(question))
            return Assessment(failed=why, logged=True)
        try:
            answer = await self._ask(VERB, question, TIMEOUT)
        except ControlError as error:
            return self._fail(str(error))
        clues = []
        seen = answer.get("seen")
        if answer.get("trapped") is True:
            clues.append(Clue("bulk.trapped", "a spamtrap got nearly the same text"))
        if isinstance(seen, int) and seen >= MANY:
            clues.append(Clue("bulk.many", f"nearly the same text came {seen} times"))
        return Assessment(clues)

    def _fail(self, why: str) -> Assessment:
        # Several may have waited for the answers that do not come.
        self._missed += 1
        if not self._why:
            self._why = why
            self._again_at = self._seconds() + PAUSE
            self._log.warning("bulk-not-counted", error=why)
        return Assessment(failed=why, logged=True)

    async def _try_again(self, question: dict[str, Any]) -> None:
        try:
            await self._ask(VERB, question, TIMEOUT)
        except ControlError:
            return
        self._log.info("bulk-counted-again", missed=self._missed)
        self._why, self._missed = "", 0
