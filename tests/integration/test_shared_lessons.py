"""What one node learned the other knows, on a real server."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbase.statistics.lesson import pack
from mailbase.store.redis import roster as module
from mailbase.store.redis.roster import Roster
from mailbase.store.redis.table import RedisTable
from policyd.learning.bulk import BULK, Bulk
from policyd.learning.lessons import LESSONS, TOKENS, Lessons
from policyd.shared.lessons import LessonShelf

START = 1_790_000_000


class Node:
    def __init__(self, client, clock):
        self.changes = 0
        self.bulk = Bulk(RedisTable(client, BULK, "pw", clock), clock.seconds)
        roster = Roster(client, LESSONS, "pw", clock)
        shelf = LessonShelf(roster)
        tokens = RedisTable(client, TOKENS, "pw", clock)
        self.lessons = Lessons(shelf, tokens, clock.seconds, self.changed)
        shelf.watch(lambda: done(self.lessons.load()))
        roster.start()
        done(self.lessons.load())

    def changed(self):
        self.changes += 1

    def kinds(self):
        async def read():
            return [(packed[-2], spam) async for spam, packed in self.lessons.packed()]

        return sorted(done(read()))


def done(work):
    results = []
    Deferred.fromCoroutine(work).addBoth(results.append)
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]


@pytest.fixture
def clock():
    clock = Clock()
    clock.advance(START)
    return clock


@pytest.fixture
def nodes(blocking_redis, clock):
    blocking_redis.call("FLUSHDB")
    blocking_redis.on_connect = []
    return Node(blocking_redis, clock), Node(blocking_redis, clock)


def test_both_nodes_know_what_either_learned(nodes, clock):
    one, other = nodes
    many = [pack([number]) for number in range(1, 200)]
    assert done(one.lessons.learn(many, True, "command", "r")).new == 199
    clock.advance(module.POLL_EVERY)
    assert other.changes == 1
    assert other.kinds() == one.kinds()
    assert done(other.lessons.learn(many[:1], False, "command", "s")).changed == 1
    clock.advance(module.POLL_EVERY)
    assert one.kinds()[0] == (1, False)
    assert done(one.lessons.undo([key for key, x in one.lessons.all.items() if x.run == "s"])) == 1
    assert done(one.lessons.forget([*one.lessons.all][1:])) == 198
    clock.advance(module.POLL_EVERY)
    assert other.kinds() == one.kinds()
    assert len(other.kinds()) == 1


def test_what_is_forgotten_leaves_the_server(nodes, clock, blocking_redis):
    one, _ = nodes
    done(one.lessons.learn([pack([1])], True, "command", "r"))
    (left,) = {
        blocking_redis.call("TTL", name).result
        for name in blocking_redis.call("KEYS", "pw:lesson_tokens:*").result
    }
    assert 364 * 86400 < left <= 365 * 86400
    done(one.lessons.forget([*one.lessons.all]))
    assert blocking_redis.call("KEYS", "pw:lesson_tokens:*").result == []
    assert blocking_redis.call("HKEYS", "pw:lessons").result == [b""]


def test_a_text_that_one_nodes_spamtrap_got_is_known_to_the_other(nodes):
    one, other = nodes
    request = {"keys": ["00" * 8, "01" * 8], "trapped": True}
    assert done(one.bulk.count(request)) == {"seen": 0, "trapped": False}
    assert done(other.bulk.count({**request, "trapped": False})) == {"seen": 1, "trapped": True}
