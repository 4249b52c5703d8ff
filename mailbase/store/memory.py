"""What a table of this node's store and one that several nodes share have in common."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from mailbase.store.tables import Row


class Memory(Protocol):
    """Rows by key. What is in this process answers at once; what another machine keeps, later.

    Whoever asks goes on at once where the answer is no awaitable: the usual case costs no coroutine.

    Raises (all methods, at once or when awaited):
        StoreError: neither an answer nor a place to remember at the moment.
    """

    def get(self, key: bytes, now: float) -> Row | Awaitable[Row | None] | None:
        """The row's hot columns and ``expires``; None if there is none, or it expired by ``now``."""

    def put(self, key: bytes, row: Row) -> Awaitable[None] | None:
        """Insert or replace: all columns in order, and ``expires`` (seconds since the epoch)."""

    def delete(self, key: bytes) -> Awaitable[bool] | None:
        """Delete; nothing happens if there is none. What has to be awaited says whether there was one: of
        several nodes that do so at once, one hears that there was."""
