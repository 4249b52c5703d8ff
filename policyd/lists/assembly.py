"""From the configuration to the lists, the checks that ask them, and what their facts are worth."""

from __future__ import annotations

from collections.abc import Mapping

from mailbase import organisation
from mailbase.config import Settings
from mailbase.config.evidence import LIST_CHECKS
from mailbase.config.lists import ListKind, fact_names, spread
from mailbase.lists.model import DnsList, make_list
from mailbase.lists.roster import Roster
from mailbase.vocabulary import Action, Flow
from policyd.checks import DnsblCheck, DnswlCheck, RhsblCheck
from policyd.evidence.inquiry import EvidenceCheck


def dns_lists(settings: Settings) -> tuple[DnsList, ...]:
    """The lists that the checks of some flow ask; no others are tested, or asked anything."""
    asking = {
        kind for kind in ListKind if any(settings.flows.of(flow).checks.of(kind).enabled for flow in Flow)
    }
    return tuple(make_list(name, one) for name, one in settings.policyd.lists.items() if one.kind in asking)


def list_checks(lists: tuple[DnsList, ...], roster: Roster) -> dict[str, EvidenceCheck]:
    """The checks that have a list to ask, by name."""
    checks: dict[str, EvidenceCheck] = {}
    kinds = {one.kind for one in lists}
    if ListKind.DNSBL in kinds:
        checks[DnsblCheck.name] = DnsblCheck(roster)
    if ListKind.DNSWL in kinds:
        checks[DnswlCheck.name] = DnswlCheck(roster)
    if ListKind.RHSBL in kinds:
        if any(one.registrable for one in lists):
            organisation.prepare()
        checks[RhsblCheck.name] = RhsblCheck(roster)
    return checks


def points_in(settings: Settings, flow: Flow, check: str) -> Mapping[str, float]:
    """What the facts of any check are worth in a flow."""
    given = settings.flows.of(flow).checks.of(check).points
    if check not in LIST_CHECKS:
        return given
    return spread(ListKind(check), settings.policyd.lists, given)


def actions_in(settings: Settings, flow: Flow, check: str) -> Mapping[str, Action]:
    """What is done for the facts of any check by themselves; facts without an action are not there."""
    given = settings.flows.of(flow).checks.of(check).actions
    if check not in LIST_CHECKS:
        return given
    return spread(ListKind(check), settings.policyd.lists, given)


def shadow_facts(settings: Settings) -> frozenset[tuple[str, str]]:
    """The facts of lists that are counted only."""
    return frozenset(
        (one.kind.value, fact)
        for name, one in settings.policyd.lists.items()
        if one.shadow
        for fact in fact_names(name, one)
    )
