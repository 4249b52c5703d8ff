"""A resolver for unit tests: a literal table instead of servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred

from mailbase.addresses import pack
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
from mailbase.dns.names import normal
from mailbase.dns.resolver import Resolver

Row: TypeAlias = "str | bytes | Mx | Sequence[str | bytes | Mx] | NxDomain | NoData | Temporary | TimedOut"


class TableResolver(Resolver):
    """Answers from a table; a name that is not in it does not exist.

    ::

        TableResolver({("mx.example", "A"): "192.0.2.1", ("example", "MX"): [(10, "mx.example")],
                       ("slow.example", "TXT"): Temporary()}, clock=clock, slow={"slow.example": 2.0})

    Arguments:
        table: by name and type; addresses in presentation form or packed.
        clock: for deadlines and for what is slow; without one everything is answered at once.
        slow: seconds until the answer, by name; ``""`` for all others. The second time it is in memory.
        ttl: of all answers.
    """

    def __init__(
        self,
        table: Mapping[tuple[str, str | RecordType], Row | Answer[Record]],
        *,
        clock: Any = None,
        slow: Mapping[str, float] | None = None,
        ttl: float = 300.0,
    ) -> None:
        self._clock = clock
        self._slow = {
            own: seconds for name, seconds in (slow or {}).items() if (own := _own(name)) is not None
        }
        self._ttl = ttl
        self._answers: dict[tuple[str, RecordType], Answer[Record]] = {}
        self._known: set[tuple[str, RecordType]] = set()
        self.asked: list[tuple[str, RecordType, str]] = []
        """Every question with its consumer, in their order."""
        for (name, kind), row in table.items():
            self.set(name, kind, row)

    def set(self, name: str, kind: str | RecordType, row: Row | Answer[Record]) -> None:
        """Put another answer in the table.

        Raises:
            ValueError: a name or an address that is none.
        """
        own = _own(name)
        if own is None:
            raise ValueError(f"not a name: {name!r}")
        rdtype = RecordType[kind] if isinstance(kind, str) else kind
        self._answers[own, rdtype] = self._answer(own, rdtype, row)

    def cached(self, name: str, rdtype: RecordType) -> Answer[Record] | None:
        """See :class:`Resolver`."""
        own = normal(name)
        if own is None:
            return BadName()
        return self._look_up(own, rdtype) if self._at_once(own, rdtype) else None

    def ask(
        self, name: str, rdtype: RecordType, *, consumer: str, deadline: float | None = None
    ) -> Answer[Record] | Deferred[Answer[Record]]:
        """See :class:`Resolver`."""
        self.asked.append((name, rdtype, consumer))
        own = normal(name)
        if own is None:
            return BadName()
        answer = self._look_up(own, rdtype)
        if self._at_once(own, rdtype):
            return answer
        seconds = self._slow.get(own, self._slow.get("", 0.0))
        left = float("inf") if deadline is None else deadline - self._clock.seconds()
        if left <= 0:
            return TimedOut("the deadline has passed")
        told = TimedOut("no answer by the deadline") if seconds > left else answer
        waiting: Deferred[Answer[Record]] = Deferred(lambda _deferred: timer.cancel())
        timer = self._clock.callLater(min(seconds, left), waiting.callback, told)
        self._clock.callLater(seconds, self._known.add, (own, rdtype))
        return waiting

    def forget(self, name: str) -> int:
        """See :class:`Resolver`."""
        known = {key for key in self._known if key[0] == _own(name)}
        self._known -= known
        return len(known)

    def _at_once(self, own: str, rdtype: RecordType) -> bool:
        if self._clock is None or (own, rdtype) in self._known:
            return True
        return self._slow.get(own, self._slow.get("", 0.0)) <= 0

    def _look_up(self, own: str, rdtype: RecordType) -> Answer[Record]:
        answer = self._answers.get((own, rdtype))
        if answer is not None:
            return answer
        below = "." + own
        there = any(name == own or name.endswith(below) for name, _rdtype in self._answers)
        return NoData(self._ttl) if there else NxDomain(self._ttl)

    def _answer(self, own: str, rdtype: RecordType, row: Row | Answer[Record]) -> Answer[Record]:
        if isinstance(row, (Found, NxDomain, NoData, Temporary, TimedOut, BadName)):
            return row
        rows = [row] if isinstance(row, (str, bytes, Mx)) else list(row)
        return Found(tuple(_record(rdtype, one) for one in rows), self._ttl, own)


def _own(name: str) -> str | None:
    return normal(name) if name else ""


def _record(rdtype: RecordType, value: str | bytes | tuple[int, str]) -> Record:
    match rdtype, value:
        case RecordType.A | RecordType.AAAA, str():
            packed = pack(value)
            if packed is None or len(packed) != (4 if rdtype is RecordType.A else 16):
                raise ValueError(f"not an address for {rdtype.name}: {value!r}")
            return packed
        case RecordType.TXT, str():
            return value.encode("utf-8")
        case RecordType.MX, (preference, exchange):
            return Mx(preference, _own(exchange) or "")
        case _, str():
            return _own(value) or ""
        case _, bytes():
            return value
    raise ValueError(f"not a record of {rdtype.name}: {value!r}")
