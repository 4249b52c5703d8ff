"""The configuration in force, made ready for deciding: built whole at start and at each reload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mailbase.config import Settings
from mailbase.documents import Problem
from mailbase.registry import Registry
from mailbase.vocabulary import Flow
from policyd.checks import CHECKS, Check, GreylistCheck, RelayCheck
from policyd.context import Scope
from policyd.flow import Origins
from policyd.greylist.allowlist import ClientList, RecipientList, read_lines
from policyd.greylist.ledger import Ledger
from policyd.greylist.terms import Terms
from policyd.request import Stage

Plan = dict[tuple[Stage, Scope], tuple[Check, ...]]
"""Which checks run, in order, by stage and scope."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Arguments:
    registry: what is registered; empty if nothing is.
    origins: tells where a mail comes from.
    plan: which checks run when.
    contact: put at the end of every refusal; may be empty.
    on_error: what greylisting does while the store is broken.
    terms: of greylisting.
    warnings: lines of the allowlists that were skipped.
    """

    registry: Registry
    origins: Origins
    plan: Plan
    contact: str
    on_error: Literal["pass", "defer"]
    terms: Terms
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Lists:
    """The allowlists."""

    clients: ClientList
    recipients: RecipientList

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Lines that were skipped."""
        return (*self.clients.warnings, *self.recipients.warnings)


def read_lists(settings: Settings) -> Lists:
    """The allowlists that ``settings`` name.

    Raises:
        ConfigError: a file cannot be read or understood.
    """
    greylist = settings.policyd.greylist
    return Lists(ClientList(read_lines(greylist.clients)), RecipientList(read_lines(greylist.recipients)))


def build_policy(settings: Settings, ledger: Ledger) -> Policy:
    """The policy that ``settings`` ask for; nothing in force is changed.

    Raises:
        ConfigError: an allowlist that cannot be read.
    """
    greylist = settings.policyd.greylist
    lists = read_lists(settings)
    registry = settings.registry
    checks: dict[str, Check] = {
        RelayCheck.name: RelayCheck(
            registry if settings.registry_path is not None else None, settings.identity.hostname
        ),
        GreylistCheck.name: GreylistCheck(
            ledger,
            lists.clients,
            lists.recipients,
            registry,
            exempt=greylist.exempt,
            enabled=settings.flows.of(Flow.INBOUND).greylisting,
            network_v4=greylist.network_v4,
            network_v6=greylist.network_v6,
        ),
    }
    return Policy(
        registry,
        Origins(registry),
        make_plan([checks[name] for name in CHECKS]),
        settings.identity.contact,
        settings.store.on_error,
        terms_of(settings),
        lists.warnings,
    )


def terms_of(settings: Settings) -> Terms:
    """The terms of greylisting that ``settings`` name."""
    greylist = settings.policyd.greylist
    return Terms(
        greylist.delay,
        greylist.retry_window,
        greylist.lifetime,
        greylist.auto_allow_after,
        greylist.auto_allow_lifetime,
    )


def make_plan(checks: list[Check]) -> Plan:
    """Which of ``checks`` run when. Asked for relaying alone, only the relay check does."""
    plan: Plan = {}
    for stage in Stage:
        there = [check for check in checks if stage in check.stages]
        plan[stage, Scope.BOTH] = plan[stage, Scope.RECIPIENT] = tuple(there)
        plan[stage, Scope.RELAY] = tuple(check for check in there if check.name == RelayCheck.name)
    return plan
