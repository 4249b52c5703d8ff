"""The checks: one file each. This table is the whole list, in the order in which they run."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, runtime_checkable

from policyd.checks.dnsbl import DnsblCheck
from policyd.checks.dnswl import DnswlCheck
from policyd.checks.exceptions import ExceptionsCheck
from policyd.checks.fcrdns import FcrdnsCheck
from policyd.checks.greylist import GreylistCheck
from policyd.checks.helo import HeloCheck
from policyd.checks.points import PointsCheck
from policyd.checks.rate import RateCheck
from policyd.checks.recipient import RecipientCheck
from policyd.checks.relay import RelayCheck
from policyd.checks.reputation import ReputationCheck
from policyd.checks.rhsbl import RhsblCheck
from policyd.checks.sender_domain import SenderDomainCheck
from policyd.checks.spamtrap import SpamtrapCheck
from policyd.checks.spf import SpfCheck
from policyd.evidence.context import Context
from policyd.evidence.facts import Fact
from policyd.protocol.request import Request, Stage

__all__ = [
    "CHECKS",
    "EVIDENCE",
    "Check",
    "DnsblCheck",
    "DnswlCheck",
    "ExceptionsCheck",
    "FcrdnsCheck",
    "GreylistCheck",
    "HeloCheck",
    "PointsCheck",
    "PreparedCheck",
    "RateCheck",
    "RecipientCheck",
    "RelayCheck",
    "ReputationCheck",
    "RhsblCheck",
    "SenderDomainCheck",
    "SpamtrapCheck",
    "SpfCheck",
]


class Check(Protocol):
    """Establishes one fact about a request. It knows no points, no thresholds, no reply texts."""

    @property
    def name(self) -> str:
        """As in the configuration and the metrics."""

    @property
    def stages(self) -> frozenset[Stage]:
        """Where it is asked."""

    def check(self, request: Request, context: Context) -> Fact | Awaitable[Fact]:
        """The fact; at once where it is in memory."""


@runtime_checkable
class PreparedCheck(Check, Protocol):
    """One that does a part of its work before all checks.

    Requests that come together are decided side by side, step by step, and what is done again at once costs
    much less. It pays where a check takes long over two different things.
    """

    def prepare(self, context: Context) -> None:
        """Do it, and note it on the origin. It may have been left out, or have raised: then :meth:`check`
        has to do it."""


CHECKS = (
    ExceptionsCheck.name,
    RelayCheck.name,
    RateCheck.name,
    SpamtrapCheck.name,
    PointsCheck.name,
    GreylistCheck.name,
    RecipientCheck.name,
)
"""Cheap and decisive first: what is refused is not greylisted, and no server is asked for a recipient whose
mail has to come again."""

EVIDENCE = (
    FcrdnsCheck.name,
    HeloCheck.name,
    SenderDomainCheck.name,
    SpfCheck.name,
    DnsblCheck.name,
    DnswlCheck.name,
    RhsblCheck.name,
    ReputationCheck.name,
)
"""Those that points asks, in parallel; of several facts with the same points the first is the reason."""
