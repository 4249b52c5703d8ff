"""The sender's domain: could an answer or a bounce be delivered there at all (RFC 5321 5.1, RFC 7505)?"""

from __future__ import annotations

from mailbase.addresses import normal_domain
from mailbase.dns.answers import Found, Mx, NxDomain, RecordType
from mailbase.reserved import is_private
from policyd.evidence.facts import Evidence
from policyd.evidence.inquiry import (
    TEMPORARY,
    Inquiry,
    Subject,
    addresses_in,
    all_negative,
)

MAX_HOSTS = 10
"""Mail exchangers that are looked up, the preferred ones first."""

_TEMPORARY = Evidence("sender_domain", TEMPORARY)


class SenderDomainCheck:
    """Has no arguments: DNS says it all."""

    name = "sender_domain"

    def inquire(self, subject: Subject) -> Inquiry:
        """See :class:`~policyd.evidence.inquiry.EvidenceCheck`. Of the null sender nothing is stated."""
        domain = subject.sender_domain
        if domain is None:
            return _unfit(subject.sender)
        if domain[:1] == "[":
            return ()
        # Not the addresses beside it: nearly all who send have an MX, and two questions a mail are many.
        (mx,) = yield ((domain, RecordType.MX),)
        if isinstance(mx, NxDomain):
            return (Evidence("sender_domain", "no-mail-host", domain),)
        if not isinstance(mx, Found):
            return (yield from _look_up(domain, [domain])) if all_negative((mx,)) else (_TEMPORARY,)
        exchanges = sorted(record for record in mx.records if isinstance(record, Mx))
        hosts = [record.exchange for record in exchanges if record.exchange][:MAX_HOSTS]
        if not hosts:
            return (Evidence("sender_domain", "null-mx", domain),)
        return (yield from _look_up(domain, hosts))


def _unfit(sender: str) -> tuple[Evidence, ...]:
    """What can be said of a sender without a domain that could be asked about."""
    _, at, name = sender.rpartition("@")
    if not at or name[:1] == "[" or name[-1:] == '"' or normal_domain(name) is not None:
        return ()
    # No name in DNS is spelt like that.
    return (Evidence("sender_domain", "no-mail-host", name),)


def _look_up(domain: str, hosts: list[str]) -> Inquiry:
    """What the addresses of all mail hosts say; one good host is enough."""
    found: tuple[bytes, ...] = ()
    # Nearly all have an IPv4 address that is good; then half of the questions are spared.
    for family in (RecordType.A, RecordType.AAAA):
        answers = yield tuple((host, family) for host in hosts)
        found += addresses_in(answers)
        if not all(map(is_private, found)):
            return ()
        if any(not isinstance(answer, Found) and not all_negative((answer,)) for answer in answers):
            return (_TEMPORARY,)
    return (Evidence("sender_domain", "private-mx" if found else "no-mail-host", domain),)
