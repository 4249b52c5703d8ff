"""Addresses that nobody outside can have."""

from __future__ import annotations

from mailbase.networks import NetworkTable

_UNREACHABLE: NetworkTable[bool] = NetworkTable()
for _network in (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/3",
    "::/127",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
):
    _UNREACHABLE.add(_network, True)
_UNREACHABLE.prepare()


def is_private(packed: bytes) -> bool:
    """Whether nobody can be reached there from outside (RFC 6890): loopback, private, multicast."""
    return _UNREACHABLE.lookup(packed) is not None
