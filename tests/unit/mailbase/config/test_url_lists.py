"""``contentfilter.urls``: what the operator may say of lists of links, and what he is told."""

from __future__ import annotations

import pytest

from mailbase.addresses import unpack
from mailbase.config import ConfigError, loads
from mailbase.config.url_lists import UrlSettings
from mailbase.lists.model import make_url_list


def urls(text: str) -> UrlSettings:
    return loads(f"contentfilter: {{urls: {{{text}}}}}").contentfilter.urls


def problem(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        urls(text)
    return str(caught.value.problems[0])


def test_a_list_is_asked_after_domains_by_default() -> None:
    one = urls("lists: {dbl: {zone: DBL.example.}}").lists["dbl"]
    made = make_url_list("dbl", one)
    assert (made.zone, made.names, made.families, made.kind) == ("dbl.example", {"domain"}, set(), "urls")
    assert (made.listed, made.clean) == (("test.dbl.example",), ("invalid.dbl.example",))


def test_test_points_of_a_list_of_both_names_and_addresses() -> None:
    made = make_url_list("x", urls("lists: {x: {zone: x.example, ask: [host, ipv4]}}").lists["x"])
    assert made.listed == ("test.x.example", "2.0.0.127.x.example")
    assert made.clean == ("invalid.x.example", "1.0.0.127.x.example")
    given = "zone: x.example, ask: [host, ipv4], test_listed: [a.example, 192.0.2.1], test_clean: []"
    made = make_url_list("x", urls(f"lists: {{x: {{{given}}}}}").lists["x"])
    assert made.listed == ("a.example.x.example", "1.2.0.192.x.example")
    assert made.clean == ()


def test_a_list_of_addresses_alone_is_asked_after_no_names() -> None:
    made = make_url_list("x", urls("lists: {x: {zone: x.example, ask: ipv6}}").lists["x"])
    assert (made.names, made.families) == (set(), {16})
    assert [name.count(".") for name in made.listed] == [33]


def test_codes_have_points_of_their_own() -> None:
    one = urls(
        "lists: {x: {zone: x.example, codes: {phish: mask 8}, points: 1.5, code_points: {phish: 4}}}"
    ).lists["x"]
    assert (one.worth(""), one.worth("phish")) == (1.5, 4.0)
    reading = make_url_list("x", one)._read([bytes([127, 0, 0, 10])])
    assert (reading.fact, reading.detail) == ("x.phish", unpack(bytes([127, 0, 0, 10])))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lists: {x: {}}", "zone"),
        ("lists: {X: {zone: x.example}}", "expected a name of lower case"),
        ("lists: {x: {zone: x.example, ask: [name]}}", "domain, host, ipv4"),
        ("lists: {x: {zone: x.example, ask: []}}", "ask"),
        ("lists: {x: {zone: x.example, points: -1}}", "expected 0 or more"),
        ("lists: {x: {zone: x.example, code_points: {spm: 1}, codes: {spam: mask 2}}}", "did you mean"),
        ("lists: {x: {zone: x.example, codes: {spam: 10.0.0.1}}}", "expected answers of a list"),
        ("lists: {x: {zone: x.example, test_listed: ['a b']}}", "expected domains and IP addresses"),
        ("lists: {x: {zone: x.example, ask: ipv4, test_listed: [a.example]}}", "expected IP addresses"),
        ("list_health: {retry: 1h, max_retry: 1m}", "contentfilter.urls.list_health.retry (1h)"),
        ("max_domains: 51", "expected 1 to 50"),
        ("exempt: ['*.example']", "expected a domain such as example.org"),
    ],
)
def test_what_is_wrong_is_told(text: str, said: str) -> None:
    assert said in problem(text)


def test_there_are_bounds() -> None:
    many = ", ".join(f"l{number}: {{zone: x.example}}" for number in range(51))
    assert "expected at most 50 lists, got 51" in problem(f"lists: {{{many}}}")
    codes = ", ".join(f"c{number}: 127.0.0.2" for number in range(51))
    assert "expected at most 50 codes, got 51" in problem(
        f"lists: {{x: {{zone: x.example, codes: {{{codes}}}}}}}"
    )
    points = ", ".join(f"a{number}.example" for number in range(11))
    assert "expected at most 10 entries, got 11" in problem(
        f"lists: {{x: {{zone: x.example, test_clean: [{points}]}}}}"
    )


def test_lists_are_refused_where_no_link_is_read() -> None:
    text = "contentfilter: {analysis: false, urls: {lists: {x: {zone: x.example}}}}"
    with pytest.raises(
        ConfigError, match=r"contentfilter\.urls\.lists: expected contentfilter\.analysis to be on"
    ):
        loads("identity: {hostname: mx.example.org}\n" + text)
