"""Lists of bad clients: is the client's address on any (RFC 5782 2.1, 2.4)?"""

from __future__ import annotations

from mailbase.config.lists import ListKind
from mailbase.lists.roster import Roster
from policyd.evidence.inquiry import Inquiry, Subject
from policyd.lists.asking import ask_after_address


class DnsblCheck:
    """Arguments:
    roster: knows the lists that are asked.
    """

    name = "dnsbl"

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    def inquire(self, subject: Subject) -> Inquiry:
        """See :class:`~policyd.evidence.inquiry.EvidenceCheck`."""
        return ask_after_address(self.name, self._roster.asked[ListKind.DNSBL], subject.address)
