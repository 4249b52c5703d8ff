"""DMARC (RFC 9989): do those who authenticated a mail stand for its author's domain, and if not, what then?

It asks DNS by yielding questions and is sent the answers, like the checks of policyd.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from contentfilter.authentication.dmarc_record import Mode, Policy, Record, find_record
from contentfilter.authentication.outcome import Authentication
from mailbase.addresses import is_below
from mailbase.dns.answers import Answer, Found, NoData, NxDomain, RecordType
from mailbase.dns.answers import Record as Data

DmarcResult: TypeAlias = Literal["none", "pass", "fail", "temperror", "permerror", "unjudged"]
"""As in RFC 7489 11.2; ``none``: the author's domain asks for nothing. ``unjudged``: by what is known it
would be a fail, but nobody looked at SPF."""
RESULTS: tuple[DmarcResult, ...] = get_args(DmarcResult)

MAX_QUERIES = 8
"""Names that are asked for one domain (RFC 9989 4.10)."""
MAX_DOMAINS = 4
"""Authors' domains of one mail that are looked at, and for each of them domains that may stand for it."""

Question: TypeAlias = tuple[str, RecordType]
Answers: TypeAlias = Sequence[Answer[Data]]
Evaluation: TypeAlias = Generator[tuple[Question, ...], Answers, "Dmarc"]
_SEVERITY: dict[Policy, int] = {"none": 0, "quarantine": 1, "reject": 2}
_WEAKER: dict[Policy, Policy] = {"none": "none", "quarantine": "none", "reject": "quarantine"}


@dataclass(frozen=True, slots=True)
class Spf:
    """What is known of SPF for the envelope sender.

    Arguments:
        result: as in RFC 7208 2.6; empty if nobody looked.
        domain: whose record it was, normalised.
        helo: it is that of HELO, since there is no envelope sender.
    """

    result: str = ""
    domain: str = ""
    helo: bool = False


@dataclass(frozen=True, slots=True)
class Dmarc:
    """What came of it.

    Arguments:
        result: of the mail.
        domain: of the author, for whom it was evaluated.
        published: the policy that the domain's owner asks for.
        policy: what is to be applied of it; ``none`` unless the mail failed.
        record: where the record was found; empty if there is none.
        by: the domain that stands for the author's, of a pass.
        reason: why it is an error, in words of ours.
    """

    result: DmarcResult
    domain: str = ""
    published: Policy = "none"
    policy: Policy = "none"
    record: str = ""
    by: str = ""
    reason: str = ""


def evaluate(found: Authentication, spf: Spf) -> Evaluation:
    """DMARC for a mail.

    With several authors' domains each is looked at, and the worst is what counts: an address more in From is
    no way around a policy (RFC 9989 11.5).

    Arguments:
        found: what a worker verified.
        spf: what policyd found out.
    """
    if not found.authors:
        return Dmarc("permerror", reason="there is no author's domain")
    worst = yield from _one(found.authors[0], found, spf)
    for author in found.authors[1:MAX_DOMAINS]:
        other = yield from _one(author, found, spf)
        worst = max(worst, other, key=_badness)
    return worst


def _badness(outcome: Dmarc) -> tuple[int, int]:
    rank = {"fail": 5, "temperror": 4, "permerror": 3, "unjudged": 2, "none": 1, "pass": 0}[outcome.result]
    return rank, _SEVERITY[outcome.policy]


def _one(author: str, found: Authentication, spf: Spf) -> Evaluation:
    walk = yield from _walk(author)
    record, at = walk.policy()
    if record is None or record.policy is None:
        if walk.uncertain:
            return Dmarc("temperror", author, reason="policy could not be looked up")
        return Dmarc("none", author)
    published = record.policy if at == author else record.subdomains or record.policy
    passed = [(one.domain, record.dkim) for one in found.signatures if one.result == "pass"]
    unknown = [(one.domain, record.dkim) for one in found.signatures if one.result == "temperror"]
    if spf.result == "pass":
        passed.append((spf.domain, record.spf))
    elif spf.result == "temperror":
        unknown.append((spf.domain, record.spf))
    by, uncertain = yield from _aligned(author, walk, passed)
    if by:
        return Dmarc("pass", author, published, "none", at, by)
    maybe, also = yield from _aligned(author, walk, unknown)
    if maybe or also or uncertain or (walk.uncertain and at != author):
        return Dmarc("temperror", author, published, "none", at, reason="a look-up failed")
    if not spf.result:
        # Whoever did not ask cannot say that it failed.
        return Dmarc("unjudged", author, published, "none", at, reason="SPF was not checked")
    if at != author and record.nonexistent is not None:
        (exists,) = yield ((author, RecordType.A),)
        if isinstance(exists, NxDomain):
            published = record.nonexistent
    return Dmarc("fail", author, published, _WEAKER[published] if record.testing else published, at)


def _aligned(
    author: str, walk: _Walk, identifiers: Iterable[tuple[str, Mode]]
) -> Generator[tuple[Question, ...], Answers, tuple[str, bool]]:
    """The first of ``identifiers`` that stands for the author (RFC 9989 4.4, 4.10.2), empty if none does.

    And whether any might that could not be looked up.
    """
    identifiers = [(domain, mode) for domain, mode in identifiers if domain]
    for domain, _ in identifiers:
        if domain == author:
            return domain, False
    relaxed = list(dict.fromkeys(domain for domain, mode in identifiers if mode == "relaxed"))
    if walk.uncertain:
        return "", bool(relaxed)
    organisation = walk.organisation()
    # An organisation's domain is above all of its own, so most need no walk.
    candidates = [domain for domain in relaxed if is_below(domain, organisation)]
    uncertain = False
    for domain in candidates[:MAX_DOMAINS]:
        other = yield from _walk(domain)
        if other.organisation() == organisation:
            return domain, False
        uncertain = uncertain or other.uncertain
    return "", uncertain


def _walk(domain: str) -> Generator[tuple[Question, ...], Answers, _Walk]:
    names = tree(domain)
    answers = yield tuple((f"_dmarc.{name}", RecordType.TXT) for name in names)
    return _Walk(names, answers)


def tree(domain: str) -> list[str]:
    """The names that are asked for a domain, the longest first (RFC 9989 4.10)."""
    labels = domain.split(".")
    shorter = labels[1:] if len(labels) < MAX_QUERIES else labels[-MAX_QUERIES + 1 :]
    return [domain, *(".".join(shorter[start:]) for start in range(len(shorter)))]


class _Walk:
    """The records of a domain and of those above it.

    All are asked for at once; what stands above a record that ends the walk is not looked at.
    """

    def __init__(self, names: Sequence[str], answers: Answers) -> None:
        self._start = names[0]
        self._records: dict[str, Record] = {}
        self.uncertain = False
        """A look-up failed, so that there may be more records."""
        for name, answer in zip(names, answers, strict=True):
            match answer:
                case Found():
                    record = find_record(one for one in answer.records if isinstance(one, bytes))
                    if record is not None:
                        self._records[name] = record
                        if record.suffix != "u":
                            break
                case NxDomain() | NoData():
                    pass
                case _:
                    self.uncertain = self.uncertain or answer.result != "bad-name"

    def organisation(self) -> str:
        """The organisational domain (RFC 9989 4.10.2)."""
        for name, record in self._records.items():
            if record.suffix == "n":
                return name
            if record.suffix == "y" and name != self._start:
                return _one_below(name, self._start)
        return list(self._records)[-1] if self._records else self._start

    def policy(self) -> tuple[Record | None, str]:
        """The record that counts for the domain, and where it was found (RFC 9989 4.10.1)."""
        suffix = [name for name, record in self._records.items() if record.suffix == "y"]
        for name in (self._start, self.organisation(), *suffix):
            if name in self._records:
                return self._records[name], name
        return None, ""


def _one_below(name: str, start: str) -> str:
    return ".".join(start.split(".")[-name.count(".") - 2 :])
