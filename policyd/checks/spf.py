"""SPF (RFC 7208) of the envelope sender's domain and of the HELO name, as evidence and not as a verdict."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable

from mailbase.addresses import domain_of, is_host_name, normal_domain
from mailbase.networks import NetworkTable
from policyd.facts import Evidence
from policyd.inquiry import TEMPORARY, Answers, Inquiry, Question, Subject, side_by_side
from policyd.spf.memo import Memo
from policyd.spf.outcome import Outcome

HELO = "helo-"
"""Before the facts of the HELO name."""


class SpfCheck:
    """Arguments:
    hostname: our own name, for the macro ``r``.
    seconds: the clock; any, as long as it is always the same.
    skip: networks, and names with all below them, whose mail is not looked at.
    memo: outcomes that are still good.
    """

    name = "spf"
    rounds = 64
    """Questions come one after the other: ten of them, each leading to others (RFC 7208 4.6.4)."""

    def __init__(
        self,
        hostname: str,
        seconds: Callable[[], float],
        skip: Iterable[str] = (),
        memo: Memo | None = None,
    ) -> None:
        # Takes a tenth of a second, and many gateways never need it.
        from policyd.spf.evaluation import Identity, evaluate

        self._identity, self._evaluate = Identity, evaluate
        self._hostname = hostname
        self._seconds = seconds
        self._memo = Memo() if memo is None else memo
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
        helo = normal_domain(subject.helo.strip())
        if helo is not None and not is_host_name(helo):
            helo = None
        sender, domain = subject.sender, subject.sender_domain
        if sender[:1] == "@":
            # Nobody's, but some domain's (RFC 7208 4.3).
            domain = domain_of(f"postmaster{sender}")
        asked: list[tuple[str, str, str]] = []
        if not sender:
            asked.append(("", helo or "", "postmaster"))
        else:
            local = sender.rpartition("@")[0] or "postmaster"
            asked.append(("", domain or "", local))
            if helo is not None:
                asked.append((HELO, helo, "postmaster"))
        outcomes = yield from side_by_side([self._outcome(subject, *one[1:]) for one in asked])
        return tuple(
            fact
            for (prefix, domain, _), outcome in zip(asked, outcomes, strict=True)
            for fact in _facts(prefix, domain, outcome)
        )

    def _outcome(
        self, subject: Subject, domain: str, local: str
    ) -> Generator[tuple[Question, ...], Answers, Outcome]:
        if not domain or domain[0] == "[":
            return _NONE
        address, now = subject.address, self._seconds()
        personal = f"{local}@{domain} {subject.helo}"
        known = self._memo.get(address, domain, personal, now)
        if known is not None:
            return known
        identity = self._identity(domain, local)
        outcome = yield from self._evaluate(address, identity, subject.helo, self._hostname)
        self._memo.put(address, domain, personal, outcome, self._seconds())
        return outcome

    def _is_skipped(self, subject: Subject) -> bool:
        if self._networks.lookup(subject.address):
            return True
        return bool(self._names) and f".{subject.name}".endswith(self._names)


_NONE = Outcome("none")


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
