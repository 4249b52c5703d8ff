"""Limits that several nodes share."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from mailbase.store.redis.client import RedisClient
from mailbase.store.redis.table import RedisTable
from policyd.limits.bucket import Standing, stand
from policyd.limits.ledger import Ask, Page
from policyd.shared.scripts import GIVE_BACK, TAKE


class RedisLimits:
    """:class:`policyd.limits.ledger.Limits` on a server.

    Arguments:
        client: the server.
        table: described by :data:`policyd.limits.ledger.BUCKETS`.
    """

    def __init__(self, client: RedisClient, table: RedisTable) -> None:
        self._client = client
        self._table = table
        self._name = table.naming.name

    def take(self, asks: Sequence[Ask], now: float) -> Deferred[tuple[Standing, ...]]:
        """See :class:`policyd.limits.ledger.Limits`."""
        args: list[Any] = [repr(now)]
        for ask in asks:
            rate = ask.rate
            args += (
                repr(rate.interval),
                repr(rate.depth),
                ask.cost,
                int(ask.take),
                int(ask.shadow),
                _rest(ask),
            )
        reply = self._client.run(TAKE, [self._name(ask.key) for ask in asks], args)
        return reply.addCallback(_standings, asks, now)

    async def give_back(self, asks: Sequence[Ask], now: float) -> None:
        """See :class:`policyd.limits.ledger.Limits`."""
        args: list[Any] = [repr(now)]
        for ask in asks:
            args += (repr(ask.rate.interval), repr(ask.rate.depth), ask.cost, _rest(ask))
        await self._client.run(GIVE_BACK, [self._name(ask.key) for ask in asks], args)

    def forget(self, key: bytes) -> Deferred[bool]:
        """See :class:`policyd.limits.ledger.Limits`."""
        return self._table.delete(key)

    def pages(self, now: float) -> AsyncIterator[Page]:
        """See :class:`policyd.limits.ledger.Limits`."""
        return self._table.pages(now)


def _rest(ask: Ask) -> bytes:
    """The columns of a row between the first and ``expires``, as they stand in its array."""
    return json.dumps([ask.name, ask.subject], separators=(",", ":"))[1:-1].encode("ascii")


def _standings(before: list[bytes], asks: Sequence[Ask], now: float) -> tuple[Standing, ...]:
    # What the script made of it follows from what it found.
    return tuple(stand(float(full), ask.cost, ask.rate, now) for full, ask in zip(before, asks, strict=True))
