"""SPF (RFC 7208) of the envelope sender's domain and of the HELO name, as evidence and not as a verdict."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from mailbase.addresses import domain_of, is_host_name, normal_domain
from mailbase.dns.answers import RecordType
from mailbase.networks import NetworkTable
from policyd.evidence.facts import Evidence
from policyd.evidence.inquiry import TEMPORARY, Answers, Inquiry, Question, Subject, side_by_side
from policyd.spf import plain
from policyd.spf.memo import MAX_LIFETIME, Entry, Memo
from policyd.spf.outcome import MAX_NAME, Outcome

_TXT = RecordType.TXT

HELO = "helo-"
"""Before the facts of the HELO name."""
POSTMASTER = "postmaster"
"""Local part of what has none (RFC 7208 2.4, 4.3)."""
MAX_TOLD = 600
"""Characters of sender and HELO name of which it is remembered what was told: no honest ones are longer."""


Told: TypeAlias = tuple[Evidence, ...]


class _Asked(NamedTuple):
    """Whose authorisation is looked at.

    Arguments:
        prefix: of the facts.
        domain: normalised; empty, or a literal, where nothing is to be asked.
        local: local part.
    """

    prefix: str
    domain: str
    local: str


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
        self._outcomes: Memo[tuple[bytes, str], Outcome] = Memo()
        """By address and domain."""
        self._personal: Memo[tuple[bytes, str, str], Outcome] = Memo()
        """Those that depend on more: by sender with HELO name, too."""
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
        """See :class:`~policyd.evidence.inquiry.EvidenceCheck`.

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
        entries = yield from self._entries(subject, asked)
        facts: Told = ()
        until, personal = float("inf"), len(subject.helo) + len(subject.sender) > MAX_TOLD
        for (prefix, domain, _local), entry in zip(asked, entries, strict=True):
            facts += _facts(prefix, domain, entry.value)
            until = min(until, entry.until)
            personal = personal or entry.value.personal
        if not personal:
            self._told.put(key, Entry(until, facts), self._seconds())
        return facts

    def _entries(
        self, subject: Subject, asked: Sequence[_Asked]
    ) -> Generator[tuple[Question, ...], Answers, list[Entry[Outcome]]]:
        """What becomes of each that is asked for; their questions go out together."""
        entries = [self._known(subject, one) for one in asked]
        places = [place for place, entry in enumerate(entries) if entry is None]
        if places:
            # Each is a domain in the normal form, so that each can be asked for.
            answers = yield tuple([(asked[place].domain, _TXT) for place in places])
            evaluations = {}
            for place, answer in zip(places, answers, strict=True):
                # Most records are plain, and need no more than their text.
                outcome = plain.judge(answer, subject.address)
                if outcome is not None:
                    entries[place] = self._keep(subject, asked[place], outcome)
                    continue
                identity = self._identity(asked[place].domain, asked[place].local)
                evaluations[place] = self._evaluate(
                    subject.address, identity, subject.helo, self._hostname, answer
                )
            if evaluations:
                outcomes = yield from side_by_side(list(evaluations.values()))
                for place, outcome in zip(evaluations, outcomes, strict=True):
                    entries[place] = self._keep(subject, asked[place], outcome)
        return [entry for entry in entries if entry is not None]

    def _known(self, subject: Subject, asked: _Asked) -> Entry[Outcome] | None:
        now, domain = self._seconds(), asked.domain
        if not domain or domain[0] == "[":
            return Entry(now + MAX_LIFETIME, _NONE)
        known = self._outcomes.get((subject.address, domain), now)
        if known is None and self._personal:
            known = self._personal.get((subject.address, domain, _person(subject, asked)), now)
        return known

    def _keep(self, subject: Subject, asked: _Asked, outcome: Outcome) -> Entry[Outcome]:
        now = self._seconds()
        entry = Entry(now + min(outcome.ttl, MAX_LIFETIME), outcome)
        if outcome.personal:
            self._personal.put((subject.address, asked.domain, _person(subject, asked)), entry, now)
        else:
            self._outcomes.put((subject.address, asked.domain), entry, now)
        return entry

    def _is_skipped(self, subject: Subject) -> bool:
        if self._networks.lookup(subject.address):
            return True
        return bool(self._names) and f".{subject.name}".endswith(self._names)


_NONE = Outcome("none")


def _person(subject: Subject, asked: _Asked) -> str:
    """No more of sender and HELO name than stands in macros."""
    return f"{asked.local[:MAX_NAME]}@{asked.domain} {subject.helo[:MAX_NAME]}"


def _identities(subject: Subject) -> list[_Asked]:
    """Whose authorisation is looked at; MAIL FROM first."""
    helo = normal_domain(subject.helo.strip())
    if helo is not None and not is_host_name(helo):
        helo = None
    sender, domain = subject.sender, subject.sender_domain
    if not sender:
        return [_Asked("", helo or "", POSTMASTER)]
    if sender[:1] == "@":
        # Nobody's, but some domain's (RFC 7208 4.3).
        domain = domain_of(POSTMASTER + sender)
    identities = [_Asked("", domain or "", sender.rpartition("@")[0] or POSTMASTER)]
    if helo is not None:
        identities.append(_Asked(HELO, helo, POSTMASTER))
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
