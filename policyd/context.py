"""What a check may know beside the request."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from functools import lru_cache

from mailbase.addresses import Mailbox
from mailbase.registry import Domain, System
from mailbase.vocabulary import Flow

_WORDS = re.compile(r"[a-z0-9]+")


class Scope(enum.Enum):
    """Which of our questions Postfix asks, by ``policy_context``."""

    RELAY = "relay"
    """From smtpd_relay_restrictions: may this be relayed, and nothing else."""
    RECIPIENT = "recipient"
    """From smtpd_recipient_restrictions, where OK would skip what stands behind us: all else."""
    BOTH = "both"
    """One place for both."""


@lru_cache(maxsize=64)
def scope_of(policy_context: str) -> Scope:
    """The scope that ``policy_context`` names: the word ``relay``, the word ``recipient``, or both."""
    words = set(_WORDS.findall(policy_context.lower()))
    match ("relay" in words, "recipient" in words):
        case (True, False):
            return Scope.RELAY
        case (False, True):
            return Scope.RECIPIENT
        case _:
            return Scope.BOTH


@dataclass(slots=True)
class Context:
    """Arguments:
    now: seconds since the epoch.
    flow: where the mail comes from.
    address: client address, 4 or 16 octets, or None.
    system: the registered system that the client is.
    mailbox: the recipient taken apart; None if it is none, or not asked about.
    domain: the recipient's domain, if it is registered.
    trace: False for a question that must leave no trace in any state.
    """

    now: float
    flow: Flow
    address: bytes | None
    system: System | None
    mailbox: Mailbox | None
    domain: Domain | None
    trace: bool = True
