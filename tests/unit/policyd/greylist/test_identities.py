"""Who is taken for the same caller, and who is not."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from importlib import resources
from typing import Any

import pytest
from publicsuffixlist import PublicSuffixList

from mailbase.addresses import pack
from mailbase.config import ConfigError, loads
from mailbase.organisation import organisation
from policyd.checks.dynamic import DynamicNames
from policyd.checks.greylist import GreylistCheck
from policyd.evidence.context import Context
from policyd.evidence.facts import Evidence, Grey, GreylistFact
from policyd.evidence.flow import Origins
from policyd.evidence.weights import Weights
from policyd.greylist.allowlist import ClientList, RecipientList, read_lines
from policyd.greylist.identity import MAX_TOGETHER, Caller, extended, together

DYNAMIC = DynamicNames(read_lines(["data:dynamic_names"]))
POOL = {"client_address": "198.18.1.9", "client_name": "out1.farm.example.co.uk"}
ELSEWHERE = {"client_address": "198.18.7.9", "client_name": "mx.example.co.uk"}
NAMELESS = {"client_name": "unknown", "reverse_client_name": "unknown"}


def grey(bench: Any, **attributes: str) -> Grey:
    return next(fact.grey for fact in bench.decide(**attributes).facts if isinstance(fact, GreylistFact))


# By name


def test_a_retry_from_elsewhere_in_the_same_organisation_passes(bench: Any) -> None:
    assert grey(bench, **POOL) is Grey.NEW
    bench.clock.advance(100)
    assert grey(bench, **ELSEWHERE) is Grey.EARLY
    bench.clock.advance(200)
    assert grey(bench, **ELSEWHERE) is Grey.PASSED
    assert grey(bench, **POOL) is Grey.KNOWN
    bench.restart()
    assert grey(bench, **{**POOL, "client_address": "2001:db8:77::1"}) is Grey.KNOWN


def test_one_triplet_is_one_row_whatever_the_identities_and_networks(bench: Any) -> None:
    for number in range(40):
        grey(bench, client_address=f"198.18.{number}.1", client_name=f"out{number}.farm.example")
        bench.clock.advance(300)
    ((_, row),) = bench.ledger.triplets.scan(bench.clock.seconds())
    assert row[3] == " 198.18.0.0/24 ptr:farm.example "


@pytest.mark.parametrize(
    "other",
    [
        {"client_address": "198.18.7.9", "client_name": "mx.example.org.uk"},
        {"client_address": "198.18.7.9", **NAMELESS},
        # Unverified: anybody may have such a PTR.
        {"client_address": "198.18.7.9", "client_name": "unknown", "reverse_client_name": "mx.example.co.uk"},
        {"client_address": "198.18.7.9", "client_name": "mx.co.uk"},
    ],
)
def test_others_are_not_the_same(bench: Any, other: dict[str, str]) -> None:
    assert grey(bench, **POOL) is Grey.NEW
    bench.clock.advance(300)
    assert grey(bench, **other) is Grey.NEW


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("dyn-7.dsl.isp.example", "198.18.1.9"),
        ("static-198-18-1-9.isp.example", "198.18.1.9"),
        ("static.9.1.18.198.isp.example", "198.18.1.9"),
        ("c6120109.isp.example", "198.18.1.9"),
        ("h-0000000000000a01.isp.example", "2001:db8::a01"),
        ("static-0-0-0-1.v6.isp.example", "2001:db8::1"),
    ],
)
def test_customers_of_one_provider_are_not_one_organisation(bench: Any, name: str, address: str) -> None:
    packed = pack(address)
    assert packed is not None
    told = DYNAMIC.names_organisation(name, packed)
    assert told is (name == "static-0-0-0-1.v6.isp.example")
    if told:
        return
    server = {"client_address": "192.0.2.77", "client_name": "mail.isp.example"}
    customer = {"client_address": address, "client_name": name}
    for first in (server, {"client_address": "192.0.2.99", "client_name": "static.99.2.0.192.isp.example"}):
        recipient = f"{first['client_name']}@inst.example"
        grey(bench, **first, recipient=recipient)
        bench.clock.advance(300)
        assert grey(bench, **customer, recipient=recipient) is Grey.NEW
    # Nor does it gain from, or add to, what the provider earned.
    bench.ledger.clients.put(b"ptr:isp.example", (5, int(bench.clock.seconds()), 1 << 40))
    assert grey(bench, **customer, recipient="new@inst.example") is Grey.NEW
    assert grey(bench, **server, recipient="new@inst.example") is Grey.CLIENT_EARNED
    bench.clock.advance(300)
    assert grey(bench, **customer, recipient="new@inst.example") is Grey.PASSED
    assert bench.ledger.clients.get(b"ptr:isp.example", bench.clock.seconds())[0] == 5


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("mx.example.org", "example.org"),
        ("example.org", "example.org"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("co.uk", None),
        ("ec2-198-18-1-9.compute-1.amazonaws.com", None),
        ("host.unheard-of", "host.unheard-of"),
        ("unheard-of", None),
        ("", None),
        ("..", None),
        (".example.org", None),
    ],
)
def test_the_registrable_domain(name: str, domain: str | None) -> None:
    assert organisation(name) == domain


def test_organisations_are_those_of_the_public_suffix_list() -> None:
    suffixes = PublicSuffixList()
    text = resources.files("publicsuffixlist").joinpath("public_suffix_list.dat").read_text("utf-8")
    rules = [line.lstrip("!").replace("*", "any") for line in text.split("\n") if line and line[0] != "/"]
    for rule in rules[::7]:
        for name in (f"{labels}{rule}".encode("idna").decode() for labels in ("", "x.", "y.x.", "z.y.x.")):
            assert organisation(name) == (suffixes.privatesuffix(name) if "." in name else None)


def test_a_name_that_is_missing_once_does_no_harm_where_the_network_is_the_same(bench: Any) -> None:
    grey(bench, **POOL)
    bench.clock.advance(300)
    assert grey(bench, **{**POOL, "client_name": "unknown"}) is Grey.PASSED
    assert grey(bench, **ELSEWHERE) is Grey.KNOWN


def test_a_name_that_comes_later_is_noted(bench: Any) -> None:
    grey(bench, **{**POOL, "client_name": "unknown"})
    bench.clock.advance(10)
    assert grey(bench, **POOL) is Grey.EARLY
    bench.clock.advance(290)
    assert grey(bench, **ELSEWHERE) is Grey.PASSED


# Others with the same sender and recipient


def test_forgers_of_a_sender_neither_help_nor_hinder_it(bench: Any) -> None:
    bots = [{"client_address": f"203.0.{number}.1", **NAMELESS} for number in range(50, 90)]
    assert {grey(bench, **bot) for bot in bots[:20]} == {Grey.NEW}
    assert grey(bench, **POOL) is Grey.NEW
    assert {grey(bench, **bot) for bot in bots[20:]} == {Grey.NEW}
    bench.clock.advance(150)
    assert grey(bench, **ELSEWHERE) is Grey.EARLY
    bench.clock.advance(150)
    assert grey(bench, **ELSEWHERE) is Grey.PASSED
    assert grey(bench, **{**ELSEWHERE, "client_address": "198.18.99.1"}) is Grey.KNOWN
    assert grey(bench, client_address="203.0.99.1", **NAMELESS) is Grey.NEW
    # The row of the first forger ends; what passed behind it stays.
    bench.clock.advance(3 * 86400)
    assert grey(bench, **POOL) is Grey.KNOWN


def test_a_second_callers_networks_leave_no_rows_either(bench: Any) -> None:
    grey(bench, client_name="mx.other.example")
    for number in range(20):
        grey(bench, **{**POOL, "client_address": f"198.18.{number}.1"})
        bench.clock.advance(300)
    rows = [row[3] for _, row in bench.ledger.others.scan(bench.clock.seconds())]
    assert sorted(map(str, rows)) == [" 198.18.0.0/24 ", " ptr:example.co.uk "]


def test_each_of_two_callers_waits_for_himself(bench: Any) -> None:
    for first, second in ((POOL, {"client_name": "mx.other.example"}),):
        grey(bench, **first)
        bench.clock.advance(200)
        assert grey(bench, **second) is Grey.NEW
        bench.clock.advance(100)
        assert grey(bench, **first) is Grey.PASSED
        assert grey(bench, **second) is Grey.EARLY
        bench.clock.advance(200)
        assert grey(bench, **second) is Grey.PASSED


def test_a_second_caller_is_known_by_what_it_shows_later(bench: Any) -> None:
    grey(bench, client_name="mx.other.example")
    grey(bench, **{**POOL, "client_name": "unknown"})
    grey(bench, **POOL)
    bench.clock.advance(300)
    assert grey(bench, **ELSEWHERE) is Grey.PASSED
    assert grey(bench, **{**POOL, "client_name": "unknown"}) is Grey.PASSED
    assert grey(bench, **POOL) is Grey.KNOWN


def test_who_is_two_earlier_callers_waits_as_the_first_of_them(bench: Any) -> None:
    def attempt(*identities: str) -> GreylistFact:
        caller = Caller(b"\xc6\x12\0\1", identities)
        fact = bench.ledger.attempt(caller, "a@x.example", "b@y.example", bench.clock.seconds())
        assert isinstance(fact, GreylistFact)
        return fact

    attempt("203.0.113.0/24")  # a stranger, who has the pair's row
    assert attempt("198.18.1.0/24").grey is Grey.NEW
    bench.clock.advance(200)
    assert attempt("198.18.2.0/24", "spf:x.example").grey is Grey.NEW
    bench.clock.advance(50)
    both = attempt("198.18.1.0/24", "spf:x.example", "ptr:x.example")
    assert (both.grey, both.wait) == (Grey.EARLY, 50)
    bench.clock.advance(50)
    assert attempt("198.18.1.0/24").grey is Grey.PASSED
    # What passed counts more than what began earlier.
    assert attempt("198.18.9.0/24", "ptr:x.example").grey is Grey.PASSED
    assert attempt("198.18.2.0/24", "ptr:x.example").grey is Grey.KNOWN


# Good history


def test_an_organisation_earns_being_spared(bench: Any) -> None:
    for number in range(5):
        where = {"client_address": f"198.18.{number}.1", "sender": f"{'abcde'[number]}@sender.example"}
        grey(bench, **{**POOL, **where})
        bench.clock.advance(300)
        assert grey(bench, **{**POOL, **where}) is Grey.PASSED
    stranger = {**ELSEWHERE, "sender": "z@sender.example"}
    assert grey(bench, **stranger) is Grey.CLIENT_EARNED
    bench.restart()
    assert grey(bench, **stranger) is Grey.CLIENT_EARNED
    other = {"client_address": "198.18.99.1", "client_name": "mx.other.example"}
    assert grey(bench, **{**stranger, **other}) is Grey.NEW
    for _ in range(40):
        bench.clock.advance(86400)
        assert grey(bench, **stranger) is Grey.CLIENT_EARNED
    bench.clock.advance(36 * 86400)
    assert grey(bench, **stranger) is Grey.NEW


# By evidence: spf, dnswl


def check(bench: Any, **settings: Any) -> GreylistCheck:
    empty: tuple[Any, ...] = (ClientList(()), RecipientList(()), bench.engine.policy.registry)
    return GreylistCheck(bench.ledger, *empty, dynamic=DYNAMIC, **settings)


def ask(
    bench: Any,
    greylist: GreylistCheck,
    evidence: tuple[Evidence, ...],
    points: Mapping[str, Mapping[str, float]] | None = None,
    shadows: frozenset[str] = frozenset(),
    **attributes: str,
) -> Grey:
    request = bench.request(**{**NAMELESS, **attributes})
    weighed = Weights(points or {}, shadows=shadows).weigh(evidence)
    context = Context(
        bench.clock.seconds(), Origins(bench.engine.policy.registry).of(request), weighed=weighed
    )
    fact = greylist.check(request, context)
    assert isinstance(fact, GreylistFact)
    return fact.grey


PASS = (Evidence("spf", "pass", "sender.example"),)


def test_a_retry_from_elsewhere_passes_if_spf_does(bench: Any) -> None:
    greylist = check(bench)
    assert ask(bench, greylist, PASS, client_address="198.18.1.1") is Grey.NEW
    bench.clock.advance(300)
    assert ask(bench, greylist, PASS, client_address="198.18.2.1") is Grey.PASSED
    assert ask(bench, greylist, PASS, client_address="2001:db8::1") is Grey.KNOWN
    # The first address is known for itself, whatever SPF says today.
    assert ask(bench, greylist, (), client_address="198.18.1.1") is Grey.KNOWN
    assert ask(bench, greylist, (), client_address="198.18.3.1") is Grey.NEW


@pytest.mark.parametrize(
    "evidence",
    [
        (),
        (Evidence("spf", "fail", "sender.example"),),
        (Evidence("spf", "softfail", "sender.example"),),
        (Evidence("spf", "neutral", "sender.example"),),
        (Evidence("spf", "none", "sender.example"),),
        (Evidence("spf", "temporary", "sender.example"),),
        (Evidence("spf", "pass", "other.example"),),
        (Evidence("spf", "helo-pass", "sender.example"),),
        (Evidence("fcrdns", "pass", "sender.example"),),
        (*PASS, Evidence("spf", "plus-all", "sender.example")),
    ],
)
def test_what_is_no_pass_for_the_sender_makes_nobody_the_same(
    bench: Any, evidence: tuple[Evidence, ...]
) -> None:
    greylist = check(bench)
    ask(bench, greylist, PASS, client_address="198.18.1.1")
    bench.clock.advance(300)
    assert ask(bench, greylist, evidence, client_address="198.18.2.1") is Grey.NEW


def test_a_name_that_we_confirmed_where_postfix_could_not_is_as_good(bench: Any) -> None:
    greylist = check(bench)
    named = (Evidence("fcrdns", "confirmed", "out1.farm.example.co.uk"),)
    assert ask(bench, greylist, named, client_address="198.18.1.1") is Grey.NEW
    bench.clock.advance(300)
    dynamic = (Evidence("fcrdns", "confirmed", "dyn1.dsl.example.co.uk"),)
    assert ask(bench, greylist, dynamic, client_address="198.18.3.1") is Grey.NEW
    assert ask(bench, greylist, named, None, frozenset({"fcrdns"}), client_address="198.18.4.1") is Grey.NEW
    assert grey(bench, **ELSEWHERE) is Grey.PASSED
    assert ask(bench, greylist, named, client_address="198.18.2.1") is Grey.KNOWN


def test_shadows_have_no_say(bench: Any) -> None:
    greylist = check(bench, sender_domains=["sender.example"])
    listed = (Evidence("dnswl", "x"),)
    points = {"dnswl": {"x": -2.0}}
    assert ask(bench, greylist, listed, points, frozenset({"dnswl"})) is Grey.NEW
    assert ask(bench, greylist, PASS, None, frozenset({"spf"}), recipient="b@inst.example") is Grey.NEW


def test_a_dnswl_spares_if_it_is_worth_something(bench: Any) -> None:
    greylist = check(bench)
    listed = (*PASS, Evidence("spf", "plus-all"), Evidence("dnswl", "low"), Evidence("dnswl", "hi"))
    assert ask(bench, greylist, listed, {"dnswl": {"low": 0.0}}) is Grey.NEW
    assert ask(bench, greylist, listed, {"dnswl": {"low": 0.0, "hi": -3.0}}) is Grey.CLIENT_LISTED
    assert ask(bench, greylist, listed, {"spf": {"pass": -1.0}}, recipient="b@inst.example") is Grey.NEW


@pytest.mark.parametrize(
    ("domain", "spared"),
    [
        ("sender.example", True),
        ("news.sender.example", True),
        ("xsender.example", False),
        ("example", False),
    ],
)
def test_spf_spares_the_domains_on_the_list(bench: Any, domain: str, spared: bool) -> None:
    greylist = check(bench, sender_domains=["sender.example"])
    passed = (Evidence("spf", "pass", domain),)
    assert (ask(bench, greylist, passed) is Grey.SENDER_ALLOWED) is spared
    softfail = (Evidence("spf", "softfail", domain),)
    assert ask(bench, greylist, softfail, recipient="b@inst.example") is Grey.NEW
    anybody = (*passed, Evidence("spf", "plus-all", domain))
    assert ask(bench, greylist, anybody, recipient="c@inst.example") is Grey.NEW


def test_each_identity_can_be_off(bench: Any) -> None:
    numbers = itertools.count()

    def same(identities: list[str], first: dict[str, Any], second: dict[str, Any]) -> bool:
        greylist = check(bench, identities=identities)
        recipient = f"x{next(numbers)}@inst.example"
        ask(bench, greylist, first.pop("evidence", ()), recipient=recipient, **first)
        bench.clock.advance(300)
        return ask(bench, greylist, second.pop("evidence", ()), recipient=recipient, **second) is Grey.PASSED

    def pairs() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
        return {
            "network": (
                {"client_address": "198.18.1.1", "reverse_client_name": "x.example"},
                {"client_address": "198.18.1.2", "reverse_client_name": "x.example"},
            ),
            "spf": (
                {"client_address": "198.18.1.1", "evidence": PASS},
                {"client_address": "198.18.2.1", "evidence": PASS},
            ),
            "ptr": (dict(POOL), dict(ELSEWHERE)),
        }

    for name in pairs():
        others = [other for other in pairs() if other != name]
        assert same([name], *pairs()[name])
        assert not same(others, *pairs()[name])
    # The very same address is always the same.
    assert same([], {"client_address": "198.18.1.1"}, {"client_address": "198.18.1.1"})


def test_identities_in_one_text() -> None:
    noted = together(["192.0.2.0/24", "ptr:a.example"])
    assert Caller(b"", ("x", "ptr:a.example")).is_one_of(noted)
    assert not Caller(b"", ("x", "ptr:a.example"), "", lambda *_: False).is_one_of(noted)
    assert not Caller(b"", ("192.0.2.0/2", "92.0.2.0/24", "ptr:a", "a.example")).is_one_of(noted)
    assert extended(noted, ["ptr:a.example", "spf:b.example"]) == noted + "spf:b.example "
    for number in range(100):
        noted = extended(noted, [f"spf:{number}.example"])
    assert len(noted.split()) == MAX_TOGETHER


def test_a_ledger_takes_any_domain(bench: Any) -> None:
    caller = Caller(b"\0\0\0\0", ("192.0.2.1",)).and_by_spf("é" * 300)
    assert bench.ledger.attempt(caller, "a@x", "b@y", bench.clock.seconds()).grey is Grey.NEW


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("identities: [network, dns]", "policyd.greylist.identities"),
        ("sender_domains: ['a b']", "expected a domain such as example.org"),
        ("sender_domains: ['[192.0.2.1]']", "expected a domain such as example.org"),
    ],
)
def test_settings_that_are_none(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        loads(f"policyd: {{greylist: {{{text}}}}}")
