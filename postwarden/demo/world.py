"""The demo's world: the DNS of everybody outside, and what the gateway is told to make of them.

Addresses and names are those set aside for documentation (RFC 5737, RFC 6761).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postwarden.sandbox import registered
from postwarden.sandbox.ports import LOOPBACK

ZONE = """
    ; a mail server in order
    outside.example.              SOA   ns.outside.example. h.outside.example. 1 3600 600 86400 60
    outside.example.              MX    10 mail.outside.example.
    outside.example.              TXT   "v=spf1 a:mail.outside.example -all"
    mail.outside.example.         A     198.51.100.25
    25.100.51.198.in-addr.arpa.   PTR   mail.outside.example.

    ; another, which a list of good servers knows
    partner.example.              MX    10 mail.partner.example.
    mail.partner.example.         A     198.51.100.77
    77.100.51.198.in-addr.arpa.   PTR   mail.partner.example.
    77.100.51.198.white.example.  A     127.0.5.3

    ; one that a list of bad servers knows
    bulk.example.                 MX    10 mail.bulk.example.
    mail.bulk.example.            A     203.0.113.68
    68.113.0.203.in-addr.arpa.    PTR   mail.bulk.example.
    68.113.0.203.black.example.   A     127.0.0.2

    ; one that has bought addresses, spamtraps among them
    shop.example.                 MX    10 mail.shop.example.
    mail.shop.example.            AAAA  2001:db8:bad::25
    5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.a.b.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mail.shop.example.

    ; a domain that takes no mail, and one for which nobody may send
    silent.example.               MX    0 .
    bank.example.                 MX    10 mail.bank.example.
    bank.example.                 TXT   "v=spf1 -all"
    mail.bank.example.            A     198.51.100.99

    ; entries by which lists are tested (RFC 5782 5)
    2.0.0.127.black.example.      A     127.0.0.2
    2.0.0.127.white.example.      A     127.0.5.3
    test.links.example.           A     127.0.0.2

    ; a page that a list of links knows
    have-won.example.links.example. A   127.0.0.4
"""


class Client:
    """Addresses of those outside."""

    GOOD = registered.OUTSIDER
    PARTNER = "198.51.100.77"
    NAMELESS = "203.0.113.66"
    """No name in DNS."""
    BULK = "203.0.113.68"
    """On the list of bad servers."""
    SHOP = "2001:db8:bad::25"
    """Writes to spamtraps."""


NAMES = {
    Client.GOOD: "mail.outside.example",
    Client.PARTNER: "mail.partner.example",
    Client.BULK: "mail.bulk.example",
    Client.SHOP: "mail.shop.example",
}
"""The clients' verified host names."""

SPAMTRAP = f"trap@{registered.OPEN_DOMAIN}"
MAILBOXES = frozenset({"ada", "bob", "carol", "charles", "eve"})
"""Local parts that the registered server knows."""


def answer_recipient(path: bytes) -> bytes:
    """What the registered server answers to RCPT.

    Arguments:
        path: what followed ``RCPT TO:``.
    """
    local = path.decode("utf-8", "replace").lstrip("<").partition("@")[0]
    return b"250 2.1.5 Ok" if local in MAILBOXES else b"550 5.1.1 no such user here"


def settings(dns: str, server_port: int, greylist_delay: float) -> Mapping[str, Any]:
    """What the demo's configuration has beyond the sandbox's: every check at work.

    Arguments:
        dns: where the DNS server answers.
        server_port: of the registered server, which callouts ask.
        greylist_delay: seconds.
    """
    return {
        "dns": {"servers": [dns]},
        "policyd": {
            "greylist": {"delay": f"{greylist_delay:g}s"},
            "lists": {
                "black": {"kind": "dnsbl", "zone": "black.example"},
                "white": {"kind": "dnswl", "zone": "white.example", "codes": {"high": "127.0.*.3"}},
            },
            "callout": {"test_targets": {f"mail.{registered.DOMAIN}": f"{LOOPBACK}:{server_port}"}},
        },
        "contentfilter": {"urls": {"lists": {"links": {"zone": "links.example", "points": 7}}}},
        "spamtraps": {"addresses": [SPAMTRAP]},
        "flows": {
            "inbound": {
                "checks": {
                    "fcrdns": True,
                    "helo": True,
                    "sender_domain": True,
                    "spf": {"points": {"fail": 5}},
                    "dnsbl": {"points": {"black": 7}},
                    "dnswl": {"points": {"white.high": -4}},
                    "reputation": {"points": {"spamtrap": 5}},
                },
                # So that the demo does not change with the shipped rules.
                "points": {"rule.text-is-link": 1.2},
                "defer_at": 4,
                "reject_at": 6,
                "callout": True,
            },
            "submission": {
                "limits": {"user-hour": {"per": "user", "of": "recipients", "limit": 1, "within": "1h"}}
            },
        },
    }
