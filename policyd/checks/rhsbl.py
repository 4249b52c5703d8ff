"""Lists of bad names: is the sender's domain, the HELO name or the client's own name on any (RFC 5782 3)?"""

from __future__ import annotations

from functools import lru_cache

from mailbase.addresses import MAX_DOMAIN, is_host_name, normal_domain
from mailbase.config.lists import ListKind, NameSource
from mailbase.lists.roster import Roster, Watched
from mailbase.organisation import organisation
from policyd.evidence.inquiry import Inquiry, Subject
from policyd.lists.asking import ask_lists

REMEMBERED = 2000
"""Names that were looked at lately."""

_SOURCES: tuple[NameSource, ...] = ("sender", "helo", "ptr")


class RhsblCheck:
    """Arguments:
    roster: knows the lists that are asked.
    """

    name = "rhsbl"

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    def inquire(self, subject: Subject) -> Inquiry:
        """See :class:`~policyd.evidence.inquiry.EvidenceCheck`.

        What stands in two places is asked after once.
        """
        lists = self._roster.asked[ListKind.RHSBL]
        if not lists:
            return ask_lists(self.name, ())
        names = {source: name for source in _SOURCES if (name := _name(subject, source))}
        questions: list[tuple[Watched, str]] = []
        sources: list[str] = []
        for watched in lists:
            asked: dict[str, str] = {}
            for source, name in names.items():
                if source in watched.definition.names:
                    wanted = organisation(name) if watched.definition.registrable else name
                    if wanted is not None:
                        asked[wanted] = f"{asked[wanted]}+{source}" if wanted in asked else source
            for name, places in asked.items():
                questions.append((watched, name))
                sources.append(places)
        return ask_lists(self.name, questions, sources)


def _name(subject: Subject, source: NameSource) -> str | None:
    """The name to be asked after; None where there is none, or only an address."""
    match source:
        case "sender":
            name = subject.sender_domain
        case "helo":
            name = subject.helo.strip()
        case "ptr":
            # Only a name that leads back: everybody can give his address any name.
            name = subject.name
    return _host_name(name) if name and len(name) <= MAX_DOMAIN + 1 else None


@lru_cache(maxsize=REMEMBERED)
def _host_name(text: str) -> str | None:
    """``text`` as a normalised host name of two labels or more; None for what is none."""
    name = normal_domain(text)
    return name if name is not None and is_host_name(name.replace("_", "-")) else None
