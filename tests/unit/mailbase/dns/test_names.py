"""Names as text and as octets, resolv.conf, and how servers are written in the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailbase.addresses import is_below
from mailbase.config import ConfigError, loads
from mailbase.config.dns import DnsSettings, parse_server
from mailbase.dns import Address, reverse_name, reversed_address, servers_of
from mailbase.dns.names import Malformed, decode, encode, normal
from mailbase.dns.resolv_conf import system_servers


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A.Example", "a.example"),
        ("a.example.", "a.example"),
        ("_dmarc.a-b.example", "_dmarc.a-b.example"),
        ("o'neil+x=y@a.example", "o'neil+x=y@a.example"),
        ("a b.example", "a b.example"),
        ("com", "com"),
        ("a" * 63 + ".b", "a" * 63 + ".b"),
        ("a." * 126 + "a", "a." * 126 + "a"),
        ("a." * 126 + "a.", "a." * 126 + "a"),
        ("", None),
        (".", None),
        ("a..b", None),
        (".a", None),
        ("a" * 64, None),
        ("a." * 126 + "ab", None),
        ("a\\046b", None),
        ("bücher.example", None),
        ("a\n", None),
        ("a\0b", None),
    ],
)
def test_normal_names(text: str, name: str | None) -> None:
    assert normal(text) == name


def test_octets_and_back() -> None:
    assert encode("a.bc") == b"\1a\2bc\0"
    assert decode(b"\1a\2bc\0", 0) == ("a.bc", 6)
    packet = bytes(12) + b"\3aBc\0\2xy\xc0\x0c"
    assert decode(packet, 17) == ("xy.abc", 22)
    longest = "a." * 126 + "a"
    assert decode(encode(longest), 0) == (longest, 255)
    with pytest.raises(Malformed):
        decode(encode(longest + ".a"), 0)


def test_an_odd_name_cannot_be_taken_for_another_or_asked_for() -> None:
    name, _end = decode(b"\5a.b\0\\\1c\0", 0)
    assert name == "a\\046b\\000\\092.c"
    assert normal(name) is None


def test_addresses_backwards() -> None:
    assert reversed_address(bytes([127, 0, 0, 2])) == "2.0.0.127"
    assert reverse_name(bytes([192, 0, 2, 1])) == "1.2.0.192.in-addr.arpa"
    assert reverse_name(bytes.fromhex("20010db8" + "0" * 22 + "ab")).startswith("b.a.0.0.")
    assert len(reverse_name(bytes(16))) == 72
    with pytest.raises(ValueError, match="3 octets"):
        reversed_address(bytes(3))


def test_below() -> None:
    assert is_below("a.example", "example")
    assert is_below("example", "example")
    assert is_below("example", "")
    assert not is_below("badexample", "example")


def test_resolv_conf(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_bytes(
        b"# nameserver 192.0.2.9\nsearch a\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 # x\nnameserver\n"
        b"nameserver x\nnameserver fe80::1%eth0\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n\xff\xfe\n"
    )
    assert system_servers(path) == [Address("192.0.2.1"), Address("2001:db8::1"), Address("192.0.2.3")]
    assert servers_of(DnsSettings(), path) == system_servers(path)
    assert system_servers(tmp_path / "none") == [Address("127.0.0.1")]
    path.write_text("search a\n")
    assert system_servers(path) == [Address("127.0.0.1")]


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.53", ("192.0.2.53", 53)),
        ("192.0.2.53:5353", ("192.0.2.53", 5353)),
        ("2001:DB8::53", ("2001:db8::53", 53)),
        ("[2001:db8::53]", ("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", ("2001:db8::53", 5353)),
    ],
)
def test_servers_in_the_configuration(text: str, server: tuple[str, int]) -> None:
    assert parse_server(text) == server
    settings = loads(f"dns: {{servers: ['{text}']}}").dns
    assert servers_of(settings) == [Address(*server)]


@pytest.mark.parametrize(
    "text", ["", "dns.example", "192.0.2.53:", "192.0.2.53:0", "192.0.2.53:65536", "[::1", "[::1]x", "::1]:5"]
)
def test_what_is_no_server(text: str) -> None:
    with pytest.raises(ConfigError, match="expected the IP address of a DNS server"):
        loads(f"dns: {{servers: ['{text}']}}")


def test_a_deadline_below_the_time_of_one_try_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"dns.deadline: expected at least dns.timeout \(2s\), got 1s"):
        loads("dns: {timeout: 2s, deadline: 1s}")
