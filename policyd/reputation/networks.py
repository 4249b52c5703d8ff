"""What client networks have done lately: written to spamtraps, sent mail that was refused for its content."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

from mailbase.store import Column, Memory, Row, StoreError, TableSpec
from policyd.greylist.keys import client_network

REPUTATION = TableSpec(
    "reputation",
    (Column("trapped", "INTEGER"), Column("traps", "INTEGER"), Column("refused", "INTEGER")),
    cached=4_000,
    mostly_absent=True,
)
"""Key: :func:`policyd.greylist.keys.client_network`. The columns are a Past."""


class Past(NamedTuple):
    """What is remembered of a client network; seconds since the epoch, 0 for never.

    Arguments:
        trapped: when it last wrote to a spamtrap.
        traps: mails of it to spamtraps.
        refused: when mail of it was last refused for its content.
    """

    trapped: int = 0
    traps: int = 0
    refused: int = 0


class Reputation:
    """Arguments:
    table: described by :data:`REPUTATION`; several nodes may share it.
    behind: runs a coroutine that nobody waits for.
    seconds: the clock, seconds since the epoch.

    Attributes:
        remember: seconds; replaced at a reload.
        prefixes: lengths of a client network, IPv4 and IPv6; likewise.
    """

    def __init__(
        self,
        table: Memory,
        behind: Callable[[Coroutine[Any, Any, None]], object],
        seconds: Callable[[], float],
        remember: float = 3 * 86400.0,
        prefixes: tuple[int, int] = (24, 64),
    ) -> None:
        self._table = table
        self._behind = behind
        self._seconds = seconds
        self.remember = remember
        self.prefixes = prefixes

    def of(self, address: bytes) -> Past | Awaitable[Past]:
        """What is held against the network of ``address``; what is too long ago is 0.

        Raises:
            StoreError: the store cannot say (at once or when awaited).
        """
        now = self._seconds()
        row = self._table.get(self._key(address), now)
        if row is None or isinstance(row, tuple):
            return self._lately(row, now)
        return self._later(row, now)

    async def _later(self, row: Awaitable[Row | None], now: float) -> Past:
        return self._lately(await row, now)

    def _lately(self, row: Row | None, now: float) -> Past:
        past, remember = _past(row), self.remember
        # What lies further ahead than that was noted by a clock that was wrong, and would be held against the
        # network for as long as it was.
        trapped = abs(now - past.trapped) < remember
        return Past(
            past.trapped if trapped else 0,
            past.traps if trapped else 0,
            past.refused if abs(now - past.refused) < remember else 0,
        )

    def trapped(self, address: bytes) -> None:
        """The client wrote to a spamtrap."""
        now = int(self._seconds())
        self._behind(self._note(address, lambda past: past._replace(trapped=now, traps=past.traps + 1)))

    def refused(self, address: bytes) -> None:
        """Mail of the client was refused for its content."""
        now = int(self._seconds())
        self._behind(self._note(address, lambda past: past._replace(refused=now)))

    async def _note(self, address: bytes, change: Callable[[Past], Past]) -> None:
        # Two nodes may do so at once; then a count is lost, and the time is there all the same.
        key, now = self._key(address), self._seconds()
        try:
            found = self._table.get(key, now)
            row = found if found is None or isinstance(found, tuple) else await found
            written = self._table.put(key, (*change(_past(row)), int(now + self.remember) + 1))
            if written is not None:
                await written
        except StoreError:
            # Nothing is held against it then; the store's own metrics tell.
            return

    def _key(self, address: bytes) -> bytes:
        return client_network(address, *self.prefixes, exact=False).encode("ascii")


def _past(row: Row | None) -> Past:
    return Past() if row is None else Past(int(row[0]), int(row[1]), int(row[2]))
