"""Addresses, domains and mailboxes in the form in which they are compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mailbase import addresses
from mailbase.addresses import (
    MAX_REMEMBERED,
    domain_of,
    is_host_name,
    normal_address,
    normal_domain,
    pack,
    plain_address,
    split_mailbox,
    unpack,
)


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        ("192.0.2.1", b"\xc0\x00\x02\x01"),
        (b"192.0.2.1", b"\xc0\x00\x02\x01"),
        ("::1", bytes(15) + b"\x01"),
        ("2001:DB8::25", bytes.fromhex("20010db8" + "00" * 10 + "0025")),
        ("IPv6:::1", bytes(15) + b"\x01"),
        ("IPV6:2001:db8::25", bytes.fromhex("20010db8" + "00" * 10 + "0025")),
        ("::ffff:192.0.2.1", b"\xc0\x00\x02\x01"),
        ("::FFFF:c000:201", b"\xc0\x00\x02\x01"),
        ("IPv6:::ffff:192.0.2.1", b"\xc0\x00\x02\x01"),
    ],
)
def test_pack(text: str | bytes, packed: bytes) -> None:
    assert pack(text) == packed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unknown",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.1 ",
        "010.0.0.1",
        "0x7f.1",
        "192.0.2.1/32",
        "[::1]",
        ":::",
        "::1%eth0",
        "1:2:3:4:5:6:7:8:9",
        "192.0.2.1\0",
        b"\xff\xfe",
        "١٩٢.0.2.1",
        "\ud800",
        "IPv6:192.0.2.1",
        "\n192.0.2.1",
    ],
)
def test_no_address(text: str | bytes) -> None:
    assert pack(text) is None


def test_unpack() -> None:
    assert unpack(b"\xc0\x00\x02\x01") == "192.0.2.1"
    assert unpack(bytes(15) + b"\x01") == "::1"
    with pytest.raises(ValueError, match="3 octets"):
        unpack(b"abc")


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("Example.ORG", "example.org"),
        ("example.org.", "example.org"),
        ("Bücher.Example", "xn--bcher-kva.example"),
        ("bücher.example".encode(), "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("_dmarc.example.org", "_dmarc.example.org"),
        ("localhost", "localhost"),
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("[IPv6:::1]", "[ipv6:::1]"),
        ("a" * 63 + ".org", "a" * 63 + ".org"),
        (".".join(["a" * 49] * 5) + ".org", ".".join(["a" * 49] * 5) + ".org"),
    ],
)
def test_domain(text: str | bytes, domain: str) -> None:
    assert normal_domain(text) == domain


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a..b",
        ".a",
        "a b",
        "-a.org",
        "a-.org",
        "a\n.org",
        "a.org\n",
        "a" * 64 + ".org",
        ".".join(["a" * 49] * 6),
        "a@b",
        "[",
        "[]",
        "[a\n]",
        b"\xff.org",
        "\u2603" * 300,
        "\ud800.org",
        "a\u200d.example",
        "ex\u3002.",
        "a..",
        "%",
        "[a]b]",
    ],
)
def test_no_domain(text: str | bytes) -> None:
    assert normal_domain(text) is None


@pytest.mark.parametrize(
    ("address", "local", "domain"),
    [
        ("a@Example.org", "a", "example.org"),
        ("A+b=c@example.org", "A+b=c", "example.org"),
        ('"a@b"@example.org', '"a@b"', "example.org"),
        ('"a\\"@b"@example.org', '"a\\"@b"', "example.org"),
        ('"a\\\\"@example.org', '"a\\\\"', "example.org"),
        ("a@b@example.org", "a@b", "example.org"),
        ("postmaster", "postmaster", ""),
        ('"post@master"', '"post@master"', ""),
        ("a@[192.0.2.1]", "a", "[192.0.2.1]"),
        ("ä@bücher.example", "ä", "xn--bcher-kva.example"),
        ("ä@bücher.example".encode(), "ä", "xn--bcher-kva.example"),
    ],
)
def test_mailbox(address: str | bytes, local: str, domain: str) -> None:
    assert split_mailbox(address) == (local, domain)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "@",
        "a@",
        "@example.org",
        '"',
        '"a@example.org',
        '"a\\"@example.org',
        '"a\\"',
        "a\n@example.org",
        "a@exa\nmple.org",
        "a\0@example.org",
        b"\xff@example.org",
        "a@b c",
        "a@.",
        "a@example.org\r\n",
        "\x7f",
    ],
)
def test_no_mailbox(address: str | bytes) -> None:
    assert split_mailbox(address) is None
    assert domain_of(address) is None


def test_domain_of_and_normal_address() -> None:
    assert domain_of("A@Example.org.") == "example.org"
    assert domain_of("postmaster") is None
    assert normal_address("A.B@Example.org.") == "a.b@example.org"
    assert normal_address("PostMaster") == "postmaster"
    assert normal_address("") is None


@pytest.mark.parametrize(
    ("text", "is_name"),
    [
        ("mail.example.org", True),
        ("localhost", False),
        ("a_b.example.org", False),
        ("192.0.2.1", False),
        ("[192.0.2.1]", False),
        ("", False),
        ("a..b", False),
    ],
)
def test_host_name(text: str, is_name: bool) -> None:
    assert is_host_name(text) is is_name


@pytest.mark.parametrize(
    ("wire", "policy"),
    [
        ('<"a b"@x.example>', "a b@x.example"),
        ("<>", ""),
        ("A@X", "a@x"),
        ('"a\\"b"@x', 'a"b@x'),
        ("<a@x>", "a@x"),
    ],
)
def test_both_forms_of_a_sender_are_the_same(wire: str, policy: str) -> None:
    assert plain_address(wire) == plain_address(policy)


@pytest.mark.parametrize(
    ("look", "memory", "form"),
    [
        (normal_domain, addresses._domain, "{}.example"),
        (split_mailbox, addresses._mailbox, "{}@a.example"),
        (is_host_name, addresses._is_host_name, "{}.example"),
    ],
)
def test_what_is_too_long_is_not_remembered(look: Callable[[str], object], memory: Any, form: str) -> None:
    # Another test may have asked the same.
    memory.cache_clear()
    assert not look(form.format("x" * 64)) or look is split_mailbox
    assert memory.cache_info().currsize == 1
    look(form.format("x" * MAX_REMEMBERED))
    assert memory.cache_info().currsize == 1
