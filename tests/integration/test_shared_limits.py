"""The scripts of limits on a real server give what the pure functions give, whatever happens."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbase.store.redis.table import RedisTable
from policyd.limits.bucket import Rate
from policyd.limits.ledger import BUCKETS, Ask, StoreLimits, bucket_key
from policyd.shared.limits import RedisLimits

START = 1_790_000_000.0


class Both:
    """Limits in SQLite and on the server, asked the same."""

    def __init__(self, client, plain_table):
        self.clock = Clock()
        self.clock.advance(START)
        self.here = StoreLimits(SimpleNamespace(table=lambda name: plain_table(BUCKETS)))
        client.call("FLUSHDB")
        self.there = RedisLimits(client, RedisTable(client, BUCKETS, "limits", self.clock))

    def take(self, asks):
        now = self.clock.seconds()
        answers = self.here.take(asks, now), now_of(self.there.take(asks, now))
        assert answers[0] == answers[1]

    def give_back(self, asks):
        now = self.clock.seconds()
        self.here.give_back(asks, now)
        now_of(Deferred.fromCoroutine(self.there.give_back(asks, now)))

    def rows(self):
        async def collect(limits):
            rows = [row async for page in limits.pages(self.clock.seconds()) for row in page]
            return sorted((key, float(full), *rest) for key, (full, *rest) in rows)

        return [now_of(Deferred.fromCoroutine(collect(limits))) for limits in (self.here, self.there)]


def now_of(deferred):
    results = []
    deferred.addCallbacks(results.append, lambda failure: failure.raiseException())
    return results[0]


RATES = (Rate(2, 3600.0, 2), Rate(10, 600.0, 5), Rate(3, 100.0, 6), Rate(50, 86400.0, 50))
"""None fills up so soon that the server would forget it by its own clock in the middle of a test."""
subjects = ("alice@example.org", 'q"uo\\te', "ü")

asks = st.lists(
    st.builds(
        lambda which, subject, cost, take, shadow: Ask(
            bucket_key("inbound", str(which), subject),
            RATES[which],
            cost,
            take,
            shadow,
            f"inbound.{which}",
            subject,
        ),
        st.integers(0, 3),
        st.sampled_from(subjects),
        st.integers(1, 8),
        st.booleans() | st.just(True),
        st.booleans() | st.just(False),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda ask: ask.key,
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "take", "give back", "give back, the limit has changed"]),
        asks,
        # Also a clock that is set back, and one of another node.
        st.integers(0, 5000) | st.sampled_from([-90_000, -5000, -30]),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_the_same_history_gives_the_same_answers(blocking_redis, plain_table, history):
    both = Both(blocking_redis, plain_table)
    for what, some, seconds in history:
        if what.endswith("changed"):
            some = [ask._replace(rate=rate) for ask, rate in zip(some, RATES, strict=False)]
        (both.take if what == "take" else both.give_back)(some)
        here, there = both.rows()
        assert here == there
        both.clock.advance(seconds)


def test_nothing_is_taken_where_one_has_not_enough(blocking_redis, plain_table):
    both = Both(blocking_redis, plain_table)
    few = Ask(b"few".ljust(16), Rate(1, 3600.0, 1), 1, True, False, "inbound.few", "a")
    many = Ask(b"many".ljust(16), Rate(100, 3600.0, 100), 1, True, False, "inbound.many", "a")
    first, second = (now_of(both.there.take([many, few], START)) for _ in range(2))
    assert [one.passed for one in first] == [True, True]
    assert [one.passed for one in second] == [True, False]
    (third,) = now_of(both.there.take([many], START))
    assert round(third.used) == 2
