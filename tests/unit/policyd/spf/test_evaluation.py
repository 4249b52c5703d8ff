"""SPF beyond the suite: whom it is about, who is left out, what is asked when."""

from __future__ import annotations

from typing import Any

import pytest

from mailbase.config import ConfigError, loads
from mailbase.dns import Temporary, TimedOut
from policyd.checks.spf import SpfCheck
from policyd.evidence.facts import Evidence
from policyd.evidence.inquiry import Collected, side_by_side

from .desk import CLIENT, Desk, record

CLIENT_V6 = "2001:db8:18::7"


# Whose


def test_helo_and_mail_from_are_judged_each_for_itself() -> None:
    desk = Desk(
        record("v=spf1 -all") | record("v=spf1 a -all", "mail.h.example") | {("mail.h.example", "A"): CLIENT}
    )
    assert desk.facts(helo="mail.h.example") == {"fail": "s.example", "helo-pass": "mail.h.example"}
    assert desk.facts(helo="Mail.H.example.") == {"fail": "s.example", "helo-pass": "mail.h.example"}


@pytest.mark.parametrize("client", [CLIENT, CLIENT_V6])
def test_both_address_families(client: str) -> None:
    desk = Desk(record(f"v=spf1 ip4:{CLIENT} ip6:2001:db8:18::/48 -all"))
    assert desk.facts(client=client) == {"pass": "s.example"}
    assert desk.facts(client="198.18.0.8") == {"fail": "s.example"}
    assert desk.facts(client="2001:db8:19::7") == {"fail": "s.example"}


def test_the_null_senders_domain_is_the_helo_name() -> None:
    desk = Desk(record("v=spf1 -all", "mail.h.example"))
    assert desk.facts("", "mail.h.example") == {"fail": "mail.h.example"}
    assert desk.facts("", "[198.18.0.7]") == {"none": ""}
    assert desk.facts("", "friend") == {"none": ""}


@pytest.mark.parametrize(
    "helo", ["", "friend", "[198.18.0.7]", "198.18.0.7", "a b.example", "a..example", "é\n"]
)
def test_what_is_no_host_name_is_not_looked_up(helo: str) -> None:
    desk = Desk(record("v=spf1 -all"))
    assert desk.facts(helo=helo) == {"fail": "s.example"}
    assert {name for name, _, _ in desk.resolver.asked} == {"s.example"}


@pytest.mark.parametrize("sender", ["nobody", "a@", f"a@[{CLIENT}]", "a@b c", "a@a..example", "@", 'a"@x"'])
def test_a_sender_without_domain_has_no_result(sender: str) -> None:
    desk = Desk({})
    assert list(desk.facts(sender)) == ["none"]
    assert desk.resolver.asked == []


def test_the_domain_stands_behind_the_last_at() -> None:
    assert Desk(record("v=spf1 -all")).facts('"a@b"@s.example') == {"fail": "s.example"}
    assert Desk(record("v=spf1 -all", "xn--bcher-kva.example")).facts("a@Bücher.example") == {
        "fail": "xn--bcher-kva.example"
    }


@pytest.mark.parametrize(
    ("text", "anybody"),
    [
        ("+all", True),
        ("all", True),
        ("-ip4:192.0.2.1 ALL", True),
        ("ip4:0.0.0.0/0 -all", True),
        ("ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all", True),
        ("a/0", True),
        ("ip4:198.0.0.0/8 -all", False),
        ("ip4:198.18.0.7 -all", False),
        ("ip4:198.18.0.0/17 -all", False),
        ("include:t.example -all", False),
    ],
)
def test_everybodys_pass_is_told_apart(text: str, anybody: bool) -> None:
    table = record(f"v=spf1 {text}") | {("s.example", "A"): "192.0.2.1"}
    table |= record("v=spf1 ip4:198.18.0.0/16", "t.example")
    told = {"pass": "s.example", "plus-all": "s.example"} if anybody else {"pass": "s.example"}
    assert Desk(table).facts() == told


@pytest.mark.parametrize(
    ("prefix", "anybody"), [("2000::/3", True), ("2000::/12", True), ("2001:d00::/24", False)]
)
def test_everybodys_pass_by_ipv6(prefix: str, anybody: bool) -> None:
    facts = Desk(record(f"v=spf1 ip6:{prefix} ip6:2001:db8::/32 -all")).facts(client=CLIENT_V6)
    assert ("plus-all" in facts) is anybody


def test_neutral_for_all_is_nobodys_pass() -> None:
    assert Desk(record("v=spf1 ?all")).facts() == {"neutral": "s.example"}


def test_an_explanation_is_asked_for_only_where_it_is_wanted() -> None:
    table = record(f"v=spf1 ip4:{CLIENT} -all exp=why.%{{d}}") | record(
        "%{i} is not ours,\n %{s}", "why.s.example"
    )
    desk = Desk(table)
    assert desk.facts() == {"pass": "s.example"}
    assert ("why.s.example", 16, "spf") not in desk.resolver.asked
    assert desk.facts(client="192.0.2.9") == {"fail": "s.example: 192.0.2.9 is not ours,\n a@s.example"}
    failing = Desk(record("v=spf1 -all exp=why.s.example") | {("why.s.example", "TXT"): Temporary()})
    assert failing.facts() == {"fail": "s.example"}
    long = Desk(record("v=spf1 -all exp=why.s.example") | record("x" * 500, "why.s.example"))
    assert long.facts() == {"fail": "s.example: " + "x" * 200}


# Who is left out


@pytest.mark.parametrize(
    ("client", "name", "skipped"),
    [
        ("192.0.2.1", "", True),
        ("2001:db8:f::1", "", True),
        ("198.18.0.7", "lists.forward.example", True),
        ("198.18.0.7", "forward.example", True),
        ("198.18.0.7", "xforward.example", False),
        ("198.18.0.7", "", False),
    ],
)
def test_known_forwarders_are_not_looked_at(client: str, name: str, skipped: bool) -> None:
    desk = Desk(record("v=spf1 -all"))
    desk.check = SpfCheck("x", desk.clock.seconds, ["192.0.2.0/24", "2001:db8:f::/48", "forward.example"])
    assert desk.facts(client=client, name=name) == ({} if skipped else {"fail": "s.example"})
    assert bool(desk.resolver.asked) is not skipped


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("skip: [forward.example]", r"policyd.spf.skip\[0\]: expected a network such as"),
        ("forwarders: [192.0.2.1/24]", r"policyd.spf.forwarders\[0\]: expected the network's first address"),
        ("forwarders: ['a b']", "expected a network or a domain"),
        ("forwarders: ['192.0.2']", "expected a network or a domain"),
    ],
)
def test_settings_that_are_none(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loads(f"policyd: {{spf: {{{text}}}}}")


# DNS


@pytest.mark.parametrize("trouble", [Temporary(), TimedOut()])
def test_trouble_with_dns_has_no_points_and_is_not_remembered(trouble: Any) -> None:
    desk = Desk(record("v=spf1 include:i.example -all") | {("i.example", "TXT"): trouble})
    assert desk.facts() == {"temporary": "s.example"}
    desk.resolver.set("i.example", "TXT", f"v=spf1 ip4:{CLIENT}")
    assert desk.facts() == {"pass": "s.example"}


def test_a_failing_ptr_matches_nobody() -> None:
    table = record("v=spf1 ptr ?all") | {("7.0.18.198.in-addr.arpa", "PTR"): Temporary()}
    assert Desk(table).facts() == {"neutral": "s.example"}
    names = {
        ("7.0.18.198.in-addr.arpa", "PTR"): ["x.example", "mail.s.example"],
        ("x.example", "A"): TimedOut(),
        ("mail.s.example", "A"): CLIENT,
    }
    assert Desk(record("v=spf1 ptr -all") | names).facts() == {"pass": "s.example"}


def test_everything_that_is_known_to_be_needed_is_asked_together() -> None:
    table: dict[tuple[str, str], Any] = record("v=spf1 include:a.example include:b.example mx:m.example -all")
    table |= record("v=spf1 ip4:192.0.2.1", "a.example") | record("v=spf1 ip4:192.0.2.1", "b.example")
    table[("m.example", "MX")] = [(number, f"mx{number}.m.example") for number in range(10)]
    table |= {(f"mx{number}.m.example", "A"): f"198.18.9.{number}" for number in range(10)}
    table |= record("v=spf1 -all", "mail.h.example")
    desk = Desk(table, **{"": 1.0})
    done: list[Collected] = []
    desk.ask(helo="mail.h.example").addCallback(done.append)
    for _ in range(3):
        assert not done
        desk.clock.advance(1.0)
    assert [one.name for one in done[0].evidence] == ["fail", "helo-fail"]
    assert len(desk.resolver.asked) == len(set(desk.resolver.asked)) == 15


def test_the_deadline_holds() -> None:
    desk = Desk(record("v=spf1 include:slow.example -all"), slow_example=60.0)
    done: list[Collected] = []
    desk.ask().addCallback(done.append)
    desk.clock.advance(7.9)
    assert not done
    desk.clock.advance(0.1)
    assert done[0].evidence == (Evidence("spf", "temporary", "s.example"),)
    assert done[0].late


def test_interleaved_evaluations_know_nothing_of_each_other() -> None:
    table = record("v=spf1 include:%{l}.example -all")
    table |= record(f"v=spf1 ip4:{CLIENT}", "good.example") | record("v=spf1 -all", "bad.example")
    desk = Desk(table, good_example=1.0, bad_example=2.0)
    results: dict[str, Collected] = {}
    for local in ("good", "bad", "good2"):
        desk.ask(f"{local}@s.example")
        waiting = desk.ask(f"{local}@s.example")
        if isinstance(waiting, Collected):
            results[local] = waiting
        else:
            waiting.addCallback(lambda collected, local=local: results.__setitem__(local, collected))
    for _ in range(3):
        desk.clock.advance(1.0)
    assert {local: result.evidence[0].name for local, result in results.items()} == {
        "good": "pass",
        "bad": "fail",
        "good2": "permerror",
    }
    import spf

    assert spf.DNSLookup.__module__ == "spf"


# Several inquiries as one


def test_inquiries_side_by_side() -> None:
    def ask(*rounds: int) -> Any:
        got = []
        for count in rounds:
            answers = yield tuple(range(count))
            got.append(answers)
        return got

    both = side_by_side([ask(2, 1), ask(), ask(1), ask(0, 1)])
    assert both.send(None) == (0, 1, 0)  # type: ignore[arg-type,comparison-overlap]
    assert both.send(("a", "b", "c")) == (0, 0)  # type: ignore[arg-type,comparison-overlap]
    with pytest.raises(StopIteration) as stop:
        both.send(("d", "e"))  # type: ignore[arg-type]
    assert stop.value.value == [[("a", "b"), ("d",)], [], [("c",)], [(), ("e",)]]
