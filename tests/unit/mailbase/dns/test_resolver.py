"""What may be asked of the resolver, the questions it makes of that, and what is told and counted."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from mailbase.dns import Answer, BadName, Found, Mx, NoData, NxDomain, Record, RecordType, Temporary

from .scene import FOUND, A, Scene


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", ".a", "a" * 64 + ".b", "a." * 127 + "ab", "ä.de", "a\\b", "\0"]
)
def test_a_name_that_cannot_be_asked_is_an_answer(name: str) -> None:
    scene = Scene()
    assert scene.ask(name) == [BadName()]
    assert scene.resolver.cached(name, RecordType.A) == BadName()
    assert not scene.sent
    assert scene.metrics.answers["spf", "bad-name"] == 1


def test_an_unknown_consumer_is_a_mistake_at_once() -> None:
    scene = Scene()
    with pytest.raises(KeyError):
        scene.ask(consumer="nobody")


def test_helpers_ask_in_parallel_and_fold() -> None:
    scene = Scene()
    result: list[object] = []
    Deferred.fromCoroutine(scene.resolver.addresses("a.example", consumer="spf")).addCallback(result.append)
    assert [one.message.question[0].rdtype for one in scene.sent] == [1, 28]
    scene.sent[1].reply("a.example. 60 IN AAAA 2001:db8::1")
    scene.sent[0].reply(A)
    assert result == [
        Found((bytes([192, 0, 2, 9]), bytes.fromhex("20010db8" + "0" * 23 + "1")), 60, "a.example")
    ]


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ({"rcode": 3}, {"rcode": 3}, NxDomain),
        ({"rcode": 0}, {"rcode": 3}, NoData),
        ({"rcode": 3}, {"rcode": 2}, Temporary),
        ({"rcode": 2}, {"rcode": 0}, Temporary),
    ],
)
def test_no_address_is_only_known_when_both_families_are(first, second, kind) -> None:
    scene = Scene()
    result: list[object] = []
    Deferred.fromCoroutine(scene.resolver.addresses("a.example", consumer="spf")).addCallback(result.append)
    scene.sent[0].reply(**first)
    scene.sent[1].reply(**second)
    assert isinstance(result[0], kind)


def test_mx_are_in_the_order_of_preference() -> None:
    scene = Scene()
    result: list[object] = []
    Deferred.fromCoroutine(scene.resolver.mx("example", consumer="spf")).addCallback(result.append)
    scene.sent[0].reply("example. 9 IN MX 20 B.example.", "example. 9 IN MX 0 .")
    assert result == [Found((Mx(0, ""), Mx(20, "b.example")), 9, "example")]


def test_ptr_asks_for_the_reverse_name() -> None:
    scene = Scene()
    Deferred.fromCoroutine(scene.resolver.ptr(bytes([192, 0, 2, 1]), consumer="spf"))
    Deferred.fromCoroutine(scene.resolver.ptr(bytes(15) + b"\x1f", consumer="spf"))
    assert scene.sent[0].name == "1.2.0.192.in-addr.arpa."
    assert scene.sent[1].name == "f.1." + "0." * 30 + "ip6.arpa."


def test_every_metric_is_there_from_the_start() -> None:
    scene = Scene()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in scene.metrics.collect("policyd")
        for sample in family.samples
    }
    assert samples["policyd_dns_answers_total", "dnsbl", "nxdomain"] == 0
    assert samples["policyd_dns_packets_total", "foreign"] == 0
    assert samples[("policyd_dns_servers",)] == 1
    assert samples["policyd_dns_lookup_seconds_bucket", "+Inf"] == 0
    assert not any(samples[key] for key in samples if key != ("policyd_dns_servers",))


def test_whoever_wants_to_know_is_told_of_each_look_up_once() -> None:
    scene = Scene()
    told: list[tuple[str, RecordType, Answer[Record], set[str]]] = []
    scene.resolver.looked_up = lambda name, rdtype, answer, who: told.append((name, rdtype, answer, {*who}))
    for consumer in ("spf", "dnsbl", "spf"):
        scene.ask("A.example", consumer=consumer)
    scene.sent[0].reply(A)
    assert told == [("a.example", RecordType.A, FOUND, {"spf", "dnsbl"})]
    scene.ask()  # out of memory
    assert len(told) == 1
    scene.ask("b.example", RecordType.TXT)
    scene.sent[-1].reply(rcode=3, soa=60)
    assert told[1][:2] == ("b.example", RecordType.TXT)
    assert isinstance(told[1][2], NxDomain)


def test_who_did_not_wait_for_the_end_is_named_all_the_same() -> None:
    scene = Scene()
    told: list[set[str]] = []
    scene.resolver.looked_up = lambda name, rdtype, answer, who: told.append({*who})
    assert scene.ask(consumer="dnsbl", deadline=scene.clock.seconds() + 0.5) == []
    scene.pass_time(0.6)
    scene.sent[0].reply(A)
    assert told == [{"dnsbl"}]


def test_nobody_is_told_that_a_name_failed_while_no_server_answers() -> None:
    scene = Scene()
    told: list[Answer[Record]] = []
    scene.resolver.looked_up = lambda name, rdtype, answer, who: told.append(answer)
    assert scene.resolver.usable()
    scene.ask()
    scene.pass_time(6.0)
    assert not scene.resolver.usable()
    assert told == []
    scene.alive = True
    scene.pass_time(15.0)
    assert scene.resolver.usable()
    scene.ask("b.example")
    scene.pass_time(6.0)
    assert [answer.result for answer in told] == ["timeout"]
