"""Reverse DNS: has the client's address a name, does the name lead back to it, is it a provider's default?

Postfix has looked already: ``client_name`` is a name that leads back, ``reverse_client_name`` one that need
not. Only where the first is missing is DNS asked again, since Postfix says ``unknown`` for a failure as well.
"""

from __future__ import annotations

from mailbase.dns.answers import Found, RecordType
from mailbase.dns.names import reverse_name
from policyd.checks.dynamic import DynamicNames
from policyd.evidence.facts import Evidence
from policyd.evidence.inquiry import TEMPORARY, Inquiry, Subject, all_negative

MAX_NAMES = 10
"""PTR names that are looked up, as for SPF (RFC 7208 4.6.4)."""

_NO_PTR = Evidence("fcrdns", "no-ptr")
_NOT_CONFIRMED = Evidence("fcrdns", "not-confirmed")
_CONFIRMED = Evidence("fcrdns", "confirmed")
_TEMPORARY = Evidence("fcrdns", TEMPORARY)


class FcrdnsCheck:
    """Arguments:
    dynamic: knows the names that providers give by default.
    """

    name = "fcrdns"

    def __init__(self, dynamic: DynamicNames) -> None:
        self._dynamic = dynamic

    def inquire(self, subject: Subject) -> Inquiry:
        """See :class:`~policyd.evidence.inquiry.EvidenceCheck`."""
        if subject.name:
            return self._with_name(_CONFIRMED, subject.name, subject)
        names: tuple[str, ...] = (subject.reverse_name,)
        if not subject.reverse_name:
            (answer,) = yield ((reverse_name(subject.address), RecordType.PTR),)
            if not isinstance(answer, Found):
                return (_NO_PTR,) if all_negative((answer,)) else (_TEMPORARY,)
            names = tuple(str(record) for record in answer.records[:MAX_NAMES])
        # The other family's records say nothing of this address.
        family = RecordType.A if len(subject.address) == 4 else RecordType.AAAA
        answers = yield tuple((name, family) for name in names)
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, Found) and subject.address in answer.records:
                return self._with_name(Evidence("fcrdns", "confirmed", name), name, subject)
        if any(not isinstance(answer, Found) and not all_negative((answer,)) for answer in answers):
            return self._with_name(_TEMPORARY, names[0], subject)
        return self._with_name(_NOT_CONFIRMED, names[0], subject)

    def _with_name(self, fact: Evidence, name: str, subject: Subject) -> tuple[Evidence, ...]:
        if self._dynamic.matches(name, subject.address):
            return fact, Evidence("fcrdns", "dynamic-name", name)
        return (fact,)
