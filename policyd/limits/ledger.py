"""What is remembered of limits: one call for each request, over all its buckets at once."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple, Protocol, TypeAlias

from mailbase.store import Column, Row, Store, StoreError, Table, TableSpec
from policyd.limits.bucket import Rate, Standing, put_back, stand

BUCKETS = TableSpec(
    "limit_buckets",
    (
        Column("full_at", "REAL"),
        Column("name", "TEXT", hot=False),
        Column("subject", "TEXT", hot=False),
    ),
    cached=10_000,
    mostly_absent=True,
    opaque=True,
)
"""Key: :func:`bucket_keys`. A bucket that is full again has expired."""

Page: TypeAlias = list[tuple[bytes, Row]]
PAGE = 200
"""Buckets in one page of a listing."""
KEY_SIZE = 16
"""Octets of a bucket's key. Two subjects that share one by accident would share a limit."""


class Ask(NamedTuple):
    """What is asked of one bucket.

    Arguments:
        key: of :func:`bucket_keys`.
        rate: how the bucket fills.
        cost: units, 1 or more.
        take: whether they are to be taken; else it is only seen whether they could be.
        shadow: whether the others are taken from all the same if this one has not enough.
        name: of the limit, ``FLOW.NAME``.
        subject: whose bucket, for listings.
    """

    key: bytes
    rate: Rate
    cost: int
    take: bool
    shadow: bool
    name: str
    subject: str


class Limits(Protocol):
    """Remembers buckets; the answer may come at once or, from another machine, later.

    Raises (all methods, at once or when awaited):
        StoreError: neither an answer nor a place to remember at the moment; nothing was taken.
    """

    def take(self, asks: Sequence[Ask], now: float) -> tuple[Standing, ...] | Awaitable[tuple[Standing, ...]]:
        """Take from every bucket, or from none.

        Of the asks that say ``take``: if a bucket lacks what is asked of it, and its ask is no shadow,
        nothing is taken from any. Otherwise each that has enough gives it. What is only looked at changes
        nothing. This is one atomic step, however many processes ask.

        Arguments:
            asks: each of another bucket.
            now: seconds since the epoch.

        Returns:
            How each bucket stands (:func:`policyd.limits.bucket.stand`), in the order of ``asks``.
        """

    def give_back(self, asks: Sequence[Ask], now: float) -> Awaitable[None] | None:
        """Put back what was taken (:func:`policyd.limits.bucket.put_back`); a full bucket stays full."""

    def forget(self, key: bytes) -> Awaitable[object] | None:
        """Fill a bucket."""

    def pages(self, now: float) -> AsyncIterator[Page]:
        """Every bucket that is not full, as key and the columns of :data:`BUCKETS`, some at a time."""


class StoreLimits:
    """:class:`Limits` in the store of this node.

    Arguments:
        store: has the table :data:`BUCKETS`.
    """

    def __init__(self, store: Store) -> None:
        self._table: Table = store.table(BUCKETS.name)

    def take(self, asks: Sequence[Ask], now: float) -> tuple[Standing, ...]:
        """See :class:`Limits`."""
        rows = [self._table.get(ask.key, now) for ask in asks]
        standings = tuple(
            stand(_full_at(row), ask.cost, ask.rate, now) for row, ask in zip(rows, asks, strict=True)
        )
        if all(
            standing.passed or ask.shadow or not ask.take
            for standing, ask in zip(standings, asks, strict=True)
        ):
            self._put(
                [
                    (ask, standing.full_at, _full_at(row))
                    for ask, standing, row in zip(asks, standings, rows, strict=True)
                    if ask.take and standing.passed
                ]
            )
        return standings

    def _put(self, taken: list[tuple[Ask, float, float]]) -> None:
        for number, (ask, full_at, _before) in enumerate(taken):
            try:
                self._table.put(ask.key, _row(ask, full_at))
            except StoreError:
                # No place for this one, so the others get theirs back; for these there is a place already.
                for other, _full, before in taken[:number]:
                    self._table.put(other.key, _row(other, before))
                raise

    def give_back(self, asks: Sequence[Ask], now: float) -> None:
        """See :class:`Limits`."""
        for ask in asks:
            row = self._table.get(ask.key, now)
            if row is None:
                continue
            full_at = put_back(_full_at(row), ask.cost, ask.rate, now)
            if full_at > now:
                self._table.put(ask.key, _row(ask, full_at))
            else:
                self._table.delete(ask.key)

    def forget(self, key: bytes) -> None:
        """See :class:`Limits`."""
        self._table.delete(key)

    async def pages(self, now: float) -> AsyncIterator[Page]:
        """See :class:`Limits`."""
        rows = self._table.scan(now)
        while page := list(islice(rows, PAGE)):
            yield page


def bucket_keys(*parts: str) -> Callable[[str], bytes]:
    """Makes the keys of a limit's buckets, :data:`KEY_SIZE` octets each, from their subjects.

    Arguments:
        parts: flow, name, what it counts by, what it counts.
    """
    begun = blake2b(("\0".join(parts) + "\0").encode("utf-8", "replace"), digest_size=KEY_SIZE)

    def key(subject: str) -> bytes:
        hashed = begun.copy()
        hashed.update(subject.encode("utf-8", "replace"))
        return hashed.digest()

    return key


def bucket_key(*parts: str) -> bytes:
    """The key of one bucket; of many with the same beginning see :func:`bucket_keys`."""
    return bucket_keys(*parts[:-1])(parts[-1])


def _full_at(row: Row | None) -> float:
    return 0.0 if row is None else float(row[0])


def _row(ask: Ask, full_at: float) -> Row:
    return full_at, ask.name, ask.subject, math.ceil(full_at)
