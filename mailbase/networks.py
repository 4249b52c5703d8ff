"""Networks and the longest prefix that an address matches."""

from __future__ import annotations

import socket
from typing import Generic, TypeVar

from mailbase.addresses import MAPPED

T = TypeVar("T")


def parse_network(text: str) -> tuple[bytes, int]:
    """The packed first address (4 or 16 octets) and prefix length of such as ``192.0.2.0/24``.

    A network of IPv4-mapped IPv6 addresses becomes the IPv4 one.

    Raises:
        ValueError: with the message for the operator; for host bits that are set it names the right network.
    """
    address, slash, length_text = text.strip().partition("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        packed = socket.inet_pton(family, address)
    except (OSError, ValueError):
        raise ValueError(
            f"expected a network such as 192.0.2.0/24 or 2001:db8::/32, got '{text[:60]}'"
        ) from None
    bits = 8 * len(packed)
    if not slash:
        length = bits
    elif (
        length_text.isascii() and length_text.isdigit() and len(length_text) < 4 and int(length_text) <= bits
    ):
        length = int(length_text)
    else:
        raise ValueError(f"expected a prefix length of 0 to {bits} after the slash, got '{text[:60]}'")
    number = int.from_bytes(packed)
    first = number >> (bits - length) << (bits - length)
    if first != number:
        right = f"{socket.inet_ntop(family, first.to_bytes(len(packed)))}/{length}"
        raise ValueError(f"expected the network's first address, {right}, got '{text[:60]}'")
    if length >= 96 and packed[:12] == MAPPED:
        return packed[12:], length - 96
    return packed, length


class NetworkTable(Generic[T]):
    """Maps networks to values; a lookup finds the longest prefix.

    One dictionary per prefix length in use.
    """

    __slots__ = ("_v4", "_v4_order", "_v6", "_v6_order")

    def __init__(self) -> None:
        self._v4: dict[int, dict[int, T]] = {}
        self._v6: dict[int, dict[int, T]] = {}
        self._v4_order: list[tuple[int, dict[int, T]]] = []
        self._v6_order: list[tuple[int, dict[int, T]]] = []

    def add(self, network: str, value: T) -> None:
        """Register ``network`` (or a single address); a value that it had is replaced.

        Raises:
            ValueError: not a network, or host bits set.
        """
        packed, length = parse_network(network)
        tables = self._v4 if len(packed) == 4 else self._v6
        bits = 8 * len(packed)
        tables.setdefault(length, {})[int.from_bytes(packed) >> (bits - length)] = value
        order = sorted(((bits - size, table) for size, table in tables.items()), key=lambda pair: pair[0])
        if len(packed) == 4:
            self._v4_order = order
        else:
            self._v6_order = order

    def lookup(self, packed: bytes) -> T | None:
        """The value of the longest network that holds the address ``packed`` (4 or 16 octets), or None."""
        if len(packed) == 16 and packed[:12] == MAPPED:
            packed = packed[12:]
        number = int.from_bytes(packed)
        for shift, table in self._v4_order if len(packed) == 4 else self._v6_order:
            value = table.get(number >> shift)
            if value is not None:
                return value
        return None
