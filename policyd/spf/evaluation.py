"""Runs pyspf on answers that are there, and asks for the one that is missing; so nothing ever waits in it.

pyspf works through a record from its beginning and asks DNS in the middle of it. Here it asks a table
instead. Where an answer is missing, the run ends, the question is yielded, and with the answer all begins
anew: a run takes some hundred microseconds, and mostly one or two do. Nothing of pyspf's module is
changed, so that any number of evaluations can be under way. What :mod:`policyd.spf.plain` can judge, pyspf
does not see.

What a record may cost us is bounded beyond RFC 7208 4.6.4: see MAX_RECORD and the limits below it.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from typing import Any, NamedTuple, TypeAlias

import spf

from mailbase.addresses import unpack
from mailbase.dns.answers import Answer, Found, Mx, NoData, NxDomain, Record, RecordType
from policyd.evidence.inquiry import Answers, Question
from policyd.spf import plain
from policyd.spf.outcome import MAX_EXPLANATION, MAX_NAME, Outcome, Result

Evaluation: TypeAlias = Generator[tuple[Question, ...], Answers, Outcome]

MAX_RECORD = 4096
"""Characters of a record that is read; the longest in use have some 2,000."""
MAX_TERM = 512
"""Characters of one term of a record; a domain name has 253."""
MAX_LABELS = 127
"""Labels of a name with macros; no name in DNS has more."""
MAX_WORK = 128 * 1024
"""Characters read of records and made of macros, in all runs of one evaluation: some 50 milliseconds."""
MAX_HINTS = 10
"""Questions that are asked before their turn, since a record names them; it may lead to ten in all."""

_LABELS = re.compile(r"[^.]{1,63}(?:\.[^.]{1,63})*")
"""Of a domain that pyspf asks for a record, before all else."""
_PERSONAL = re.compile(r"%\{[slh]", re.IGNORECASE)
_ANYBODY = re.compile(r"\+?(?:all|ip6:.*/(?:[0-9]|1[0-5])|(?!\+?ip6:).*/[0-7])", re.IGNORECASE)
"""Mechanisms that let everybody pass, or more than any one organisation has: a /7, or an IPv6 /15."""
_NAMED = re.compile(
    r"(?:^| )(?:[-+~?]?(include|a|mx|exists):|(redirect)=)([A-Za-z0-9._-]{1,253})(?=[ /]|$)", re.IGNORECASE
)
"""Terms that name what is going to be looked up, without macros."""


class Identity(NamedTuple):
    """Whose authorisation is looked at.

    Arguments:
        domain: normalised.
        local: local part; ``postmaster`` for HELO (RFC 7208 2.4).
    """

    domain: str
    local: str = "postmaster"


def evaluate(
    address: bytes, identity: Identity, helo: str, receiver: str, first: Answer[Record] | None = None
) -> Evaluation:
    """check_host() of RFC 7208 4; yields questions, is sent the answers.

    Arguments:
        address: the client's, 4 or 16 octets.
        helo: as the client sent it, for the macro ``h``.
        receiver: our own name, for the macro ``r``.
        first: what the domain's TXT records are, where that is known already.
    """
    known: dict[Question, Answer[Record]] = {}
    question = identity.domain, RecordType.TXT
    if _LABELS.fullmatch(identity.domain):
        if first is None:
            (first,) = yield (question,)
        outcome = plain.judge(first, address)
        if outcome is not None:
            return outcome
        known[question] = first
    work = 0
    while True:
        run = _Run(address, identity, helo, receiver, known, work)
        try:
            return run.judge()
        except _Missing as missing:
            questions = missing.questions
        work = run.work
        answers = yield questions
        known.update(zip(questions, answers, strict=True))


class _Missing(Exception):
    """Answers are missing."""

    def __init__(self, questions: tuple[Question, ...]) -> None:
        super().__init__(questions)
        self.questions = questions


class _Explanation(NamedTuple):
    """Where the explanation of a fail is to be found, and the domain whose it is."""

    name: str
    domain: str


class _Run(spf.query):  # type: ignore[misc]
    """One run of pyspf, on a table of answers.

    Names of one letter are pyspf's macros, and its methods are called by it.
    """

    def __init__(
        self,
        address: bytes,
        identity: Identity,
        helo: str,
        receiver: str,
        known: dict[Question, Answer[Record]],
        work: int,
    ) -> None:
        domain, local = identity
        local = local[:MAX_NAME]
        super().__init__(unpack(address), f"{local}@{domain}", helo[:MAX_NAME], receiver=receiver)
        # Else pyspf would take the domain of "a@b"@example.org for b"@example.org.
        self.l, self.o, self.d = local, domain, domain
        self.work = work
        self._known = known
        self._ttl: float | None = None
        self._personal = False
        self._hints: list[Question] = []
        self._siblings: tuple[str, ...] = ()

    def judge(self) -> Outcome:
        """The outcome.

        Raises:
            _Missing: not yet.
        """
        try:
            result, _, explanation = self.check()
        except _CONFUSED:
            result, explanation = "permerror", ""
        text = self._explain(explanation) if isinstance(explanation, _Explanation) else ""
        if result == "temperror" or self._ttl is None:
            self._ttl = 0.0
        anybody = result == "pass" and _ANYBODY.fullmatch(self.mechanism or "") is not None
        return Outcome(_RESULTS[result], anybody, text, self._ttl, self._personal)

    def dns(self, name: str, qtype: str, cnames: Any = None, ignore_void: bool = False) -> list[Any]:
        """The records; none for a name that cannot be asked for. CNAMEs have been followed."""
        name = str(name).lower().removesuffix(".")
        if not all(0 < len(label) < 64 for label in name.split(".")):
            return []
        question = (name, RecordType[qtype])
        answer = self._known.get(question)
        match answer:
            case None:
                raise _Missing(self._questions(question))
            case Found():
                self._note(answer.ttl)
                if question[1] in (RecordType.MX, RecordType.PTR):
                    self._siblings = tuple(_host(record) for record in answer.records[: spf.MAX_MX])
                # A text comes as the strings it is made of; the resolver has put them together.
                whole = question[1] is not RecordType.TXT
                return [record if whole else (record,) for record in answer.records]
            case NxDomain() | NoData():
                self._note(answer.ttl)
            case _ if answer.result != "bad-name":
                raise spf.TempError(f"DNS {answer.result}")
        if not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError(f"more than {spf.MAX_VOID_LOOKUPS} void lookups")
        return []

    def dns_spf(self, domain: str) -> str | None:
        """The record of a domain, if it is one that we are willing to read."""
        record: str | None = super().dns_spf(domain)
        if record is None:
            return None
        if len(record) > MAX_RECORD or max(map(len, record.split(" "))) > MAX_TERM:
            raise spf.PermError("too long a record")
        self._work(len(record))
        if _PERSONAL.search(record):
            self._personal = True
        self._hints += self._named_in(record)
        return record

    def expand(self, text: str, stripdot: bool = True) -> str:
        """``text`` with its macros replaced (RFC 7208 7)."""
        if "%" in text:
            # pyspf looks through all of it once for each label.
            labels = text.count(".") + 1
            if labels > MAX_LABELS:
                raise spf.PermError("too many labels")
            self._work(labels * len(text) // 16)
        expanded = str(super().expand(text, stripdot))
        self._work(len(expanded))
        return expanded

    def _work(self, amount: int) -> None:
        self.work += amount
        if self.work > MAX_WORK:
            raise spf.PermError("too much work")

    def validated_ptrs(self) -> list[str]:
        """The client's confirmed names; a failure of DNS is no failure of the evaluation (RFC 7208 5.5)."""
        try:
            names = self.dns_ptr(self.i)[: spf.MAX_PTR]
        except spf.TempError:
            return []
        confirmed = []
        for name in names:
            try:
                if self.cidrmatch(self.dns_a(name, self.A), self.cidrmax):
                    confirmed.append(name)
            except spf.TempError:
                continue
        return confirmed

    def get_explanation(self, spec: str) -> _Explanation | None:
        """Only noted; most mail does not fail."""
        return _Explanation(spec, self.d) if spec else None

    def _explain(self, explanation: _Explanation) -> str:
        self.d = explanation.domain
        try:
            texts = self.dns_txt(explanation.name, ignore_void=True)
            if len(texts) == 1 and len(texts[0]) <= MAX_TERM:
                return str(self.expand(spf.to_ascii(texts[0]), stripdot=False))[:MAX_EXPLANATION]
        except (spf.PermError, spf.TempError, *_CONFUSED):
            pass
        return ""

    def _note(self, ttl: float) -> None:
        self._ttl = ttl if self._ttl is None else min(self._ttl, ttl)

    def _questions(self, question: Question) -> tuple[Question, ...]:
        """What is missing, and what is going to be soon."""
        name, rdtype = question
        wanted = {question: None}
        if name in self._siblings:
            wanted.update(dict.fromkeys((sibling, rdtype) for sibling in self._siblings))
        wanted.update(dict.fromkeys(self._hints[:MAX_HINTS]))
        return tuple(one for one in wanted if one[0] and one not in self._known)

    def _named_in(self, record: str) -> Iterable[Question]:
        for mechanism, modifier, name in _NAMED.findall(record):
            match (mechanism or modifier).lower():
                case "a":
                    rdtype = RecordType[self.A]
                case "mx":
                    rdtype = RecordType.MX
                case "exists":
                    rdtype = RecordType.A
                case _:
                    rdtype = RecordType.TXT
            yield name.lower().removesuffix("."), rdtype


_CONFUSED = (ValueError, LookupError, AssertionError, RecursionError)
"""What pyspf raises over some records that are none."""
_RESULTS: dict[str, Result] = {
    "pass": "pass",
    "fail": "fail",
    "softfail": "softfail",
    "neutral": "neutral",
    "none": "none",
    "permerror": "permerror",
    "temperror": "temperror",
}


def _host(record: Record) -> str:
    return record.exchange if isinstance(record, Mx) else str(record)
