"""Finding entries by what an operator knows: an address, a network, a mail address, a domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mailbase.networks import network_named, parse_network
from policyd.greylist.keys import normal_recipient, normal_sender

Matcher = Callable[[Mapping[str, Any]], bool]


def matcher(term: str) -> Matcher:
    """A function that says whether an entry has to do with ``term``.

    It looks at the entry's ``identity``, ``network``, ``sender`` and ``recipient``.

    Arguments:
        term: an IP address or network (entries whose network overlaps with it), a mail address (as sender or
            recipient), a domain (of sender, recipient or identity), or an identity (``spf:example.org``).

    Raises:
        ValueError: see :func:`mailbase.networks.network_named`.
    """
    wanted = network_named(term)
    if wanted is not None:
        return lambda entry: any(_overlap(wanted, text) for text in _identities(entry))
    if "@" in term:
        sender, recipient = normal_sender(term), normal_recipient(term)
        return lambda entry: entry.get("sender") == sender or entry.get("recipient") == recipient
    term = term.lower()
    ending = "@" + term
    named = {term} if ":" in term else {f"spf:{term}", f"ptr:{term}"}
    return lambda entry: (
        entry.get("sender", "").endswith(ending)
        or entry.get("recipient", "").endswith(ending)
        or not named.isdisjoint(_identities(entry))
    )


def _identities(entry: Mapping[str, Any]) -> list[str]:
    return [*entry.get("identity", "").split(" "), entry.get("network", "")]


def _overlap(wanted: tuple[bytes, int], network: str) -> bool:
    try:
        other = parse_network(network)
    except ValueError:
        return False
    if len(other[0]) != len(wanted[0]):
        return False
    shift = len(wanted[0]) * 8 - min(wanted[1], other[1])
    return int.from_bytes(wanted[0]) >> shift == int.from_bytes(other[0]) >> shift
