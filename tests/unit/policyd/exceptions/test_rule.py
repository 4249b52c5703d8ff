"""Whom an exception names."""

from __future__ import annotations

import re

import pytest

from policyd.evidence.facts import Effect, Named
from policyd.exceptions.rule import rule_of

from .asked import ALLOW, DENY


@pytest.mark.parametrize(
    ("what", "named", "kind", "normal", "single"),
    [
        ("192.0.2.1", None, "client", "192.0.2.1", True),
        ("192.0.2.1/32", None, "client", "192.0.2.1", True),
        ("192.0.2.0/24", None, "client", "192.0.2.0/24", False),
        ("2001:DB8::1", None, "client", "2001:db8::1", True),
        ("2001:db8::/32", None, "client", "2001:db8::/32", False),
        ("::ffff:192.0.2.1", None, "client", "192.0.2.1", True),
        (".Mail.Example.org", "client", "client", "mail.example.org", False),
        ("*.example.org", "client", "client", "example.org", False),
        ("Alice@Example.ORG", None, "sender", "alice@example.org", True),
        ("@example.org", None, "sender", "example.org", False),
        ("a/b@example.org", None, "sender", "a/b@example.org", True),
        ("example.org", "sender", "sender", "example.org", False),
        ("bob@inst.example", "recipient", "recipient", "bob@inst.example", True),
        ("bücher.example", "recipient", "recipient", "xn--bcher-kva.example", False),
        ("Ada", "user", "user", "ada", True),
        ("ada@inst.example", "user", "user", "ada@inst.example", True),
    ],
)
def test_what_is_named(what: str, named: str | None, kind: str, normal: str, single: bool) -> None:
    rule = rule_of(what, ALLOW, Named(named) if named else None)
    assert (rule.named, rule.what, rule.single) == (kind, normal, single)


@pytest.mark.parametrize(
    ("what", "named", "message"),
    [
        ("example.org", None, "Say --as client, --as sender"),
        ("192.0.2.1/24", None, "expected the network's first address, 192.0.2.0/24"),
        ("192.0.2.1/24", "client", "expected the network's first address, 192.0.2.0/24"),
        ("192.0.2.300", "client", "expected a network such as"),
        ("192.0.2/24", None, "expected a network such as"),
        ("a b.example", "client", "expected a domain"),
        ("", None, "expected an address"),
        ("x\ny@example.org", None, "expected an address"),
        ("a" * 400, "user", "expected an address"),
        ("@", "sender", "expected a domain"),
        ("a@b@", "sender", "expected a mail address"),
        ("[192.0.2.1]", "recipient", "expected a domain"),
        ("0.0.0.0/0", None, "expected a network of /8 or smaller"),
        ("::/0", "client", "expected a network of /8 or smaller (IPv6: /16)"),
        ("2000::/3", None, "expected a network of /8 or smaller"),
        ("*@example.org", None, "@example.org names all"),
        ("news-*@example.org", "recipient", "@example.org names all"),
    ],
)
def test_what_cannot_be_understood(what: str, named: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        rule_of(what, DENY, Named(named) if named else None)


@pytest.mark.parametrize("what", ["0.0.0.0/0", "*@example.org"])
def test_what_is_not_set_any_more_can_still_be_taken_back(what: str) -> None:
    assert rule_of(what, Effect.NONE).what == what


def test_a_wide_network_of_a_provider_can_be_named() -> None:
    assert rule_of("10.0.0.0/8", DENY).what == "10.0.0.0/8"
    assert rule_of("2001::/16", DENY).what == "2001::/16"
