"""Each check: what Postfix and DNS say of a client, and the facts that follow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mailbase.addresses import domain_of, pack
from mailbase.config.evidence import DEFAULT_POINTS
from mailbase.dns import TableResolver, Temporary, TimedOut
from mailbase.documents import ConfigError
from mailbase.registry import Registry
from mailbase.registry.model import Domain
from mailbase.reserved import is_private
from policyd.checks import EVIDENCE
from policyd.checks.dynamic import DynamicNames
from policyd.checks.fcrdns import FcrdnsCheck
from policyd.checks.helo import HeloCheck
from policyd.checks.sender_domain import SenderDomainCheck
from policyd.engine.verdict import WORDS
from policyd.evidence.inquiry import Subject
from policyd.greylist.allowlist import Line, read_lines

CLIENT = "198.51.100.7"
PTR = "7.100.51.198.in-addr.arpa"
V6 = "2001:db8::7"
V6_PTR = "7" + ".0" * 23 + ".8.b.d.0.1.0.0.2.ip6.arpa"
DYNAMIC = DynamicNames(read_lines(["data:dynamic_names"]))


def facts(check: Any, table: Mapping[Any, Any], **about: Any) -> tuple[list[str], list[str]]:
    """The facts' names, and the names that were asked for."""
    resolver = TableResolver(table)
    address = pack(about.pop("client", CLIENT))
    assert address is not None
    subject = Subject(
        address,
        about.get("name", ""),
        about.get("reverse", ""),
        about.get("helo", ""),
        about.get("sender", ""),
        about.get("domain"),
        about.get("server", "192.0.2.25"),
    )
    inquiry = check.inquire(subject)
    answers: Any = None
    while True:
        try:
            questions = inquiry.send(answers)
        except StopIteration as stop:
            stated = stop.value
            break
        answers = tuple(resolver.ask(*question, consumer=check.name) for question in questions)
    assert all(one.check == check.name for one in stated)
    return [one.name for one in stated], [name for name, _, _ in resolver.asked]


@pytest.mark.parametrize(
    ("table", "about", "expected"),
    [
        ({}, {"name": "mail.x.example"}, ["confirmed"]),
        ({}, {}, ["no-ptr"]),
        ({(PTR, "PTR"): Temporary()}, {}, ["temporary"]),
        ({(PTR, "PTR"): TimedOut()}, {}, ["temporary"]),
        ({}, {"reverse": "mail.x.example"}, ["not-confirmed"]),
        ({("mail.x.example", "A"): "192.0.2.1"}, {"reverse": "mail.x.example"}, ["not-confirmed"]),
        ({("mail.x.example", "A"): Temporary()}, {"reverse": "mail.x.example"}, ["temporary"]),
        # The other family's failure says nothing of this client.
        (
            {("mail.x.example", "A"): "192.0.2.1", ("mail.x.example", "AAAA"): Temporary()},
            {"reverse": "mail.x.example"},
            ["not-confirmed"],
        ),
        # Postfix did not get through to DNS; we do.
        ({(PTR, "PTR"): "mail.x.example", ("mail.x.example", "A"): CLIENT}, {}, ["confirmed"]),
        (
            {(PTR, "PTR"): ["a.x.example", "b.x.example"], ("b.x.example", "A"): ["192.0.2.1", CLIENT]},
            {},
            ["confirmed"],
        ),
        (
            {(V6_PTR, "PTR"): "mail.x.example", ("mail.x.example", "AAAA"): V6},
            {"client": V6},
            ["confirmed"],
        ),
        ({}, {"client": V6}, ["no-ptr"]),
        ({}, {"name": "dsl-198-51-100-7.isp.example"}, ["confirmed", "dynamic-name"]),
        ({}, {"reverse": "pool-7.dyn.isp.example"}, ["not-confirmed", "dynamic-name"]),
    ],
)
def test_reverse_dns(table: Any, about: Any, expected: list[str]) -> None:
    assert facts(FcrdnsCheck(DYNAMIC), table, **about)[0] == expected


def test_what_postfix_has_looked_up_is_not_asked_again() -> None:
    assert facts(FcrdnsCheck(DYNAMIC), {}, name="mail.x.example")[1] == []
    assert PTR not in facts(FcrdnsCheck(DYNAMIC), {}, reverse="mail.x.example")[1]


def test_a_client_with_many_names_does_not_make_us_ask_for_them_all() -> None:
    names = [f"n{number}.x.example" for number in range(50)]
    assert len(facts(FcrdnsCheck(DYNAMIC), {(PTR, "PTR"): names})[1]) == 11


@pytest.mark.parametrize(
    "name",
    [
        "p5DCF1234.dip0.dynamic.isp.example",
        "198-51-100-7.isp.example",
        "7.100.51.198.isp.example",
        "ip198051100007.isp.example",
        "c6336407.isp.example",
        "host-12-34-56.isp.example",
        "cpe-10-1.cable.isp.example",
        "dhcp3.campus.example",
        "ppp-1.dialup.example",
    ],
)
def test_names_of_customer_lines(name: str) -> None:
    assert DYNAMIC.matches(name, bytes([198, 51, 100, 7]))


@pytest.mark.parametrize(
    "name",
    [
        "mail.inst.example",
        "mx1.dyn-corp.example",
        "smtp-198-51-100-7.provider.example",
        "198-51-100-7.static.provider.example",
        "mout.kundenserver.example",
        "mail-ed1-f41.provider.example",
        "a8-29.smtp-out.provider.example",
        "user.example",
        "cable.example",
    ],
)
def test_names_of_mail_servers(name: str) -> None:
    assert not DYNAMIC.matches(name, bytes([198, 51, 100, 7]))


def test_a_broken_line_of_patterns_is_told_with_its_place() -> None:
    with pytest.raises(ConfigError) as caught:
        DynamicNames([Line("mine", 3, "dyn"), Line("mine", 4, "/(/")])
    assert [str(problem)[:7] for problem in caught.value.problems] == ["mine:3:", "mine:4:"]


def helo(table: Any, said: str, **about: Any) -> list[str]:
    registry = Registry(domains={"inst.example": Domain("inst.example", "mail.inst.example")})
    return facts(
        HeloCheck("mx.gate.example", ("mx.gate.example", "mx2.gate.example"), registry),
        table,
        helo=said,
        **about,
    )[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", []),
        ("friend", ["not-fqdn"]),
        ("192.0.2.9", ["not-fqdn"]),
        ("a b.example", ["not-fqdn"]),
        ("[198.51.100.7]", ["address-literal"]),
        ("[IPv6:2001:db8::1]", ["address-literal"]),
        ("[192.0.2.25]", ["forged-address"]),
        ("192.0.2.25", ["forged-address"]),
        ("MX.gate.example", ["forged-own-name"]),
        ("mx.gate.example.", ["forged-own-name"]),
        ("inst.example", ["forged-served-domain", "unresolvable"]),
        ("office.local", ["unusual-top-level"]),
        ("pc.fritz.lan", ["unusual-top-level"]),
        ("nowhere.example", ["unresolvable"]),
        ("good.example", []),
        ("elsewhere.example", ["resolves-elsewhere"]),
        ("mail-only.example", []),
        ("broken.example", ["temporary"]),
        ("half.example", []),
    ],
)
def test_helo(name: str, expected: list[str]) -> None:
    table = {
        ("good.example", "A"): CLIENT,
        ("elsewhere.example", "A"): "192.0.2.1",
        ("mail-only.example", "MX"): [(10, "m.example")],
        ("broken.example", "A"): Temporary(),
        ("half.example", "A"): "192.0.2.1",
        ("half.example", "AAAA"): TimedOut(),
    }
    assert helo(table, name) == expected


def test_a_helo_that_is_the_clients_name_is_good() -> None:
    assert helo({}, "Mail.x.example", name="mail.x.example") == ["equals-ptr"]
    table = {("mail.x.example", "A"): CLIENT}
    assert helo(table, "mail.x.example", reverse="mail.x.example") == ["equals-ptr"]
    assert helo({}, "mail.x.example", reverse="mail.x.example") == ["unresolvable"]


def test_a_machine_of_a_served_domain_that_is_not_registered_forges_nothing() -> None:
    assert helo({("inst.example", "A"): CLIENT}, "inst.example") == []
    assert helo({("inst.example", "A"): "192.0.2.1"}, "inst.example") == [
        "forged-served-domain",
        "resolves-elsewhere",
    ]


def test_a_relay_beside_this_one_is_itself_and_nobody_else_is() -> None:
    table = {("mx2.gate.example", "A"): "192.0.2.26"}
    assert helo(table, "mx2.gate.example") == ["forged-own-name", "resolves-elsewhere"]
    assert helo({("mx2.gate.example", "A"): CLIENT}, "mx2.gate.example") == []
    assert helo({}, "mx2.gate.example", name="mx2.gate.example") == ["equals-ptr"]


@pytest.mark.parametrize("name", ["inst.example", "mx2.gate.example"])
def test_what_dns_cannot_tell_is_held_against_nobody(name: str) -> None:
    assert helo({(name, "A"): Temporary()}, name) == ["temporary"]
    assert helo({(name, "A"): "192.0.2.1", (name, "AAAA"): TimedOut()}, name) == []
    # It has no address, so it is not the client's, whatever else it is.
    assert "temporary" in helo({(name, "MX"): Temporary()}, name)[1:]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({("d.example", "MX"): [(10, "m.example")], ("m.example", "A"): "192.0.2.1"}, []),
        ({("d.example", "A"): "192.0.2.1"}, []),
        ({("d.example", "AAAA"): "2001:db8::1"}, []),
        ({}, ["no-mail-host"]),
        ({("d.example", "TXT"): "x"}, ["no-mail-host"]),
        ({("d.example", "MX"): [(10, "gone.example")]}, ["no-mail-host"]),
        ({("d.example", "MX"): [(0, "")]}, ["null-mx"]),
        ({("d.example", "MX"): [(10, "m.example")], ("m.example", "A"): "127.0.0.1"}, ["private-mx"]),
        ({("d.example", "MX"): [(10, "m.example")], ("m.example", "AAAA"): "fe80::1"}, ["private-mx"]),
        ({("d.example", "A"): "10.0.0.1"}, ["private-mx"]),
        # One good host is enough.
        (
            {
                ("d.example", "MX"): [(10, "a.example"), (20, "b.example")],
                ("a.example", "A"): "10.0.0.1",
                ("b.example", "A"): "192.0.2.1",
            },
            [],
        ),
        ({("d.example", "MX"): Temporary()}, ["temporary"]),
        ({("d.example", "MX"): TimedOut()}, ["temporary"]),
        (
            {
                ("d.example", "MX"): [(10, "a.example"), (20, "b.example")],
                ("a.example", "A"): "10.0.0.1",
                ("b.example", "A"): Temporary(),
            },
            ["temporary"],
        ),
    ],
)
def test_sender_domain(table: Any, expected: list[str]) -> None:
    assert facts(SenderDomainCheck(), table, domain="d.example")[0] == expected


def test_after_ipv6_addresses_of_mail_hosts_is_asked_only_where_they_matter() -> None:
    hosts = {("d.example", "MX"): [(10, "a.example"), (20, "b.example")], ("a.example", "A"): "10.0.0.1"}
    good = hosts | {("b.example", "A"): "192.0.2.1"}
    assert facts(SenderDomainCheck(), good, domain="d.example")[1] == ["d.example", "a.example", "b.example"]
    six = hosts | {("b.example", "AAAA"): "2001:db8::1"}
    assert facts(SenderDomainCheck(), six, domain="d.example") == (
        [],
        ["d.example", *("a.example", "b.example") * 2],
    )


@pytest.mark.parametrize("domain", [None, "[192.0.2.1]"])
def test_a_sender_without_domain_is_nothing_to_ask_about(domain: str | None) -> None:
    assert facts(SenderDomainCheck(), {}, domain=domain) == ([], [])


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("a@x..example", ["no-mail-host"]),
        ("a@-x.example", ["no-mail-host"]),
        ("a@" + "x" * 64 + ".example", ["no-mail-host"]),
        ("a@x example", ["no-mail-host"]),
        ("a@", ["no-mail-host"]),
        ("", []),
        ("postmaster", []),
        ('"a@x..example"', []),
        ("a@[192.0.2.1", []),
        # What is wrong with the local part says nothing of the domain.
        ('"a@d.example', []),
    ],
)
def test_a_sender_whose_domain_cannot_be_one_has_no_mail_host(sender: str, expected: list[str]) -> None:
    assert facts(SenderDomainCheck(), {}, sender=sender, domain=domain_of(sender)) == (expected, [])


def test_a_domain_with_many_mail_hosts_does_not_make_us_ask_for_them_all() -> None:
    table = {("d.example", "MX"): [(n, f"m{n}.example") for n in range(60)]}
    assert len(facts(SenderDomainCheck(), table, domain="d.example")[1]) == 1 + 20


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("127.0.0.1", True),
        ("0.0.0.0", True),
        ("172.31.255.255", True),
        ("172.32.0.0", False),
        ("100.64.0.1", True),
        ("255.255.255.255", True),
        ("::", True),
        ("::1", True),
        ("::2", False),
        ("fd00::1", True),
        ("2001:db8::1", False),
    ],
)
def test_private_addresses(address: str, private: bool) -> None:
    packed = pack(address)
    assert packed is not None
    assert is_private(packed) is private


def test_every_fact_with_points_has_words_and_every_check_has_points() -> None:
    assert set(WORDS) == {(check, fact) for check, table in DEFAULT_POINTS.items() for fact in table}
    assert set(EVIDENCE) == set(DEFAULT_POINTS)
