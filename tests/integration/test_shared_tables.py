"""Tables and rosters on a real server."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbase.store import NEVER, Column, StoreError, TableSpec
from mailbase.store.redis import roster as module
from mailbase.store.redis import table as table_module
from mailbase.store.redis.roster import Roster
from mailbase.store.redis.table import RedisTable

START = 1_790_000_000
THINGS = TableSpec("things", (Column("a", "INTEGER"), Column("b", "TEXT", hot=False)))
HASHED = TableSpec("hashed", (Column("a", "INTEGER"), Column("b", "TEXT", hot=False)), opaque=True)


def now_of(waiting):
    """What comes at once of a blocking client."""
    results = []
    deferred = waiting if isinstance(waiting, Deferred) else Deferred.fromCoroutine(waiting)
    deferred.addCallbacks(results.append, lambda failure: results.append(failure.value))
    if isinstance(results[0], Exception):
        raise results[0]
    return results[0]


@pytest.fixture
def clock():
    clock = Clock()
    clock.advance(START)
    return clock


@pytest.fixture
def client(blocking_redis):
    blocking_redis.call("FLUSHDB")
    blocking_redis.on_connect = []
    return blocking_redis


def rows_of(table, now=START):
    async def collect():
        return sorted([row async for page in table.pages(now) for row in page])

    return now_of(collect())


@pytest.mark.parametrize("spec", [THINGS, HASHED], ids=lambda spec: spec.name)
def test_a_row_is_there_until_it_is_deleted_or_expires(client, clock, spec):
    table = RedisTable(client, spec, "pw", clock)
    assert now_of(table.get(b"k", START)) is None
    now_of(table.put(b"k", (1, "x", START + 100)))
    now_of(table.put(b"l", (2, "y", NEVER)))
    assert now_of(table.get(b"k", START)) == (1, START + 100)
    assert now_of(table.get(b"k", START + 100)) is None
    assert rows_of(table) == [(b"k", (1, "x", START + 100)), (b"l", (2, "y", NEVER))]
    assert rows_of(table, START + 100) == [(b"l", (2, "y", NEVER))]
    lives = [now_of(client.call("TTL", table.naming.name(key))) for key in (b"k", b"l")]
    assert 95 <= lives[0] <= 100
    assert lives[1] == -1
    now_of(table.delete(b"l"))
    now_of(table.delete(b"l"))
    assert now_of(table.get(b"l", START)) is None


def test_what_has_expired_already_takes_the_place_of_what_was_there(client, clock):
    table = RedisTable(client, THINGS, "pw", clock)
    now_of(table.put(b"k", (1, "x", START + 100)))
    now_of(table.put(b"k", (2, "x", START)))
    assert now_of(client.call("DBSIZE")) == 0


def test_prefixes_and_tables_keep_apart(client, clock):
    tables = [
        RedisTable(client, spec, prefix, clock) for spec in (THINGS, HASHED) for prefix in ("pw", "pw2")
    ]
    for number, table in enumerate(tables):
        now_of(table.put(b"k", (number, "x", START + 100)))
    assert [rows_of(table)[0][1][0] for table in tables] == [0, 1, 2, 3]


def test_a_listing_goes_in_steps(client, clock, monkeypatch):
    monkeypatch.setattr(table_module, "SCAN_COUNT", 10)
    table = RedisTable(client, HASHED, "pw", clock)
    for number in range(300):
        now_of(table.put(b"%03d" % number, (number, "x", START + 100)))
    assert [row[0] for _, row in rows_of(table)] == list(range(300))


def test_rows_of_another_shape_are_passed_over(client, clock):
    table = RedisTable(client, THINGS, "pw", clock)
    for number, value in enumerate([b"noise", b"[]", table.naming.encode(b"k", (1, START + 9))]):
        now_of(client.call("SET", table.naming.name(b"%d" % number), value))
        assert now_of(table.get(b"%d" % number, START)) is None
    assert rows_of(table) == []


class Nodes:
    """Two rosters of the same rows."""

    def __init__(self, client, clock):
        self.changes = [[], []]
        self.rosters = [Roster(client, THINGS, "pw", clock, self.changes[number].append) for number in (0, 1)]
        for roster in self.rosters:
            roster.start()


def test_both_nodes_know_all_rows(client, clock):
    nodes = Nodes(client, clock)
    first, second = nodes.rosters
    now_of(first.put(b"k", (1, "x", NEVER)))
    assert first.rows == {b"k": (1, "x", NEVER)}
    assert second.rows == {}
    clock.advance(module.POLL_EVERY)
    assert second.rows == first.rows
    assert nodes.changes[1] == [first.rows]
    assert now_of(second.delete(b"k"))
    assert not now_of(second.delete(b"k"))
    clock.advance(module.POLL_EVERY)
    assert first.rows == {}
    clock.advance(10)
    assert [len(changes) for changes in nodes.changes] == [2, 2]


def test_rows_that_expired_leave_the_server(client, clock):
    (roster, _) = Nodes(client, clock).rosters
    now_of(roster.put(b"k", (1, "x", START + 5)))
    now_of(roster.put(b"l", (1, "x", NEVER)))
    clock.advance(6)
    now_of(roster.put(b"m", (1, "x", NEVER)))
    assert now_of(client.call("HKEYS", "pw:things")) == [b"", b"l", b"m"]
    now_of(roster.put(b"n", (1, "x", START + 10)))
    clock.pump([module.POLL_EVERY] * int(module.SWEEP_EVERY + 10))
    assert now_of(client.call("HKEYS", "pw:things")) == [b"", b"l", b"m"]
    assert set(roster.rows) == {b"l", b"m"}


def test_what_another_node_puts_anew_meanwhile_is_not_swept_away(client, clock):
    first, second = Nodes(client, clock).rosters
    fresh = (2, "y", START + 100)
    now_of(first.put(b"k", (1, "x", START + 5)))
    now_of(first.put(b"l", (1, "x", START + 5)))

    class Slow:
        """What comes from the first node after it has read all rows comes after what the second does."""

        read = False

        def call(self, *words):
            self.meanwhile()
            self.read = words[0] == b"HGETALL"
            return client.call(*words)

        def run(self, *words):
            self.meanwhile()
            return client.run(*words)

        def meanwhile(self):
            if self.read:
                self.read = False
                now_of(second.put(b"k", fresh))

    clock.pump([module.POLL_EVERY] * 5)
    first._client = Slow()
    first._version = None
    now_of(first.refresh())
    assert sorted(now_of(client.call("HKEYS", "pw:things"))) == [b"", b"k"]
    clock.advance(module.POLL_EVERY)
    assert first.rows == second.rows == {b"k": fresh}


def test_there_are_no_more_rows_than_may(client, clock, monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 3)
    (roster, _) = Nodes(client, clock).rosters
    for key in (b"a", b"b", b"c"):
        now_of(roster.put(key, (1, "x", NEVER)))
    now_of(roster.put(b"a", (2, "y", NEVER)))
    with pytest.raises(StoreError, match="there are 3 entries already"):
        now_of(roster.put(b"d", (1, "x", NEVER)))
    assert set(roster.rows) == {b"a", b"b", b"c"}


def test_after_a_new_connection_everything_is_read_again(client, clock):
    (roster, _) = Nodes(client, clock).rosters
    now_of(roster.put(b"k", (1, "x", NEVER)))
    # A replica that had not everything becomes the master, and by chance has counted as far.
    version = now_of(client.call("HGET", "pw:things", ""))
    client.call("DEL", "pw:things")
    client.call("HSET", "pw:things", "", version)
    clock.advance(module.POLL_EVERY)
    assert roster.rows
    for told in client.on_connect:
        told()
    assert roster.rows == {}


def test_what_was_known_stays_while_the_server_is_away(client, clock):
    class Away:
        on_connect = []

        def call(self, *words):
            raise StoreError("no connection")

    (roster, _) = Nodes(client, clock).rosters
    now_of(roster.put(b"k", (1, "x", NEVER)))
    roster._client = Away()
    clock.advance(5)
    assert set(roster.rows) == {b"k"}
    with pytest.raises(StoreError):
        now_of(roster.refresh())
