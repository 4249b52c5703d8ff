"""SPF (RFC 7208) of the envelope sender's domain and of the HELO name, as evidence and not as a verdict."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import TypeAlias

from mailbase.addresses import domain_of, is_host_name, normal_domain
from mailbase.networks import NetworkTable
from policyd.facts import Evidence
from policyd.inquiry import TEMPORARY, Answers, Inquiry, Question, Subject, side_by_side
from policyd.spf.memo import MAX_LIFETIME, Entry, Memo
from policyd.spf.outcome import MAX_NAME, Outcome

HELO = "helo-"
"""Before the facts of the HELO name."""
POSTMASTER = "postmaster"
"""Local part of what has none (RFC 7208 2.4, 4.3)."""
MAX_TOLD = 600
"""Characters of sender and HELO name of which it is remembered what was told: no honest ones are longer."""


Told: TypeAlias = tuple[Evidence, ...]


class SpfCheck:
    """Arguments:
    hostname: our own name, for the macro ``r``.
    seconds: the clock; any, as long as it is always the same.
    skip: networks, and names with all below them, whose mail is not looked at.
    """

    name = "spf"
    rounds = 64
    """Questions come one after the other: ten of them, each leading to others (RFC 7208 4.6.4)."""

    def __init__(self, hostname: str, seconds: Callable[[], float], skip: Iterable[str] = ()) -> None:
        # Takes a tenth of a second, and many gateways never need it.
        from policyd.spf.evaluation import Identity, evaluate

        self._identity, self._evaluate = Identity, evaluate
        self._hostname = hostname
        self._seconds = seconds
        self._outcomes: Memo[tuple[bytes, str, str], Outcome] = Memo()
        """By address, domain, and sender with HELO name where it depends on them."""
        self._told: Memo[tuple[bytes, str | None, str, str], Told] = Memo()
        """By address, domain or what is none, and HELO name; nothing that depends on the local part."""
        self._networks: NetworkTable[bool] = NetworkTable()
        names = set()
        for one in skip:
            try:
                self._networks.add(one, True)
            except ValueError:
                names.add(one)
        self._networks.prepare()
        self._names = tuple(f".{name}" for name in names)

    def inquire(self, subject: Subject) -> Inquiry:
        """See :class:`~policyd.inquiry.EvidenceCheck`.

        The null sender's domain is the HELO name (RFC 7208 2.4), which is not looked at twice. A fact's
        detail is the domain; of a fail the domain's own explanation stands behind it.
        """
        if self._is_skipped(subject):
            return ()
        domain = subject.sender_domain
        key = (subject.address, domain, "" if domain else subject.sender, subject.helo)
        told = self._told.get(key, self._seconds())
        if told is not None:
            return told.value
        asked = _identities(subject)
        entries = yield from side_by_side([self._outcome(subject, *one[1:]) for one in asked])
        facts = tuple(
            fact
            for (prefix, domain, _), entry in zip(asked, entries, strict=True)
            for fact in _facts(prefix, domain, entry.value)
        )
        if len(subject.helo) + len(subject.sender) <= MAX_TOLD and not any(
            entry.value.personal for entry in entries
        ):
            until = min(entry.until for entry in entries)
            self._told.put(key, Entry(until, facts), self._seconds())
        return facts

    def _outcome(
        self, subject: Subject, domain: str, local: str
    ) -> Generator[tuple[Question, ...], Answers, Entry[Outcome]]:
        now = self._seconds()
        if not domain or domain[0] == "[":
            return Entry(now + MAX_LIFETIME, _NONE)
        address = subject.address
        known = self._outcomes.get((address, domain, ""), now)
        if known is not None:
            return known
        # No more of them than stands in macros.
        personal = f"{local[:MAX_NAME]}@{domain} {subject.helo[:MAX_NAME]}"
        known = self._outcomes.get((address, domain, personal), now)
        if known is not None:
            return known
        identity = self._identity(domain, local)
        outcome = yield from self._evaluate(address, identity, subject.helo, self._hostname)
        now = self._seconds()
        entry = Entry(now + min(outcome.ttl, MAX_LIFETIME), outcome)
        self._outcomes.put((address, domain, personal if outcome.personal else ""), entry, now)
        return entry

    def _is_skipped(self, subject: Subject) -> bool:
        if self._networks.lookup(subject.address):
            return True
        return bool(self._names) and f".{subject.name}".endswith(self._names)


_NONE = Outcome("none")


def _identities(subject: Subject) -> list[tuple[str, str, str]]:
    """Whose authorisation is looked at, as prefix of the facts, domain and local part; MAIL FROM first."""
    helo = normal_domain(subject.helo.strip())
    if helo is not None and not is_host_name(helo):
        helo = None
    sender, domain = subject.sender, subject.sender_domain
    if not sender:
        return [("", helo or "", POSTMASTER)]
    if sender[:1] == "@":
        # Nobody's, but some domain's (RFC 7208 4.3).
        domain = domain_of(POSTMASTER + sender)
    identities = [("", domain or "", sender.rpartition("@")[0] or POSTMASTER)]
    if helo is not None:
        identities.append((HELO, helo, POSTMASTER))
    return identities


def _facts(prefix: str, domain: str, outcome: Outcome) -> tuple[Evidence, ...]:
    match outcome.result:
        case "temperror":
            return (Evidence("spf", TEMPORARY, domain),)
        case "fail" if outcome.explanation:
            return (Evidence("spf", f"{prefix}fail", f"{domain}: {outcome.explanation}"),)
        case "pass" if outcome.anybody:
            return Evidence("spf", f"{prefix}pass", domain), Evidence("spf", f"{prefix}plus-all", domain)
        case result:
            return (Evidence("spf", f"{prefix}{result}", domain),)
