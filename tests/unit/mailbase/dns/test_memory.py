"""What the resolver remembers of answers, for how long, and who shares a look-up."""

from __future__ import annotations

import dns.message
import dns.rrset
import pytest

from mailbase.dns import Found, NoData, NxDomain, RecordType, Temporary

from .scene import FOUND, A, Scene


def test_the_second_time_it_is_in_memory_until_its_ttl_ends() -> None:
    scene = Scene()
    first = scene.ask()
    assert not first
    scene.sent[0].reply(A)
    assert first == [FOUND]
    assert scene.sent[0].closed
    scene.clock.advance(299)
    assert scene.ask() == [FOUND]
    assert scene.resolver.cached("a.example", RecordType.A) == FOUND
    assert scene.resolver.cached("A.Example.", RecordType.A) == FOUND
    scene.clock.advance(1)
    assert scene.resolver.cached("a.example", RecordType.A) is None
    assert scene.ask() == []
    assert len(scene.sent) == 2


def test_names_are_compared_without_case_and_last_dot() -> None:
    scene = Scene()
    scene.ask("A.EXAMPLE.")
    scene.ask("a.example")
    assert [one.name for one in scene.sent] == ["a.example."]


def test_many_who_ask_the_same_share_one_look_up() -> None:
    scene = Scene()
    results = [scene.ask() for _ in range(50)] + [scene.ask(consumer="dnsbl")]
    assert len(scene.sent) == 1
    scene.sent[0].reply(A)
    assert results == [[FOUND]] * 51
    assert scene.metrics.answers["spf", "found"] == 50
    assert scene.metrics.answers["dnsbl", "found"] == 1
    assert (scene.metrics.lookups, scene.metrics.joined) == (1, 50)


@pytest.mark.parametrize("rcode", [0, 3])
def test_a_no_is_kept_as_the_soa_says_within_our_limit(rcode: int) -> None:
    kind = NxDomain if rcode else NoData
    scene = Scene(negative_ttl=100.0)
    for name, soa, ttl in (("a.example", 60, 60), ("b.example", 9999, 100), ("c.example", 0, 5)):
        result = scene.ask(name)
        scene.sent[-1].reply(rcode=rcode, soa=soa)
        assert result == [kind(ttl)]
        scene.clock.advance(ttl - 0.1)
        assert scene.resolver.cached(name, RecordType.A) == kind(ttl)
        scene.clock.advance(0.2)
        assert scene.resolver.cached(name, RecordType.A) is None


def test_a_no_without_soa_is_kept_for_the_least_time() -> None:
    scene = Scene(min_ttl=7.0)
    result = scene.ask()
    scene.sent[0].reply(rcode=3)
    assert result == [NxDomain(7.0)]


def test_records_are_kept_within_our_limits() -> None:
    scene = Scene(min_ttl=10.0, max_ttl=60.0)
    for name, ttl, kept in (("a.example", 0, 10), ("b.example", 2**31 - 1, 60), ("c.example", 2**31, 10)):
        result = scene.ask(name)
        scene.sent[-1].reply(f"{name}. 30 IN A 192.0.2.9")
        scene.resolver.forget(name)
        result = scene.ask(name)
        query = scene.sent[-1]
        answer = dns.message.make_response(query.message)
        answer.answer.append(dns.rrset.from_text(f"{name}.", 30, "IN", "A", "192.0.2.9"))
        query.listener.heard(answer.to_wire().replace((30).to_bytes(4), ttl.to_bytes(4)))
        assert result[0].ttl == kept


def test_a_failure_is_kept_for_a_short_time() -> None:
    scene = Scene(failure_ttl=5.0)
    scene.ask()
    scene.sent[0].reply(rcode=2)
    scene.clock.advance(4.9)
    assert isinstance(scene.ask()[0], Temporary)
    scene.clock.advance(0.2)
    assert scene.ask() == []
    assert len(scene.sent) == 2


def test_memory_is_bounded_and_what_is_used_stays() -> None:
    scene = Scene(cache_size=20_000, in_flight=20_000)
    for number in range(200):
        if number:
            assert isinstance(scene.resolver.cached("n0.example", RecordType.A), Found)
        scene.ask(f"n{number}.example")
        scene.sent[-1].reply(f"n{number}.example. 300 IN A 192.0.2.9")
    now = scene.metrics.now()
    assert now.cached_octets <= 20_000
    assert 15 < now.cached < 29
    assert now.evicted == 200 - now.cached
    assert scene.resolver.cached("n1.example", RecordType.A) is None
