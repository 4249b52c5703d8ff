"""The registry of a sandbox: who may relay, which domains are served. Shared by demo, tests and benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DOMAIN = "inst.example"
"""Served, with greylisting."""
OPEN_DOMAIN = "open.example"
"""Served, without greylisting."""
UNKNOWN = f"nobody@{OPEN_DOMAIN}"
"""In a served domain, and known to nobody there."""
FOREIGN_DOMAIN = "elsewhere.example"
"""Not served."""

OUTSIDER = "198.51.100.25"
"""Some mail server."""
SYSTEM = "192.0.2.25"
"""A registered system."""
UPSTREAM = "129.187.254.10"
"""A trusted upstream relay."""
QUEUEING_SYSTEM = "127.0.0.40"
"""A registered system's address that can really be connected from."""

PERSON = {"name": "Ada Lovelace", "email": f"ada@{DOMAIN}", "phone": "+49 251 1815"}
DEPUTY = {"name": "Charles Babbage", "email": f"charles@{DOMAIN}", "phone": "+49 251 1791"}


def registry() -> dict[str, Any]:
    """The registry file's content."""
    return {
        "default_server": f"mail.{DOMAIN}",
        "upstreams": ["129.187.254.0/23", "2001:4ca0:0:103::/64"],
        "servers": {
            f"mail.{DOMAIN}": {
                "addresses": ["192.0.2.25", "2001:db8::25"],
                "backup": f"mail2.{DOMAIN}",
                "administrators": [PERSON],
                "deputies": [DEPUTY],
                "domains": {
                    DOMAIN: {"existing": f"ada@{DOMAIN}", "unknown": f"no-such-user@{DOMAIN}"},
                    OPEN_DOMAIN: {"greylisting": False},
                },
                "systems": [
                    "192.0.2.0/24",
                    "2001:db8:1::/48",
                    "127.0.0.32/27",
                    f"printer.{DOMAIN}",
                    f"mail2.{DOMAIN}",
                ],
            },
        },
    }


def served(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Names that Postfix must know as relay domains: registered domains, and systems with host names."""
    names: list[str] = []
    for server in content["servers"].values():
        names += server.get("domains") or {}
        systems = server.get("systems") or []
        names += [system for system in systems if system[-1].isalpha() and ":" not in system]
    return tuple(dict.fromkeys(names))
