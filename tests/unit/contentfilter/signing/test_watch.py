"""The looks at DNS, in rounds and when a mail asks."""

from __future__ import annotations

import io

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from contentfilter.signing.public import PublicKey
from contentfilter.signing.standing import Sight, Standings
from contentfilter.signing.watch import AT_ONCE, LOOK_TIMEOUT, Watch
from mailbase.dns import NoData, TableResolver, Temporary
from mailbase.logs import Log
from tests.samples.dkim_keys import MADE, key, records

OLD, _ = key("dkim001")
NEW, _ = key("dkim002")
A, B, C = "a.example", "b.example", "c.example"
EVERY = 600.0


class Bench:
    """A watch, its world, and what it said."""

    def __init__(self, table: dict[tuple[str, str], object], slow: dict[str, float] | None = None) -> None:
        self.clock = Clock()
        self.resolver = TableResolver(table, clock=self.clock, slow=slow)  # type: ignore[arg-type]
        self.output = io.StringIO()
        self.looks: list[Sight] = []
        self.changes: list[bool] = []
        self.rounds = 0
        self.watch = self.fresh(Standings(0.0))

    def fresh(self, standings: Standings) -> Watch:
        log = Log("test", stream=self.output)
        return Watch(self.clock, self.resolver, self.now, log, self, standings, self.over)

    def now(self) -> float:
        return MADE + self.clock.seconds()

    def over(self) -> None:
        self.rounds += 1

    def looked(self, sight: Sight) -> None:
        self.looks.append(sight)

    def changed(self, gained: bool) -> None:
        self.changes.append(gained)

    def choice(self, domain: str) -> Deferred[tuple[PublicKey, ...] | None]:
        return Deferred.fromCoroutine(self.watch.choose(domain))

    def chosen(self, domain: str) -> list[str] | None:
        found: list[tuple[PublicKey, ...] | None] = []
        self.choice(domain).addCallback(found.append)
        (keys,) = found
        return None if keys is None else [one.selector for one in keys]


def published(*pairs: tuple[str, PublicKey]) -> dict[tuple[str, str], object]:
    return {(name, "TXT"): text for domain, one in pairs for name, text in records(domain, one).items()}


@pytest.fixture
def bench() -> Bench:
    return Bench(published((A, OLD), (A, NEW), (B, OLD)))


def test_a_round_looks_at_everything(bench: Bench) -> None:
    bench.watch.configure((NEW, OLD), [A, B, C], EVERY)
    assert bench.resolver.asked == []
    bench.watch.start()
    assert [bench.chosen(domain) for domain in (A, B, C)] == [["dkim002"], ["dkim001"], []]
    assert (bench.looks.count(Sight.SEEN), bench.looks.count(Sight.ABSENT)) == (3, 3)
    assert bench.changes == [True] * 3
    assert bench.rounds == 1
    assert bench.watch.counts() == {NEW: 1, OLD: 1}
    assert {consumer for _name, _type, consumer in bench.resolver.asked} == {"signing"}


def test_rounds_go_on_and_see_what_changes(bench: Bench) -> None:
    bench.watch.configure((NEW, OLD), [A, B], EVERY)
    bench.watch.start()
    bench.resolver.set(f"dkim002._domainkey.{B}", "TXT", next(iter(records(B, NEW).values())))
    bench.clock.advance(EVERY)
    assert bench.chosen(B) == ["dkim002"]
    bench.resolver.set(f"dkim002._domainkey.{A}", "TXT", NoData())
    bench.clock.advance(EVERY)
    assert bench.chosen(A) == ["dkim002"]
    bench.clock.advance(EVERY)
    assert bench.chosen(A) == ["dkim001"]
    assert bench.changes[-1] is False
    assert "signing-key-lost domain=a.example selector=dkim002" in bench.output.getvalue()
    assert "signing-key-usable domain=b.example selector=dkim002" in bench.output.getvalue()
    assert bench.rounds == 4


def test_without_dns_everything_stays_as_it_is(bench: Bench) -> None:
    bench.watch.configure((NEW, OLD), [A, B], EVERY)
    bench.watch.start()
    for name in [name for domain in (A, B) for one in (OLD, NEW) for name in records(domain, one)]:
        bench.resolver.set(name, "TXT", Temporary("no server"))
    for _ in range(5):
        bench.clock.advance(EVERY)
    assert [bench.chosen(A), bench.chosen(B)] == [["dkim002"], ["dkim001"]]
    assert bench.looks.count(Sight.UNKNOWN) == 20


def test_a_mail_of_a_domain_that_was_not_looked_at_makes_a_look(bench: Bench) -> None:
    bench.watch.configure((NEW, OLD), [A, B, C], EVERY)
    assert bench.chosen(A) == ["dkim002"]
    assert bench.chosen(C) == []
    asked = len(bench.resolver.asked)
    assert [bench.chosen(A), bench.chosen(C)] == [["dkim002"], []]
    assert len(bench.resolver.asked) == asked


def test_mails_that_come_meanwhile_wait_for_the_same_look() -> None:
    bench = Bench(published((A, OLD)), slow={"": 1.0})
    bench.watch.configure((OLD,), [A], EVERY)
    answers: list[object] = []
    waiting = [bench.choice(A).addCallback(answers.append) for _ in range(4)]
    gone = waiting.pop(2)
    gone.addErrback(lambda failure: None)
    gone.cancel()
    assert answers == []
    bench.clock.advance(1.0)
    assert answers == [(OLD,)] * 3
    assert len(bench.resolver.asked) == 1


def test_whoever_looked_may_go_and_the_others_are_told() -> None:
    bench = Bench(published((A, OLD)), slow={"": 1.0})
    bench.watch.configure((OLD,), [A], EVERY)
    answers: list[object] = []
    first = bench.choice(A).addErrback(lambda failure: None)
    bench.choice(A).addCallback(answers.append)
    first.cancel()
    assert answers == [None]
    assert not bench.resolver.forget("x")


def test_nobody_can_tell_whether_an_unknown_domain_is_set_up() -> None:
    bench = Bench({(f"dkim001._domainkey.{A}", "TXT"): Temporary("no server")})
    bench.watch.configure((OLD,), [A], EVERY)
    assert bench.chosen(A) is None


def test_a_silent_server_is_waited_for_no_longer_than_a_mail_can() -> None:
    bench = Bench(published((A, OLD), (A, NEW)), slow={"": 3600.0})
    bench.watch.configure((NEW, OLD), [A], EVERY)
    answers: list[object] = []
    bench.choice(A).addCallback(answers.append)
    bench.clock.advance(LOOK_TIMEOUT)
    assert answers == [None]


def test_a_new_key_is_looked_at_and_holds_nobody_up() -> None:
    bench = Bench(published((A, OLD)), slow={f"dkim002._domainkey.{A}": 1.0})
    bench.watch.configure((OLD,), [A], EVERY)
    bench.watch.start()
    assert bench.chosen(A) == ["dkim001"]
    bench.watch.configure((NEW, OLD), [A], EVERY)
    assert bench.chosen(A) == ["dkim001"]
    bench.resolver.set(f"dkim002._domainkey.{A}", "TXT", next(iter(records(A, NEW).values())))
    bench.clock.advance(1.0)
    bench.clock.advance(EVERY)
    bench.clock.advance(1.0)
    assert bench.chosen(A) == ["dkim002"]


def test_what_was_asked_before_the_keys_changed_counts_for_nothing() -> None:
    bench = Bench(published((A, OLD)), slow={"": 1.0})
    bench.watch.configure((OLD,), [A], EVERY)
    bench.watch.start()
    bench.watch.configure((NEW,), [A], EVERY)
    bench.clock.advance(1.0)
    assert bench.looks == []
    # The round that was interrupted is made up for at once.
    bench.clock.advance(0.0)
    bench.clock.advance(1.0)
    assert bench.looks == [Sight.ABSENT]


def test_a_registry_of_thousands_is_no_flood() -> None:
    domains = [f"d{number}.example" for number in range(100)]
    bench = Bench(published(*((domain, OLD) for domain in domains)), slow={"": 1.0})
    bench.watch.configure((OLD,), domains, EVERY)
    bench.watch.start()
    assert len(bench.resolver.asked) == AT_ONCE
    for _ in range(5):
        bench.clock.advance(1.0)
    assert bench.watch.counts() == {OLD: 100}
    assert bench.rounds == 1


def test_it_stops(bench: Bench) -> None:
    slow = Bench(published((A, OLD)), slow={"": 1.0})
    slow.watch.configure((OLD,), [A], EVERY)
    slow.watch.start()
    slow.watch.stop()
    slow.clock.advance(10 * EVERY)
    assert len(slow.resolver.asked) == 1
    assert slow.output.getvalue() == ""
    bench.watch.configure((OLD,), [A], EVERY)
    bench.watch.start()
    bench.watch.stop()
    assert not bench.clock.getDelayedCalls()


def test_after_a_restart_the_last_known_good_is_used() -> None:
    before = Bench(published((A, OLD)))
    before.watch.configure((OLD,), [A], EVERY)
    before.watch.start()
    remembered = Standings.from_dict(before.watch.standings.to_dict(), 0.0)
    after = Bench({(f"dkim001._domainkey.{A}", "TXT"): Temporary("no server")})
    after.watch = after.fresh(remembered)
    after.watch.configure((OLD,), [A], EVERY)
    after.watch.start()
    assert after.chosen(A) == ["dkim001"]


def test_without_keys_nobody_is_asked(bench: Bench) -> None:
    bench.watch.configure((), [A], EVERY)
    bench.watch.start()
    assert bench.chosen(A) == []
    assert bench.resolver.asked == []
