"""The domains of a mail's authors: those of the addresses in From (RFC 5322 3.6.2, RFC 9989 5.3.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from contentfilter.authentication.fields import Field, unfolded
from contentfilter.authentication.outcome import MAX_AUTHORS
from contentfilter.message.parameters import without_comments
from mailbase.addresses import normal_domain

MAX_FROM = 4096
"""Octets of one From that are read."""

_QUOTED = re.compile(rb'"(?>(?>(?:[^"\\]++|\\.){1,64})*)"?')
_ANGLE = re.compile(rb"<([^<>]*)>")


def author_domains(fields: Iterable[Field]) -> tuple[str, ...]:
    """The domains in From, normalised, each once.

    What stands in angle brackets is an address, and so is what has an ``@`` and no brackets beside it. Names
    and comments are none, whatever they look like: they are not what mail programs answer to.

    Arguments:
        fields: all From fields.
    """
    domains: dict[str, None] = {}
    for field in fields:
        for address in _addresses(unfolded(field.value)[:MAX_FROM]):
            domain = normal_domain(address.rpartition(b"@")[2].strip())
            if domain is not None:
                domains[domain] = None
    return tuple(domains)[:MAX_AUTHORS]


def _addresses(value: bytes) -> Iterable[bytes]:
    # A quoted local part has an @ or a comma only within quotes; what is quoted is never needed.
    value = _QUOTED.sub(b'""', value)
    value = without_comments(value)
    for item in value.replace(b";", b",").split(b","):
        found = _ANGLE.search(item)
        address = found[1] if found else item.rpartition(b":")[2] if b"<" not in item else b""
        if b"@" in address:
            # A source route stands before a colon (RFC 5322 4.4).
            yield address.rpartition(b":")[2]
