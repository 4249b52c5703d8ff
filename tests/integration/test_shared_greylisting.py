"""The script of greylisting on a real server gives what the pure functions give, whatever happens."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbase.store.redis.table import RedisTable
from policyd.end_of_data.greylisting import mail_terms
from policyd.evidence.facts import Grey
from policyd.greylist.identity import Caller
from policyd.greylist.ledger import StoreLedger
from policyd.greylist.tables import ALLOWED, CLIENTS, OTHERS, TRIPLETS
from policyd.greylist.terms import REFRESH, Terms
from policyd.shared.ledger import RedisLedger

START = 1_790_000_000.0
TABLES = (TRIPLETS, OTHERS, CLIENTS)


class Both:
    """Greylisting in memory and on the server, asked the same."""

    def __init__(self, client, plain_table, terms):
        self.clock = Clock()
        self.clock.advance(START)
        tables = {spec.name: plain_table(spec) for spec in (*TABLES, ALLOWED)}
        store = SimpleNamespace(table=tables.get, status=SimpleNamespace(broken=False), pending=0)
        self.here = StoreLedger(store, terms, "pass", firsts=0)
        client.call("FLUSHDB")
        shared = [RedisTable(client, spec, "greylist", self.clock) for spec in TABLES]
        self.there = RedisLedger(client, *shared, SimpleNamespace(), terms, "pass")

    def attempt(self, caller, sender, recipient, trace=True, terms=None):
        now = self.clock.seconds()
        here = self.here.attempt(caller, sender, recipient, now, trace=trace, terms=terms)
        there = now_of(self.there.attempt(caller, sender, recipient, now, trace=trace, terms=terms))
        assert (there.grey, there.wait) == (here.grey, here.wait)
        return here.grey

    def rows(self, kind):
        async def collect(ledger):
            return sorted([row async for page in ledger.pages(kind, self.clock.seconds()) for row in page])

        return [now_of(Deferred.fromCoroutine(collect(ledger))) for ledger in (self.here, self.there)]

    def compare_rows(self):
        for kind in ("triplets", "clients"):
            here, there = self.rows(kind)
            assert here == there


def now_of(deferred):
    results = []
    deferred.addCallbacks(results.append, lambda failure: failure.raiseException())
    return results[0]


def test_a_mail_that_is_known_by_its_content_has_terms_of_its_own(blocking_redis, plain_table):
    terms = Terms(delay=60.0, retry_window=3600.0, lifetime=9000.0, auto_allow_after=1)
    both = Both(blocking_redis, plain_table, terms)
    caller, mail = Caller(b"\xc0\0\2\1", ("192.0.2.0/24", "spf:a.example")), "message:" + "0" * 32
    of_a_mail, waited = mail_terms(terms), mail_terms(terms, waited=True)
    both.attempt(caller, "s@a.example", "r@b.example")
    both.clock.advance(60)
    assert both.attempt(caller, "s@a.example", "r@b.example") is Grey.PASSED
    # Whoever has earned it there waits here, and earns nothing.
    assert both.attempt(caller, "s@a.example", mail, terms=of_a_mail) is Grey.NEW
    assert both.attempt(caller, "s@a.example", mail, terms=waited) is Grey.PASSED
    assert both.attempt(caller, "s@a.example", mail, terms=of_a_mail) is Grey.KNOWN
    assert both.attempt(caller, "s@a.example", mail + "1", terms=waited) is Grey.PASSED
    both.compare_rows()
    both.clock.advance(3601)
    assert both.attempt(caller, "s@a.example", mail, terms=of_a_mail) is Grey.NEW


terms = st.builds(
    Terms,
    delay=st.sampled_from([0.0, 60.0, 60.5]),
    retry_window=st.sampled_from([3600.0, 3600.25]),
    lifetime=st.sampled_from([7200.0, 7200.5]),
    auto_allow_after=st.sampled_from([0, 1, 2]),
    auto_allow_lifetime=st.sampled_from([7200.0, 7200.5]),
)
networks = st.sampled_from(["192.0.2.0/24", "2001:db8::/64"])
names = st.sampled_from(["spf:a.example", "ptr:c.example", 'ptr:q"uo\\te\xfc'])


@st.composite
def callers(draw):
    identities = (draw(networks), *draw(st.lists(names, max_size=2, unique=True)))
    named = draw(st.sampled_from([True, True, True, False]))
    return Caller(b"\xc0\0\2\1", identities, "host.c.example", lambda name, address: named)


attempts = st.tuples(
    callers(),
    # One that is sent again and again, and some.
    st.sampled_from(["a@x.example", "a@x.example", "a@x.example", "", 'q"u\\ote@x.example']),
    st.just(True) | st.just(True) | st.booleans(),
    # To the second before and after each term; also back, as a clock that is set.
    st.sampled_from([0, 0, 59, 60, 61, REFRESH - 1, REFRESH, 3601, 7200, 7201, -1, -400]),
)


@settings(max_examples=100, deadline=None)
@given(terms, st.lists(attempts, min_size=5, max_size=25))
def test_the_same_history_gives_the_same_answers(blocking_redis, plain_table, terms, history):
    both = Both(blocking_redis, plain_table, terms)
    for caller, sender, trace, seconds in history:
        both.attempt(caller, sender, "R@inst.example", trace)
        both.compare_rows()
        both.clock.rightNow += seconds


def test_a_retry_passes_by_any_identity(blocking_redis, plain_table):
    both = Both(blocking_redis, plain_table, Terms(auto_allow_after=0))
    first = Caller(b"\xc0\0\2\1", ("192.0.2.0/24", "spf:a.example"))
    other = Caller(b"\xc6\x33\x64\1", ("198.51.100.1", "spf:a.example"))
    assert both.attempt(first, "a@a.example", "r@x.example") is Grey.NEW
    both.clock.advance(300)
    assert both.attempt(other, "a@a.example", "r@x.example") is Grey.PASSED
    assert both.attempt(first, "a@a.example", "r@x.example") is Grey.KNOWN


def test_who_is_known_by_two_identities_has_waited_since_the_first(blocking_redis, plain_table):
    both = Both(blocking_redis, plain_table, Terms(auto_allow_after=0))

    def comes(*identities):
        answer = both.attempt(Caller(b"\xc0\0\2\1", identities), "a@a.example", "r@x.example")
        both.compare_rows()
        both.clock.advance(100)
        return answer

    for identities in (("203.0.113.1",), ("198.51.100.1", "spf:a.example"), ("192.0.2.1",)):
        assert comes(*identities) is Grey.NEW
    assert comes("192.0.2.1", "spf:a.example") is Grey.EARLY
    assert comes("192.0.2.1", "spf:a.example") is Grey.PASSED


def test_a_name_that_proves_nothing_is_not_known_again(blocking_redis, plain_table):
    both = Both(blocking_redis, plain_table, Terms(auto_allow_after=0))

    def comes(network, proves):
        caller = Caller(b"\xc0\0\2\1", (network, "ptr:c.example"), "a.c.example", lambda *_: proves)
        answer = both.attempt(caller, "a@a.example", "r@x.example")
        both.compare_rows()
        return answer

    both.attempt(Caller(b"\xc0\0\2\1", ("203.0.113.1",)), "a@a.example", "r@x.example")
    assert comes("192.0.2.1", True) is Grey.NEW
    both.clock.advance(300)
    assert comes("198.51.100.1", False) is Grey.NEW
    assert comes("198.51.100.1", True) is Grey.PASSED


def test_no_more_identities_are_noted_than_may(blocking_redis, plain_table):
    both = Both(blocking_redis, plain_table, Terms(auto_allow_after=0))
    for number in range(12):
        caller = Caller(b"\xc0\0\2\1", ("192.0.2.0/24", f"spf:d{number}.example", f"ptr:p{number}.example"))
        both.attempt(caller, "a@a.example", "r@x.example")
        both.compare_rows()


@pytest.mark.parametrize("value", [b"", b"[]", b"[1,2]", b"noise", b"[1,2,3,4]"])
def test_rows_of_somebody_else_are_not_trusted(blocking_redis, plain_table, value):
    both = Both(blocking_redis, plain_table, Terms())
    caller = Caller(b"\xc0\0\2\1", ("192.0.2.0/24",))
    both.attempt(caller, "a@a.example", "r@x.example")
    _, names = blocking_redis._asking.ask(
        "SCAN", 0, "MATCH", both.there._triplets.naming.pattern, "COUNT", 99999
    )
    for name in names:
        blocking_redis._asking.ask("SET", name, value)
    there = now_of(both.there.attempt(caller, "a@a.example", "r@x.example", START))
    assert there.grey is Grey.NEW
