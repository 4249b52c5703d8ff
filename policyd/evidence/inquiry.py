"""How a check asks DNS: it yields questions and is sent the answers, so that it waits for nothing itself.

In place of a question it may yield an awaitable (what a shared state is going to answer): it is sent the
result, or the exception that came instead.

A check that has no more to ask returns its facts. All checks of a request are asked in parallel; what is
not answered by the request's deadline is :class:`~mailbase.dns.answers.TimedOut`, and the check says what
it knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from mailbase.addresses import MAX_DOMAIN, domain_of
from mailbase.dns.answers import Found, NoData, NxDomain, RecordType
from policyd.evidence.facts import Evidence
from policyd.evidence.flow import Origin
from policyd.protocol.request import Request

R = TypeVar("R")
Question: TypeAlias = tuple[str, RecordType]
Questions: TypeAlias = tuple[Question | Awaitable[Any], ...]
Answers: TypeAlias = tuple[Any, ...]
"""Each an :data:`~mailbase.dns.answers.Answer`, or what an awaitable came to."""
Inquiry: TypeAlias = Generator[Questions, Answers, tuple[Evidence, ...]]

TEMPORARY = "temporary"
"""Fact of a check that could not find out; it never has points."""
FAILED = "failed"
"""Fact of a check that raised; neither."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom the evidence is about: the client, its HELO and the sender of one transaction.

    Arguments:
        address: the client's, 4 or 16 octets.
        name: its verified name, lower case; empty without one.
        reverse_name: its PTR, unverified, lower case; empty without one.
        helo: as the client sent it.
        sender: envelope sender as Postfix gave it; empty for the null sender.
    sender_domain: normalised; None for the null sender and for what has no domain.
        server_address: ours, which the client speaks to; None if Postfix does not say.
    """

    address: bytes
    name: str
    reverse_name: str
    helo: str
    sender: str
    sender_domain: str | None
    server_address: str


def subject_of(request: Request, address: bytes, origin: Origin) -> Subject:
    """The subject of ``request``."""
    return Subject(
        address,
        _known(origin.name),
        _known(request.reverse_client_name.lower()),
        request.get("helo_name"),
        request.sender,
        domain_of(request.sender) if request.sender else None,
        request.get("server_address"),
    )


def _known(name: str) -> str:
    return "" if name == "unknown" or len(name) > MAX_DOMAIN + 1 else name


class EvidenceCheck(Protocol):
    """Looks at a subject. It knows no points, no thresholds, no reply texts."""

    @property
    def name(self) -> str:
        """As in the configuration and the metrics."""

    def inquire(self, subject: Subject) -> Inquiry:
        """What it asks and, at last, states."""


@dataclass(frozen=True, slots=True)
class Collected:
    """Arguments:
    evidence: in the order of the checks.
    late: whether the deadline came before all answers.
    times: seconds until each check was done, waiting for DNS included, by its name.
    """

    evidence: tuple[Evidence, ...]
    late: bool = False
    times: Mapping[str, float] = field(default_factory=dict)


def side_by_side(
    inquiries: Sequence[Generator[tuple[Question, ...], Answers, R]],
) -> Generator[tuple[Question, ...], Answers, list[R]]:
    """Several inquiries as one: their questions are asked together. Returns what each returned."""
    results: dict[int, R] = {}
    asked: list[tuple[int, int]] = []
    """Who waits for how many answers."""
    questions: tuple[Question, ...] = ()
    # A generator that has not begun takes None.
    answers: list[tuple[int, Any]] = [(place, None) for place in range(len(inquiries))]
    while True:
        for place, those in answers:
            try:
                more = inquiries[place].send(those)
            except StopIteration as stop:
                results[place] = stop.value
            else:
                asked.append((place, len(more)))
                questions += more
        if not asked:
            return [results[place] for place in range(len(inquiries))]
        got = yield questions
        answers.clear()
        begin, questions = 0, ()
        for place, count in asked:
            answers.append((place, got[begin : begin + count]))
            begin += count
        asked.clear()


Settled: TypeAlias = Callable[[Sequence[Evidence], Sequence[str]], bool]
"""Whether the outcome is certain: from the evidence that is there, and the checks that are still open."""


class Gather(Protocol):
    """Asks all checks in parallel."""

    def __call__(
        self,
        checks: Sequence[EvidenceCheck],
        subject: Subject,
        deadline: float,
        counts: bool,
        settled: Settled | None = None,
    ) -> Collected | Awaitable[Collected]:
        """The evidence; at once where nothing has to be waited for.

        Arguments:
            deadline: seconds of the clock after which what is there is given.
            counts: whether the metrics hear of it.
            settled: asked once, when the checks that ask nobody are done: the others are then spared.
        """


def addresses_in(answers: Answers) -> tuple[bytes, ...]:
    """The packed addresses in answers to A and AAAA questions."""
    return tuple(
        record
        for answer in answers
        if isinstance(answer, Found)
        for record in answer.records
        if isinstance(record, bytes)
    )


def all_negative(answers: Answers) -> bool:
    """Whether every answer is a no and none a failure; what cannot be asked for is not there either."""
    return all(isinstance(answer, (NxDomain, NoData)) or answer.result == "bad-name" for answer in answers)


def both(name: str) -> tuple[Question, Question]:
    """The questions after all addresses of a host."""
    return (name, RecordType.A), (name, RecordType.AAAA)
