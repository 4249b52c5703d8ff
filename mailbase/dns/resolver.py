"""The interface that everybody asks DNS through."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol, cast

from twisted.internet.defer import Deferred

from mailbase.dns.answers import (
    Answer,
    BadName,
    Found,
    Mx,
    NoData,
    NxDomain,
    Record,
    RecordType,
    Temporary,
    TimedOut,
)
from mailbase.dns.names import reverse_name

BOTH = (RecordType.A, RecordType.AAAA)


class Asker(Protocol):
    """Who asks several questions, and has a place for each answer."""

    def told(self, place: int, answer: Answer[Record]) -> None:
        """An answer has come that was waited for; never called before the question was asked."""


class Resolver(ABC):
    """Answers questions, out of memory or from servers; no answer is an exception.

    ``consumer`` says who asks, for the metrics; one of the names that the resolver was built with.
    ``deadline`` is in seconds of the reactor's clock: :class:`TimedOut` is the answer then, and the look-up
    goes on behind, its answer there for the next one. Without it the look-up's own deadline holds.
    """

    @abstractmethod
    def cached(self, name: str, rdtype: RecordType) -> Answer[Record] | None:
        """The answer if it is in memory; nobody is asked and nothing is counted."""

    @abstractmethod
    def ask(
        self, name: str, rdtype: RecordType, *, consumer: str, deadline: float | None = None
    ) -> Answer[Record] | Deferred[Answer[Record]]:
        """The answer at once if it is in memory, else what will be the answer. The question is on its way.

        The Deferred never fails, unless it is cancelled; that gives up waiting, and nothing else.
        """

    def ask_for(
        self,
        asker: Asker,
        place: int,
        question: tuple[str, RecordType],
        consumer: str,
        deadline: float | None = None,
    ) -> Answer[Record] | None:
        """As :meth:`ask`, without a Deferred: None where ``asker`` is told later, which nobody can cancel."""
        answer = self.ask(*question, consumer=consumer, deadline=deadline)
        if not isinstance(answer, Deferred):
            return answer
        answer.addCallback(partial(asker.told, place))
        return None

    def forget(self, name: str) -> int:
        """Forget what is known of a name; returns the number of answers."""
        return 0

    def usable(self) -> bool:
        """Whether there is a server that answers; without one a failure says nothing of the name."""
        return True

    async def resolve(
        self, name: str, rdtype: RecordType, *, consumer: str, deadline: float | None = None
    ) -> Answer[Record]:
        """The answer. The question goes out when this is awaited; see :meth:`together` for several."""
        answer = self.ask(name, rdtype, consumer=consumer, deadline=deadline)
        return await answer if isinstance(answer, Deferred) else answer

    async def together(
        self,
        questions: Iterable[tuple[str, RecordType]],
        *,
        consumer: str,
        deadline: float | None = None,
    ) -> list[Answer[Record]]:
        """The answers to several questions, which are all asked at once, in their order."""
        asked = [self.ask(*question, consumer=consumer, deadline=deadline) for question in questions]
        try:
            return [await answer if isinstance(answer, Deferred) else answer for answer in asked]
        except BaseException:
            for answer in asked:
                if isinstance(answer, Deferred):
                    # Nobody looks at the others any more.
                    answer.addErrback(lambda failure: None)
                    answer.cancel()
            raise

    async def addresses(
        self,
        name: str,
        *,
        consumer: str,
        deadline: float | None = None,
        families: Sequence[RecordType] = BOTH,
    ) -> Answer[bytes]:
        """The packed addresses of a host, of both families unless told otherwise; IPv4 first.

        Addresses of one family are an answer, even if the other's is not known.
        """
        questions = [(name, family) for family in families]
        answers = await self.together(questions, consumer=consumer, deadline=deadline)
        found = [answer for answer in answers if isinstance(answer, Found)]
        if found:
            packed = tuple(record for answer in found for record in answer.records)
            ttl = min(answer.ttl for answer in found)
            return cast("Found[bytes]", Found(packed, ttl, found[0].name))
        # Not knowing weighs more than a no, and of two noes only NXDOMAIN from all is one.
        for kind in (TimedOut, Temporary, BadName, NoData, NxDomain):
            for answer in answers:
                if isinstance(answer, kind):
                    return cast("Answer[bytes]", answer)
        raise ValueError("families: expected at least one")

    async def ptr(self, packed: bytes, *, consumer: str, deadline: float | None = None) -> Answer[str]:
        """The names of an address (4 or 16 octets), as its PTR records say.

        Raises:
            ValueError: another number of octets.
        """
        name = reverse_name(packed)
        answer = await self.resolve(name, RecordType.PTR, consumer=consumer, deadline=deadline)
        return cast("Answer[str]", answer)

    async def mx(self, name: str, *, consumer: str, deadline: float | None = None) -> Answer[Mx]:
        """The mail exchangers of a domain, the preferred ones first (RFC 5321 5.1)."""
        answer = await self.resolve(name, RecordType.MX, consumer=consumer, deadline=deadline)
        if isinstance(answer, Found):
            records = sorted(record for record in answer.records if isinstance(record, Mx))
            return Found(tuple(records), answer.ttl, answer.name)
        return answer

    async def txt(self, name: str, *, consumer: str, deadline: float | None = None) -> Answer[bytes]:
        """The texts of a name, each with its strings put together."""
        answer = await self.resolve(name, RecordType.TXT, consumer=consumer, deadline=deadline)
        return cast("Answer[bytes]", answer)
