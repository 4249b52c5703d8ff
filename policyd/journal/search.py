"""What an operator asks after, as conditions on the journal's columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from mailbase.addresses import normal_domain, pack, split_mailbox
from mailbase.ids import is_id
from mailbase.networks import network_named
from mailbase.replies import printable
from policyd.journal.masks import MAX_TEXT, Masks

_QUEUE_ID = re.compile(r"[0-9A-Za-z]{5,40}")
"""Short ones are hexadecimal, long ones of digits and letters (postconf: enable_long_queue_ids)."""
_NAMING = re.compile(r"[^\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Condition:
    """Arguments:
    column: that an index has.
    low: first value that fits.
    high: the first beyond; None where only ``low`` itself fits.
    octets: of the value, for networks; 0: any.
    """

    column: str
    low: Any
    high: Any = None
    octets: int = 0


@dataclass(frozen=True, slots=True)
class Search:
    """Arguments:
    transactions: find one mail transaction, all of whose decisions are wanted.
    decisions: find single decisions, the latest of which are wanted.
    """

    transactions: tuple[Condition, ...] = ()
    decisions: tuple[Condition, ...] = ()


def search_for(term: str, masks: Masks) -> Search:
    """What ``term`` means.

    Arguments:
        term: a decision id, a queue id, an IP address or network, a mail address, a domain or a login name.

    Raises:
        ValueError: nothing; the message is for the operator.
    """
    term = term.strip()
    if not term or len(term) > MAX_TEXT or not _NAMING.fullmatch(term):
        what = "an id, queue id, IP address, network, mail address, domain or user"
        raise ValueError(f"expected {what}, got '{printable(term, 60)}'")
    if (network := _network(term, masks)) is not None:
        return Search(decisions=(network,))
    user = Condition("user", masks.text(term.lower()))
    if "@" in term[1:]:
        mailbox = masks.mailbox(term if split_mailbox(term) is not None else term.lower())
        return Search(decisions=(Condition("sender", mailbox), Condition("recipient", mailbox), user))
    domain = normal_domain(term.removeprefix("@"))
    if is_id(term.lower()):
        # Read out over the telephone, and typed in capitals.
        return Search((Condition("id", term.lower()), Condition("queue_id", term)), (user,))
    if _QUEUE_ID.fullmatch(term):
        return Search((Condition("queue_id", term),), (user,))
    if domain is None:
        return Search(decisions=(user,))
    low, high = masks.domain(domain)
    return Search(decisions=(Condition("sender", low, high), Condition("recipient", low, high), user))


def _network(term: str, masks: Masks) -> Condition | None:
    packed = pack(term)
    if packed is not None:
        return Condition("client", masks.client(term))
    network = network_named(term)
    if network is None:
        return None
    first, length = network
    if masks.hidden:
        raise ValueError("privacy.pseudonymise is on: only single addresses can be found, no networks")
    bits = len(first) * 8
    last = (int.from_bytes(first) | ((1 << (bits - length)) - 1)).to_bytes(len(first))
    # The next value in the order of octets: no address of the same size lies between.
    return Condition("client", first, last + b"\0", len(first))
