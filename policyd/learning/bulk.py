"""How often mail of nearly the same text has come, and whether a spamtrap got it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from mailbase.bulk import ALIKE, MAX_KEYS, VERB
from mailbase.control import ControlError
from mailbase.control.server import Handler
from mailbase.store import Column, Memory, StoreError, TableSpec

BULK = TableSpec(
    "bulk",
    (Column("seen", "INTEGER"), Column("trapped", "INTEGER")),
    cached=20_000,
    mostly_absent=True,
    opaque=True,
)
"""Key: one of a fuzzy digest. How often it came, and when a spamtrap last got it; 0: never."""
MAX_SEEN = 1_000_000

_KEY = re.compile(r"[0-9a-f]{16}")


class Bulk:
    """Arguments:
    table: described by :data:`BULK`; several nodes may share it.
    seconds: the clock, seconds since the epoch.
    keep: seconds that a text is remembered since it came last; replaced at a reload.

    Attributes:
        counted: mails that were counted, and those like one that a spamtrap got; for the metrics.
    """

    def __init__(self, table: Memory, seconds: Callable[[], float], keep: float = 3 * 86400.0) -> None:
        self._table = table
        self._seconds = seconds
        self.keep = keep
        self.counted = {"counted": 0, "trapped": 0}

    def table(self) -> dict[str, Handler]:
        """Verb → handler."""
        return {VERB: self.count}

    async def count(self, request: dict[str, Any]) -> dict[str, Any]:
        """``keys`` of a mail's digest, ``trapped``: whether a spamtrap gets it. How many came before."""
        keys, trapped = request.get("keys"), request.get("trapped") is True
        if not isinstance(keys, list) or not 0 < len(keys) <= MAX_KEYS:
            raise ControlError(f"expected keys: 1 to {MAX_KEYS}")
        if not all(isinstance(key, str) and _KEY.fullmatch(key) for key in keys):
            raise ControlError("expected keys in hexadecimal")
        try:
            found = [await self._count(bytes.fromhex(key), trapped) for key in dict.fromkeys(keys)]
        except StoreError as error:
            raise ControlError(f"not counted: {error}") from error
        # One key alone may be common to texts that are not alike.
        needed = min(ALIKE, len(found)) - 1
        seen = sorted((times for times, _ in found), reverse=True)[needed]
        marked = sum(was for _, was in found) > needed
        self.counted["counted"] += 1
        self.counted["trapped"] += marked
        return {"seen": seen, "trapped": marked}

    async def _count(self, key: bytes, trapped: bool) -> tuple[int, bool]:
        """How often it came before, and whether a spamtrap got it then."""
        now = int(self._seconds())
        row = self._table.get(key, now)
        found = await row if isinstance(row, Awaitable) else row
        seen, when = (int(found[0]), int(found[1])) if found is not None else (0, 0)
        was = when > now - self.keep
        written = self._table.put(
            key, (min(seen + 1, MAX_SEEN), now if trapped else when, int(now + self.keep))
        )
        if written is not None:
            await written
        return seen, was
