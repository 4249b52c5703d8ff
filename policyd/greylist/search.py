"""Finding entries by what an operator knows: an address, a network, a mail address, a domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mailbase.networks import parse_network
from policyd.greylist.keys import normal_recipient, normal_sender

Matcher = Callable[[Mapping[str, Any]], bool]


def matcher(term: str) -> Matcher:
    """A function that says whether an entry (``network``, ``sender``, ``recipient``) has to do with ``term``.

    Arguments:
        term: an IP address or network (entries whose network overlaps with it), a mail address (as sender or
            recipient), or a domain (of sender or recipient).
    """
    try:
        wanted = parse_network(term)
    except ValueError:
        pass
    else:
        return lambda entry: _overlap(wanted, entry.get("network", ""))
    if "@" in term:
        sender, recipient = normal_sender(term), normal_recipient(term)
        return lambda entry: entry.get("sender") == sender or entry.get("recipient") == recipient
    ending = "@" + term.lower()
    return lambda entry: (
        entry.get("sender", "").endswith(ending) or entry.get("recipient", "").endswith(ending)
    )


def _overlap(wanted: tuple[bytes, int], network: str) -> bool:
    try:
        other = parse_network(network)
    except ValueError:
        return False
    if len(other[0]) != len(wanted[0]):
        return False
    shift = len(wanted[0]) * 8 - min(wanted[1], other[1])
    return int.from_bytes(wanted[0]) >> shift == int.from_bytes(other[0]) >> shift
