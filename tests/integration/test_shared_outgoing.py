"""Records of users and systems that two nodes keep on a real server."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbase.store.redis.table import RedisTable
from policyd.outgoing.books import OUTGOING, Books
from policyd.outgoing.measures import MESSAGES, REFUSED, Kind, Whose

START = 1_790_000_000
ADA = Whose(Kind.USER, "ada@inst.example")


@pytest.fixture
def clock():
    clock = Clock()
    clock.advance(START)
    return clock


@pytest.fixture
def nodes(blocking_redis, clock):
    """Two of them, and what makes another one."""
    blocking_redis.call("FLUSHDB")

    def make():
        table = RedisTable(blocking_redis, OUTGOING, "pw", clock)
        return Books(table, table.pages, Deferred.fromCoroutine, clock.seconds, shared=True)

    return make(), make(), make


def mail(books, now, recipients):
    def count(held, record):
        record.mail(books.node, now, len(recipients), recipients)
        books.changed(held)

    books.use(ADA, count)


def day(books, now):
    found = []
    books.use(ADA, lambda held, record: found.append((record.day(now)[MESSAGES], record.recipients)))
    return found[0]


def test_two_nodes_add_up_what_they_count(nodes, clock, blocking_redis):
    one, other, make = nodes
    for number in range(20):
        mail(one, START, [number])
        mail(other, START, [number % 3])
        one.save()
        other.save()
    one.save()
    other.save()
    mail(one, START, [99])
    one.save()
    mail(other, START, [99])
    other.save()
    assert day(one, START)[0] in (41, 42)
    assert day(other, START) == (42, 21)
    # A node that is started anew, or in another's place.
    assert day(make(), START) == (42, 21)
    found = []

    async def collect():
        async for about, _record in make().rows():
            found.append(about)

    Deferred.fromCoroutine(collect())
    assert found == [ADA]
    (name,) = blocking_redis.call("KEYS", "*").result
    assert b"ada" not in name
    (left,) = [blocking_redis.call("TTL", name).result]
    assert left > 80 * 86400


def test_what_one_node_lifts_is_lifted_on_the_other(nodes, clock):
    one, other, _ = nodes
    for number in range(5):
        mail(one, START, [number])
    one.save()
    mail(other, START, [1])
    other.save()

    def lift(held, record):
        record.lift(START)
        other.changed(held)

    other.use(ADA, lift)
    other.save()
    mail(one, START, [1])
    one.save()
    assert day(one, START)[0] == 0
    one.use(ADA, lambda held, record: (record.add(one.node, START, REFUSED, 1), one.changed(held)))
    one.save()
    assert day(one, START)[0] == 0
