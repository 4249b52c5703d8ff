"""Spamtraps: a dummy address is accepted, whoever writes to it (C6); what comes of it is noted at DATA.

Nothing else is looked at: a callout would say that there is no such mailbox, and greylisting would keep away
those whom the trap is for.
"""

from __future__ import annotations

from mailbase.spamtraps import Spamtraps
from policyd.evidence.context import Context
from policyd.evidence.facts import SpamtrapFact
from policyd.protocol.request import Request, Stage

_TRAP, _NONE = SpamtrapFact(True), SpamtrapFact(False)


class SpamtrapCheck:
    """Arguments:
    traps: the dummy addresses.
    """

    name = "spamtrap"
    stages = frozenset({Stage.RCPT})

    def __init__(self, traps: Spamtraps) -> None:
        self._traps = traps

    def check(self, request: Request, context: Context) -> SpamtrapFact:
        """Whether the recipient is a spamtrap."""
        return _TRAP if self._traps.match(request.recipient) else _NONE
