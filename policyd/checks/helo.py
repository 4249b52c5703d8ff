"""HELO and EHLO: what the client calls itself (RFC 5321 4.1.1.1, 4.1.4).

Where the name is the client's verified one, DNS is not asked: Postfix has looked it up.
"""

from __future__ import annotations

from collections.abc import Iterable

from mailbase.addresses import is_host_name, normal_domain, pack
from mailbase.dns.answers import Found, RecordType
from mailbase.registry import Registry
from policyd.evidence.facts import Evidence
from policyd.evidence.inquiry import TEMPORARY, Inquiry, Subject, addresses_in, all_negative, both

UNUSUAL = frozenset(
    {
        "local",
        "localdomain",
        "localhost",
        "lan",
        "home",
        "corp",
        "internal",
        "intern",
        "intranet",
        "private",
        "workgroup",
        "domain",
        "invalid",
    }
)
"""Top-level names that are not in DNS and stand in HELO all the same (RFC 6761, RFC 6762)."""

_OWN_NAME = Evidence("helo", "forged-own-name")
_ADDRESS = Evidence("helo", "forged-address")
_LITERAL = Evidence("helo", "address-literal")
_TEMPORARY = Evidence("helo", TEMPORARY)
_EQUALS_PTR = Evidence("helo", "equals-ptr")


class HeloCheck:
    """Arguments:
    hostname: the gateway's own name.
    relays: those of all relays of the gateway.
    registry: knows served domains and registered servers.
    """

    name = "helo"

    def __init__(self, hostname: str, relays: Iterable[str], registry: Registry) -> None:
        self._hostname = hostname.lower()
        self._relays = frozenset(relays)
        self._registry = registry

    def inquire(self, subject: Subject) -> Inquiry:
        """See :class:`~policyd.evidence.inquiry.EvidenceCheck`."""
        helo = subject.helo.strip()
        if not helo:
            return ()  # said nothing yet, or nothing at all: smtpd_helo_required is for that
        literal = helo[:1] == "[" and helo[-1:] == "]"
        address = pack(helo[1:-1] if literal else helo)
        if address is not None:
            if address != subject.address and address == pack(subject.server_address):
                return (_ADDRESS,)
            # Without brackets it is no name and no literal either.
            return (_LITERAL,) if literal else (Evidence("helo", "not-fqdn", helo),)
        name = normal_domain(helo)
        if name is None or "." not in name or not is_host_name(name.replace("_", "-")):
            return (Evidence("helo", "not-fqdn", helo),)
        if name == self._hostname:
            return (_OWN_NAME,)
        if name == subject.name:
            return (_EQUALS_PTR,)
        # Unless it turns out to be the client's.
        facts: tuple[Evidence, ...] = ()
        if name in self._relays:
            facts = (_OWN_NAME,)
        elif self._registry.domain(name) is not None or self._registry.host_system(name) is not None:
            facts = (Evidence("helo", "forged-served-domain", name),)
        if name.rpartition(".")[2] in UNUSUAL:
            # That it cannot be resolved goes without saying.
            return (*facts, Evidence("helo", "unusual-top-level", name))
        answers = yield both(name)
        found = addresses_in(answers)
        if subject.address in found:
            # A machine that is what it says it is forges nothing.
            return (_EQUALS_PTR,) if name == subject.reverse_name else ()
        if not all(isinstance(answer, Found) or all_negative((answer,)) for answer in answers):
            # The client's address may be in the family that is not known.
            return () if found else (_TEMPORARY,)
        if found:
            return (*facts, Evidence("helo", "resolves-elsewhere", name))
        # RFC 5321 2.3.5: a name is good if it has an address or an MX record.
        (answer,) = yield ((name, RecordType.MX),)
        if isinstance(answer, Found):
            return facts
        fact = Evidence("helo", "unresolvable", name) if all_negative((answer,)) else _TEMPORARY
        return (*facts, fact)
