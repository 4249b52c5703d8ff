"""Networks and the longest prefix that an address matches."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from typing import Generic, TypeAlias, TypeVar

from mailbase.addresses import MAPPED, pack
from mailbase.replies import printable

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
            f"expected a network such as 192.0.2.0/24 or 2001:db8::/32, got '{printable(text, 60)}'"
        ) from None
    bits = 8 * len(packed)
    if not slash:
        length = bits
    elif (
        length_text.isascii() and length_text.isdigit() and len(length_text) < 4 and int(length_text) <= bits
    ):
        length = int(length_text)
    else:
        raise ValueError(
            f"expected a prefix length of 0 to {bits} after the slash, got '{printable(text, 60)}'"
        )
    number = int.from_bytes(packed)
    first = number >> (bits - length) << (bits - length)
    if first != number:
        right = f"{socket.inet_ntop(family, first.to_bytes(len(packed)))}/{length}"
        raise ValueError(f"expected the network's first address, {right}, got '{printable(text, 60)}'")
    if length >= 96 and packed[:12] == MAPPED:
        return packed[12:], length - 96
    return packed, length


def network_named(term: str) -> tuple[bytes, int] | None:
    """As :func:`parse_network`; None for a term that means something else, such as a user or a domain.

    Raises:
        ValueError: it begins with an address and is no network; with the message for the operator.
    """
    try:
        return parse_network(term)
    except ValueError:
        address, slash, _ = term.strip().partition("/")
        if slash and pack(address) is not None:
            raise
        return None


class NetworkTable(Generic[T]):
    """Maps networks to values; a lookup finds the longest prefix that holds an address.

    A lookup is a binary search over the prefix lengths in use with one dictionary probe at each step
    (Waldvogel et al., SIGCOMM 1997): at most 8 probes, usually 2 or 3, whatever the number of networks. The
    index is built by :meth:`prepare` or at the first lookup after an :meth:`add`.
    """

    __slots__ = ("_networks", "_ready", "_v4", "_v6")

    def __init__(self, networks: Iterable[tuple[str, T]] = ()) -> None:
        self._networks: dict[tuple[bytes, int], T] = {}
        self._v4: _Step[T] = None
        self._v6: _Step[T] = None
        self._ready = True
        for network, value in networks:
            self.add(network, value)

    def __len__(self) -> int:
        return len(self._networks)

    def add(self, network: str, value: T) -> None:
        """Register ``network`` (or a single address); a value that it had is replaced.

        Raises:
            ValueError: not a network, or host bits set.
        """
        self._networks[parse_network(network)] = value
        self._ready = False

    def prepare(self) -> None:
        """Build the index now (about 0.3 s for 100,000 networks) instead of at the next lookup."""
        self._v4 = _index({key: value for key, value in self._networks.items() if len(key[0]) == 4}, 32)
        self._v6 = _index({key: value for key, value in self._networks.items() if len(key[0]) == 16}, 128)
        self._ready = True

    def lookup(self, packed: bytes) -> T | None:
        """The value of the longest network that holds the address ``packed`` (4 or 16 octets), or None.

        An IPv4-mapped IPv6 address is looked up as the IPv4 one.
        """
        if not self._ready:
            self.prepare()
        step = self._v4
        if len(packed) == 16:
            if packed[:12] == MAPPED:
                packed = packed[12:]
            else:
                step = self._v6
        if step is None:
            return None
        address = int.from_bytes(packed)
        found = None
        while step is not None:
            shift, table, shorter, longer = step
            prefix = address >> shift
            if prefix in table:
                # A value, or a marker that longer networks begin so; a marker knows the best value so far.
                found = table[prefix]
                step = longer
            else:
                step = shorter
        return found


_Step: TypeAlias = "tuple[int, dict[int, T | None], _Step[T], _Step[T]] | None"
"""One step of the search: how far to shift an address, the prefixes of that length, and where to go on."""


def _index(networks: dict[tuple[bytes, int], T], bits: int) -> _Step[T]:
    """The search tree for ``networks`` of one family."""
    by_length: dict[int, dict[int, T]] = {}
    for (packed, length), value in networks.items():
        by_length.setdefault(length, {})[int.from_bytes(packed) >> (bits - length)] = value
    lengths = sorted(by_length)
    tables: list[dict[int, T | None]] = [{} for _ in lengths]
    for position, length in enumerate(lengths):
        way = list(_way(position, len(lengths)))
        for prefix, value in by_length[length].items():
            tables[position][prefix] = value
            for stop in way:
                marker = prefix >> (length - lengths[stop])
                if marker not in tables[stop]:
                    tables[stop][marker] = _best(marker, stop, lengths, by_length)
    return _tree(lengths, tables, bits, 0, len(lengths))


def _way(position: int, count: int) -> Iterator[int]:
    """The shorter lengths that the search passes on its way to the one at ``position``."""
    low, high = 0, count
    while (middle := (low + high) // 2) != position:
        if middle < position:
            yield middle
            low = middle + 1
        else:
            high = middle


def _best(prefix: int, position: int, lengths: list[int], by_length: dict[int, dict[int, T]]) -> T | None:
    """The value of the longest network, of the length at ``position`` or shorter, that holds ``prefix``."""
    for shorter in range(position, -1, -1):
        networks = by_length[lengths[shorter]]
        above = prefix >> (lengths[position] - lengths[shorter])
        if above in networks:
            return networks[above]
    return None


def _tree(lengths: list[int], tables: list[dict[int, T | None]], bits: int, low: int, high: int) -> _Step[T]:
    if low >= high:
        return None
    middle = (low + high) // 2
    return (
        bits - lengths[middle],
        tables[middle],
        _tree(lengths, tables, bits, low, middle),
        _tree(lengths, tables, bits, middle + 1, high),
    )
