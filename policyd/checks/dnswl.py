"""Lists of good clients: does any vouch for the client's address (RFC 5782 2.1, 2.4)?

A client that a list speaks for is also spared greylisting; see
:meth:`policyd.evidence.weights.Weighed.favoured_by`.
"""

from __future__ import annotations

from mailbase.config.lists import ListKind
from mailbase.lists.roster import Roster
from policyd.evidence.inquiry import Inquiry, Subject
from policyd.lists.asking import ask_after_address


class DnswlCheck:
    """Arguments:
    roster: knows the lists that are asked.
    """

    name = "dnswl"

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    def inquire(self, subject: Subject) -> Inquiry:
        """See :class:`~policyd.evidence.inquiry.EvidenceCheck`."""
        return ask_after_address(self.name, self._roster.asked[ListKind.DNSWL], subject.address)
