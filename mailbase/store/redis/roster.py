"""A small table that every node holds in memory as a whole, and of which all see a change within a second.

For what must be known without asking, and goes on being known while the server is away. In Redis it is one
hash; a counter in it says whether it changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred

from mailbase.store.errors import StoreError
from mailbase.store.redis.client import RedisClient
from mailbase.store.redis.link import Clock
from mailbase.store.redis.rows import Naming
from mailbase.store.redis.script import Script
from mailbase.store.tables import Row, TableSpec

MAX_ROWS = 100_000
POLL_EVERY = 1.0
"""Seconds between two looks at the counter."""
SWEEP_EVERY = 60.0
"""Seconds after which rows that have expired are deleted, at most."""
VERSION = b""
"""The field with the counter; no row has an empty key."""

PUT = Script(b"""
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[3]) and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HINCRBY', KEYS[1], '', 1)
return 1
""")
"""Field, value, most fields that there may be."""
DELETE = Script(b"""
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('HINCRBY', KEYS[1], '', 1)
return 1
""")
PUT_ALL = Script(b"""
if redis.call('HLEN', KEYS[1]) + (#ARGV - 1) / 2 > tonumber(ARGV[1]) then
  return 0
end
for i = 2, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('HINCRBY', KEYS[1], '', 1)
return 1
""")
"""Most fields that there may be; fields and values in turns."""
DELETE_ALL = Script(b"""
for i = 1, #ARGV do
  redis.call('HDEL', KEYS[1], ARGV[i])
end
redis.call('HINCRBY', KEYS[1], '', 1)
return 1
""")
SWEEP = Script(b"""
local now = tonumber(ARGV[1])
for i = 2, #ARGV do
  local row = redis.call('HGET', KEYS[1], ARGV[i])
  local ends = row and tonumber(string.match(row, ',([^,]+)%]$'))
  if ends and ends <= now then
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return 1
""")
"""Seconds since the epoch; fields that seemed to have expired by then. Another node may have put one anew."""
AT_ONCE = 500
"""Rows in one call of these: they hold up the server's other clients."""
SCRIPTS = (PUT, DELETE, PUT_ALL, DELETE_ALL, SWEEP)


class Roster:
    """Arguments:
    client: the server; knows :data:`SCRIPTS`.
    spec: description of the rows.
    prefix: of all our keys.
    clock: the reactor.
    changed: called with all rows, by key, whenever they are others than before.
    """

    def __init__(
        self,
        client: RedisClient,
        spec: TableSpec,
        prefix: str,
        clock: Clock,
        changed: Callable[[dict[bytes, Row]], object] = lambda rows: None,
    ) -> None:
        self.rows: dict[bytes, Row] = {}
        """As last read, key to columns and ``expires``; some may have expired."""
        self.changed = changed
        self._client = client
        self._clock = clock
        self._name = f"{prefix}:{spec.name}".encode("ascii")
        self._naming = Naming(prefix, spec.name)
        self._width = len(spec.columns) + 1
        self._version: bytes | None = None
        self._swept = clock.seconds()
        self._timer: Any = None
        self._looking = False
        self._stopped = False

    def start(self) -> None:
        """Read it now, after each new connection, and whenever the counter has changed."""
        self._client.on_connect.append(self._begin_anew)
        self._poll()

    def stop(self) -> None:
        """Read no more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    async def put(self, key: bytes, row: Row) -> None:
        """Insert or replace a row, and know it.

        Raises:
            StoreError: cannot be done now, or there are too many rows.
        """
        arguments = (key, self._naming.encode(key, row), MAX_ROWS)
        if not await self._client.run(PUT, [self._name], arguments):
            raise StoreError(f"there are {MAX_ROWS} entries already")
        await self.refresh()

    async def put_all(self, rows: Mapping[bytes, Row]) -> None:
        """Insert or replace many, and know them.

        Raises:
            StoreError: cannot be done now, or not all of it; or there are too many rows.
        """
        fields = list(rows.items())
        for at in range(0, len(fields), AT_ONCE):
            arguments: list[bytes | int] = [MAX_ROWS + 1]
            for key, row in fields[at : at + AT_ONCE]:
                arguments += (key, self._naming.encode(key, row))
            if not await self._client.run(PUT_ALL, [self._name], arguments):
                raise StoreError(f"there are {MAX_ROWS} entries already")
        await self.refresh()

    async def delete_all(self, keys: Iterable[bytes]) -> None:
        """Delete many.

        Raises:
            StoreError: cannot be done now, or not all of it.
        """
        names = list(keys)
        for at in range(0, len(names), AT_ONCE):
            await self._client.run(DELETE_ALL, [self._name], names[at : at + AT_ONCE])
        await self.refresh()

    async def delete(self, key: bytes) -> bool:
        """Delete a row; False if there was none.

        Raises:
            StoreError: cannot be done now.
        """
        there = bool(await self._client.run(DELETE, [self._name], [key]))
        await self.refresh()
        return there

    async def refresh(self) -> None:
        """Read all rows, if they changed.

        Raises:
            StoreError: cannot be done now; what was known stays.
        """
        version = await self._client.call(b"HGET", self._name, VERSION)
        if version == self._version and version is not None:
            if self._clock.seconds() - self._swept >= SWEEP_EVERY:
                self._forget_expired()
            return
        flat = await self._client.call(b"HGETALL", self._name)
        fields: dict[bytes, bytes] = dict(zip(flat[::2], flat[1::2], strict=True))
        self._version = fields.pop(VERSION, None)
        rows = {}
        for value in fields.values():
            found = self._naming.decode(b"", value)
            if found is not None and len(found[1]) == self._width:
                rows[found[0]] = found[1]
        if rows != self.rows:
            self.rows = rows
            self.changed(rows)
        self._forget_expired()

    def _forget_expired(self) -> None:
        self._swept = now = self._clock.seconds()
        ends = ((key, row[-1]) for key, row in self.rows.items())
        expired = [key for key, end in ends if isinstance(end, int | float) and end <= now]
        for key in expired:
            del self.rows[key]
        for at in range(0, len(expired), AT_ONCE):
            arguments: list[bytes | str] = [repr(now), *expired[at : at + AT_ONCE]]
            self._client.run(SWEEP, [self._name], arguments).addErrback(lambda failure: None)

    def _poll(self) -> None:
        self._timer = self._clock.callLater(POLL_EVERY, self._poll)
        self._look()

    def _begin_anew(self) -> None:
        # A master that took over may have lost changes, and counted others.
        self._version = None
        self._look()

    def _look(self) -> None:
        if not self._looking and not self._stopped:
            self._looking = True
            Deferred.fromCoroutine(self._look_now())

    async def _look_now(self) -> None:
        try:
            await self.refresh()
        except StoreError:
            # The client logs why; there will be another look.
            pass
        finally:
            self._looking = False
