"""What a check may know beside the request."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from policyd.evidence.facts import Fact, Named
from policyd.evidence.flow import Origin
from policyd.evidence.weights import Thresholds, Weighed
from policyd.limits.ledger import Ask

MARGIN = 0.1
"""Seconds before a request's deadline at which checks have to say what they know, a quarter of a short
one at most: answering takes time too, most where many requests come to their deadline together."""

_WORDS = re.compile(r"[a-z0-9]+")


class Scope(enum.Enum):
    """Which of our questions Postfix asks, by ``policy_context``."""

    RELAY = "relay"
    """From smtpd_relay_restrictions: may this be relayed, and nothing else."""
    RECIPIENT = "recipient"
    """From smtpd_recipient_restrictions, where OK would skip what stands behind us: all else."""
    BOTH = "both"
    """One place for both."""

    # Enum's own hash is a Python function, and too slow for a key that every request looks up.
    __hash__ = object.__hash__


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
    origin: who speaks to us.
    trace: False for a question that must leave no trace in any state.
    deadline: seconds since the epoch at which checks have to say what they know.
    weighed: the transaction's evidence, once it is there.
    thresholds: that the points were held against; None where there are none.
    allowed: what the exception names that lets this mail pass without points and waiting; None: none does.
    taken: from limits, for this mail; None where none was asked.
    facts: what the checks before have established.
    """

    now: float
    origin: Origin
    trace: bool = True
    deadline: float = float("inf")
    weighed: Weighed | None = None
    thresholds: Thresholds | None = None
    allowed: Named | None = None
    taken: tuple[Ask, ...] | None = None
    facts: Sequence[Fact] = ()
