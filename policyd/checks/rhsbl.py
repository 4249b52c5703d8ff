"""Lists of bad names: is the sender's domain, the HELO name or the client's own name on any (RFC 5782 3)?"""

from __future__ import annotations

from mailbase.addresses import is_host_name, normal_domain
from mailbase.config.lists import ListKind, NameSource
from policyd.inquiry import Inquiry, Subject
from policyd.lists.asking import ask_lists
from policyd.lists.domains import Registrable
from policyd.lists.roster import Roster, Watched

_SOURCES: tuple[NameSource, ...] = ("sender", "helo", "ptr")


class RhsblCheck:
    """Arguments:
    roster: knows the lists that are asked.
    registrable: for lists that have registrable domains only.
    """

    name = "rhsbl"

    def __init__(self, roster: Roster, registrable: Registrable) -> None:
        self._roster = roster
        self._registrable = registrable

    def inquire(self, subject: Subject) -> Inquiry:
        """See :class:`~policyd.inquiry.EvidenceCheck`. What stands in two places is asked after once."""
        lists = self._roster.asked[ListKind.RHSBL]
        if not lists:
            return ask_lists(self.name, ())
        names = {source: name for source in _SOURCES if (name := _name(subject, source))}
        questions: list[tuple[Watched, str]] = []
        labels: list[str] = []
        for watched in lists:
            asked: dict[str, str] = {}
            for source, name in names.items():
                if source in watched.definition.names:
                    wanted = self._registrable(name) if watched.definition.registrable else name
                    if wanted is not None:
                        asked[wanted] = f"{asked[wanted]}+{source}" if wanted in asked else source
            for name, sources in asked.items():
                questions.append((watched, name))
                labels.append(f"{sources}={name}")
        return ask_lists(self.name, questions, labels)


def _name(subject: Subject, source: NameSource) -> str | None:
    """The name to be asked after; None where there is none, or only an address."""
    match source:
        case "sender":
            name = subject.sender_domain
        case "helo":
            name = normal_domain(subject.helo.strip())
        case "ptr":
            # Only a name that leads back: everybody can give his address any name.
            name = normal_domain(subject.name)
    if not name:
        return None
    return name if is_host_name(name.replace("_", "-")) else None
