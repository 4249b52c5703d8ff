"""What servers said of recipients, remembered in the store, where all nodes see it.

A result carries its domain's generation. To forget a domain is to give it another generation: one entry,
however many results there are and wherever they are kept, and what is under way comes too late.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

from mailbase.store import Column, Memory, Row, StoreError, TableSpec
from policyd.callout.result import Result

CALLOUTS = TableSpec(
    "callouts",
    (Column("result", "TEXT"), Column("generation", "INTEGER")),
    cached=10_000,
    mostly_absent=True,
    opaque=True,
)
"""Key: a hash, so that no address stands in the store."""

KEY_SIZE = 16
REMEMBERED = 4_000
"""Recipients whose keys are remembered."""
SKEW = 60.0
"""Seconds by which a result may seem to live longer than it should: the clocks of two nodes differ."""
GENERATION_LIFE = 2 * 86400
"""Seconds; longer than any result lives."""
_RESULTS: dict[object, Result] = {result.value: result for result in Result}
_VERIFIES = "verifies"
"""Of a domain: its server refuses made-up addresses."""

_Pending: TypeAlias = "Row | Awaitable[Row | None] | None"


class _Keys(NamedTuple):
    generation: bytes
    address: bytes
    server: bytes


class Known(NamedTuple):
    """What is remembered of a recipient.

    Arguments:
        result: None if nothing is.
        generation: of its domain.
        tested: whether it is known if the server takes whatever it is told.
    """

    result: Result | None
    generation: int = 0
    tested: bool = False


class Results:
    """Arguments:
    memory: the table :data:`CALLOUTS`.
    generations: makes new ones.

    Attributes:
        lives: seconds that each result lives at most; replaced at a reload. What is to live longer was noted
            before the clock was set back, or the life made shorter, and is not known any more.

    Raises (all methods, at once or when awaited):
        StoreError: neither an answer nor a place to remember at the moment.
    """

    def __init__(
        self, memory: Memory, generations: Callable[[], int] = lambda: 1 + secrets.randbits(52)
    ) -> None:
        self._memory = memory
        self._generations = generations
        self.lives: Mapping[Result, float] = {}

    def find(self, domain: str, local: str, now: float) -> Known | Awaitable[Known]:
        """What is known.

        Arguments:
            domain: normalised.
            local: as :func:`policyd.callout.result.folded` gives it.
        """
        get = self._memory.get
        keys = _keys(domain, local)
        generation, address = get(keys.generation, now), get(keys.address, now)
        if not _is_here(generation) or not _is_here(address):
            return self._find_later([generation, address, get(keys.server, now)], now)
        # The usual case, and the only one that is worth some haste.
        number = _number(generation)
        address = self._timely(address, now)
        if type(address) is tuple and address[1] == number:
            return Known(_RESULTS.get(address[0]), number)
        server = get(keys.server, now)
        if not _is_here(server):
            return self._find_later([generation, address, server], now)
        return _known(address, generation, self._timely(server, now))

    def _timely(self, row: _Pending, now: float) -> Row | None:
        """The row of a result, unless it is to live longer than it should."""
        if type(row) is not tuple:
            return None
        life = self.lives.get(_RESULTS.get(row[0], Result.UNKNOWN))
        return row if life is None or row[-1] - now <= life + SKEW else None  # type: ignore[operator]

    async def _find_later(self, pending: Sequence[_Pending], now: float) -> Known:
        rows: list[Row | None] = []
        failure: StoreError | None = None
        for one in pending:
            # All of them, or one that failed would be left without anybody to hear it.
            try:
                rows.append(await one if isinstance(one, Awaitable) else one)
            except StoreError as error:
                failure = error
        if failure is not None:
            raise failure
        generation, address, server = rows
        return _known(self._timely(address, now), generation, self._timely(server, now))

    def keep(
        self, domain: str, local: str, result: Result, generation: int, expires: float
    ) -> Awaitable[None] | None:
        """Remember ``result``.

        Arguments:
            generation: of the domain, as it was when the server was asked.
            expires: seconds since the epoch.
        """
        return self._memory.put(_keys(domain, local).address, (result.value, generation, int(expires)))

    def keep_server(
        self, domain: str, catch_all: bool, generation: int, expires: float
    ) -> Awaitable[None] | None:
        """Remember whether a domain's server takes whatever it is told."""
        word = Result.CATCH_ALL.value if catch_all else _VERIFIES
        return self._memory.put(_keys(domain, "").server, (word, generation, int(expires)))

    async def forget_address(self, domain: str, local: str, now: float) -> bool:
        """Forget a recipient, and that its server takes everything; whether anything was known of it."""
        before = self.find(domain, local, now)
        if isinstance(before, Awaitable):
            before = await before
        keys = _keys(domain, local)
        for key in (keys.address, keys.server):
            if (done := self._memory.delete(key)) is not None:
                await done
        return before.result is not None

    async def forget_domain(self, domain: str, now: float) -> None:
        """Forget all of a domain."""
        row: Row = ("", self._generations(), int(now) + GENERATION_LIFE)
        if (done := self._memory.put(_keys(domain, "").generation, row)) is not None:
            await done


def _known(address: _Pending, generation: _Pending, server: _Pending) -> Known:
    number = _number(generation)
    said = _result(server, number)
    result = _result(address, number) or (said if said == Result.CATCH_ALL else None)
    return Known(_RESULTS.get(result), number, said is not None)


def _is_here(row: _Pending) -> bool:
    return row is None or type(row) is tuple


def _number(row: _Pending) -> int:
    return int(row[1]) if isinstance(row, tuple) else 0


def _result(row: _Pending, generation: int) -> str | None:
    return str(row[0]) if isinstance(row, tuple) and row[1] == generation else None


@lru_cache(maxsize=REMEMBERED)
def _keys(domain: str, local: str) -> _Keys:
    return _Keys(_key("generation", domain), _key("address", domain, local), _key("server", domain))


def _key(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=KEY_SIZE).digest()
