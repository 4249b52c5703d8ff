"""Where a callout must never go: to ourselves, and to where no server of others can be."""

from __future__ import annotations

import socket

from mailbase.addresses import MAPPED, unpack
from mailbase.networks import NetworkTable

_FORBIDDEN: NetworkTable[bool] = NetworkTable(
    (network, True)
    for network in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/3",
        "::/96",
        "fe80::/10",
        "ff00::/8",
    )
)
_FORBIDDEN.prepare()

_EMBEDDING = ((bytes.fromhex("0064ff9b0000000000000000"), 12), (bytes.fromhex("2002"), 2))
"""Prefixes of IPv6 addresses that lead to an IPv4 one, and where that stands in them (RFC 6052, RFC 3056)."""


def plain(packed: bytes) -> bytes:
    """The IPv4 address that an IPv6 one leads to, or the address itself."""
    if len(packed) == 16:
        if packed[:12] == MAPPED:
            return packed[12:]
        for prefix, place in _EMBEDDING:
            if packed.startswith(prefix):
                return packed[place : place + 4]
    return packed


def is_forbidden(packed: bytes) -> bool:
    """Whether ``packed`` is loopback, link-local, multicast, or no address of a host at all."""
    return _FORBIDDEN.lookup(plain(packed)) is not None


def is_own(packed: bytes) -> bool:
    """Whether ``packed`` is an address of this machine. Nothing is sent.

    The kernel takes the destination itself as the source of what goes to an address of its own. bind() would
    tell as well, but not where net.ipv4.ip_nonlocal_bind is set.
    """
    address = unpack(plain(packed))
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 25))
            return str(probe.getsockname()[0]) == address
    except OSError:
        # No way there at all.
        return False
