"""What a mail took from limits, until it is known what became of it: mail that is refused gets it back."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from mailbase.store import Column, Memory, Row, StoreError, TableSpec
from mailbase.ticket import LIFETIME
from mailbase.vocabulary import Action
from policyd.limits.bucket import Rate
from policyd.limits.ledger import Ask, Limits
from policyd.protocol.request import Stage

CHARGES = TableSpec("limit_charges", (Column("content", "TEXT"),), cached=1_000, opaque=True)
"""Key: the ticket's id. Content: what was taken, as JSON."""
MAX_CHARGES = 200
"""Buckets of one mail that get something back; one for more domains than that is refunded in part."""


class Charges:
    """Arguments:
    table: described by :data:`CHARGES`.
    limits: gets back what is refunded.
    behind: runs a coroutine that nobody waits for.
    refunded: told the name of each limit that got something back.
    """

    def __init__(
        self,
        table: Memory,
        limits: Limits,
        behind: Callable[[Coroutine[Any, Any, Any]], object],
        refunded: Callable[[str], None],
    ) -> None:
        self._table = table
        self._limits = limits
        self._behind = behind
        self._refunded = refunded

    def settle(self, ticket_id: str, stage: Stage, action: Action, taken: Sequence[Ask], now: float) -> None:
        """A request of a mail was answered.

        Arguments:
            ticket_id: of the mail; empty if it has none, and then nothing can come back.
            taken: what this request took.
        """
        if not ticket_id:
            return
        if action is not Action.ACCEPT:
            # What the mail took at DATA, since it ends here.
            self._behind(self._give_back(ticket_id, now))
        elif taken:
            self._behind(self._keep(ticket_id, stage, taken, now))

    async def _give_back(self, ticket_id: str, now: float) -> None:
        try:
            await self.close(ticket_id, True, now)
        except StoreError:
            # Then it stays used up; the store's own metrics tell.
            return

    async def _keep(self, ticket_id: str, stage: Stage, taken: Sequence[Ask], now: float) -> None:
        asks = list(taken)
        try:
            if stage is Stage.END_OF_MESSAGE:
                asks = _read(await _there(self._table.get(ticket_id.encode("ascii"), now))) + asks
            until = now + min(LIFETIME, max(ask.rate.depth for ask in asks) + 1)
            content = json.dumps([_plain(ask) for ask in asks[:MAX_CHARGES]], separators=(",", ":"))
            await _there(self._table.put(ticket_id.encode("ascii"), (content, int(until))))
        except StoreError:
            # It cannot be given back then; the store's own metrics tell.
            return

    async def close(self, ticket_id: str, refund: bool, now: float) -> bool:
        """The last word on a mail has been spoken; returns whether it got anything back.

        Only the first time: a mail that is reported again has nothing left to come back.

        Arguments:
            refund: whether it gets back what it took.

        Raises:
            StoreError: cannot be done now.
        """
        key = ticket_id.encode("ascii")
        asks = _read(await _there(self._table.get(key, now)))
        if not asks:
            return False
        was_there = await _there(self._table.delete(key))
        if not refund or was_there is False:
            # Or another has refunded it meanwhile: another node, or who refused it at the end of its data.
            return False
        await _there(self._limits.give_back(asks, now))
        for ask in asks:
            self._refunded(ask.name)
        return True


def _plain(ask: Ask) -> list[Any]:
    return [ask.key.hex(), *ask.rate, ask.cost, ask.name, ask.subject]


def _read(row: Row | None) -> list[Ask]:
    if row is None:
        return []
    return [
        Ask(bytes.fromhex(key), Rate(limit, within, burst), cost, True, False, name, subject)
        for key, limit, within, burst, cost, name, subject in json.loads(str(row[0]))
    ]


async def _there(value: Any) -> Any:
    return await value if isinstance(value, Awaitable) else value
