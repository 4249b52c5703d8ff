"""Which of several exceptions wins."""

from __future__ import annotations

import pytest

from mailbase.addresses import pack
from policyd.evidence.facts import Effect, Named
from policyd.exceptions.matching import Rules
from policyd.exceptions.rule import rule_of


def match(rules: Rules, now: float = 0, **who: str) -> str:
    found = rules.match(
        pack(who.get("client", "198.51.100.9")),
        who.get("name", "unknown"),
        who.get("sender", ""),
        who.get("recipient", ""),
        who.get("user", ""),
        now,
    )
    return "" if found is None else f"{found.effect} {found.what}"


def rules_of(*texts: str) -> Rules:
    rules = Rules()
    for text in texts:
        effect, named, what, *until = text.split()
        rules.put(rule_of(what, Effect(effect), Named(named), until=int(until[0]) if until else 1 << 53))
    return rules


@pytest.mark.parametrize(
    ("rules", "who", "wins"),
    [
        # the most specific of a kind
        (["deny client 10.0.0.0/24", "allow client 10.0.0.7"], {"client": "10.0.0.7"}, "allow 10.0.0.7"),
        (
            ["deny client 10.0.0.0/24", "allow client 10.0.0.7"],
            {"client": "10.0.0.8"},
            "deny 10.0.0.0/24",
        ),
        (
            ["allow client 2001:db8::/32", "deny client 2001:db8:1::/48"],
            {"client": "2001:db8:1::5"},
            "deny 2001:db8:1::/48",
        ),
        (
            ["deny sender x.de", "allow sender a@x.de"],
            {"sender": "A@x.de"},
            "allow a@x.de",
        ),
        (["deny sender x.de"], {"sender": "a@sub.x.de"}, "deny x.de"),
        (["deny sender x.de"], {"sender": "a@notx.de"}, ""),
        (
            ["allow sender s.x.de", "deny sender x.de"],
            {"sender": "a@s.x.de"},
            "allow s.x.de",
        ),
        (["deny sender a@x.de"], {"sender": "a+news@x.de"}, "deny a@x.de"),
        (["deny client x.de"], {"name": "mail.x.de"}, "deny x.de"),
        (["deny client unknown"], {"name": "unknown"}, ""),
        # one that names a single one before one that names many
        (["deny client 10.0.0.0/24", "allow user ada"], {"client": "10.0.0.7", "user": "Ada"}, "allow ada"),
        (
            ["allow client 10.0.0.0/24", "deny recipient b@y.de"],
            {"client": "10.0.0.7", "recipient": "b@y.de"},
            "deny b@y.de",
        ),
        # then deny before allow
        (
            ["allow client 10.0.0.7", "deny sender a@x.de"],
            {"client": "10.0.0.7", "sender": "a@x.de"},
            "deny a@x.de",
        ),
        (
            ["deny client 10.0.0.0/24", "allow sender x.de"],
            {"client": "10.0.0.7", "sender": "a@x.de"},
            "deny 10.0.0.0/24",
        ),
        # what is equal in all this: the client first
        (
            ["allow sender x.de", "allow client 10.0.0.0/24"],
            {"client": "10.0.0.7", "sender": "a@x.de"},
            "allow 10.0.0.0/24",
        ),
        # one key has one rule, the last
        (["deny client 10.0.0.7", "allow client 10.0.0.7"], {"client": "10.0.0.7"}, "allow 10.0.0.7"),
        # the null sender and what is no address
        (["deny sender x.de"], {"sender": ""}, ""),
        (["deny sender x.de"], {"sender": "x.de"}, ""),
        (["deny sender x.de"], {"sender": "a@" + "x." * 300 + "x.de"}, ""),
    ],
)
def test_which_rule_wins(rules: list[str], who: dict[str, str], wins: str) -> None:
    assert match(rules_of(*rules), **who) == wins


def test_an_expired_rule_makes_room_for_the_one_around_it() -> None:
    rules = rules_of(
        "allow client 192.0.2.7 100",
        "deny client 192.0.2.0/28 200",
        "allow client 192.0.2.0/24 300",
        "deny sender a@x.example 100",
        "allow sender x.example 200",
    )
    for now, client, sender in (
        (99, "allow 192.0.2.7", "deny a@x.example"),
        (100, "deny 192.0.2.0/28", "allow x.example"),
        (200, "allow 192.0.2.0/24", ""),
        (300, "", ""),
    ):
        assert match(rules, now, client="192.0.2.7") == client
        assert match(rules, now, sender="a@x.example") == sender
    assert rules.all == {}
