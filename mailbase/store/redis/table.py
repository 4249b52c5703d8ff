"""A table whose rows several nodes share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from twisted.internet.defer import Deferred

from mailbase.store.redis.client import RedisClient
from mailbase.store.redis.link import Clock
from mailbase.store.redis.rows import Naming
from mailbase.store.tables import NEVER, Row, TableSpec

SCAN_COUNT = 500
"""Keys of the whole server that one step of a listing looks at: some hundred microseconds of its time."""


class RedisTable:
    """:class:`mailbase.store.Memory`: a key for each row, which goes when the row expires.

    Arguments:
        client: the server.
        spec: its description; how many rows are ``cached`` has no meaning here.
        prefix: of all our keys.
        clock: seconds since the epoch.
    """

    def __init__(self, client: RedisClient, spec: TableSpec, prefix: str, clock: Clock) -> None:
        self.naming = Naming(prefix, spec.name, opaque=spec.opaque)
        self._client = client
        self._clock = clock
        self._hot = spec.hot
        self._width = len(spec.columns) + 1

    def get(self, key: bytes, now: float) -> Deferred[Row | None]:
        """See :class:`mailbase.store.Memory`."""
        name = self.naming.name(key)
        return self._client.call(b"GET", name).addCallback(self._read, name, now)

    def _read(self, value: Any, name: bytes, now: float) -> Row | None:
        found = self._row(name, value, now)
        return None if found is None else (*found[1][: self._hot], found[1][-1])

    def _row(self, name: bytes, value: Any, now: float) -> tuple[bytes, Row] | None:
        """Key and all columns, if they are there and have not expired."""
        found = self.naming.decode(name, value) if isinstance(value, bytes) else None
        if found is None or len(found[1]) != self._width:
            return None
        expires = found[1][-1]
        return found if isinstance(expires, int | float) and expires > now else None

    def put(self, key: bytes, row: Row) -> Deferred[None]:
        """See :class:`mailbase.store.Memory`."""
        expires = row[-1]
        assert isinstance(expires, int | float)
        name, value = self.naming.name(key), self.naming.encode(key, row)
        if expires >= NEVER:
            return self._client.call(b"SET", name, value)
        left = int(expires - self._clock.seconds())
        if left <= 0:
            return self.delete(key).addCallback(lambda _there: None)
        return self._client.call(b"SET", name, value, b"EX", left)

    def delete(self, key: bytes) -> Deferred[bool]:
        """See :class:`mailbase.store.Memory`."""
        return self._client.call(b"UNLINK", self.naming.name(key)).addCallback(bool)

    async def pages(self, now: float) -> AsyncIterator[list[tuple[bytes, Row]]]:
        """All rows, as key and all columns and ``expires``, some at a time.

        What changes meanwhile may be missing, or come twice.

        Raises:
            StoreError: cannot be read now.
        """
        cursor, first = b"0", True
        while first or cursor != b"0":
            first = False
            cursor, names = await self._client.call(
                b"SCAN", cursor, b"MATCH", self.naming.pattern, b"COUNT", SCAN_COUNT
            )
            values = await self._client.call(b"MGET", *names) if names else []
            rows = (self._row(name, value, now) for name, value in zip(names, values, strict=True))
            page = [row for row in rows if row is not None]
            if page:
                yield page
