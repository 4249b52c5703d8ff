"""The configuration in force, made ready for deciding: built whole at start and at each reload."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from mailbase.config import Settings
from mailbase.documents import Problem
from mailbase.lists.model import DnsList
from mailbase.lists.roster import Roster
from mailbase.registry import Registry
from mailbase.registry.model import EMPTY
from mailbase.spamtraps import Spamtraps
from mailbase.vocabulary import Action, Flow
from policyd.checks import (
    CHECKS,
    EVIDENCE,
    Check,
    ExceptionsCheck,
    FcrdnsCheck,
    GreylistCheck,
    HeloCheck,
    PointsCheck,
    RateCheck,
    RecipientCheck,
    RelayCheck,
    ReputationCheck,
    SenderDomainCheck,
    SpamtrapCheck,
    SpfCheck,
)
from policyd.checks.dynamic import DynamicNames
from policyd.checks.points import FlowPoints, own_thresholds
from policyd.checks.rate import Limiting
from policyd.checks.recipient import Callout, FlowTerms
from policyd.engine.plan import Plan, make_plan
from policyd.engine.texts import Texts
from policyd.evidence.context import MARGIN
from policyd.evidence.flow import Origins
from policyd.evidence.inquiry import EvidenceCheck, Gather
from policyd.evidence.weights import Thresholds, Weights
from policyd.exceptions.matching import Rules
from policyd.greylist.allowlist import ClientList, RecipientList, read_lines
from policyd.greylist.ledger import Ledger
from policyd.greylist.terms import Terms
from policyd.limits.limit import Limit, limits_of
from policyd.lists.assembly import actions_in, dns_lists, list_checks, points_in, shadow_facts
from policyd.reputation.networks import Reputation
from policyd.reputation.outcomes import Outcomes


@dataclass(frozen=True, slots=True)
class Policy:
    """Arguments:
    registry: what is registered; empty if nothing is.
    origins: tells where a mail comes from.
    plan: which checks run when.
    texts: makes replies.
    on_error: what greylisting does while the store is broken; a shadow passes.
    terms: of greylisting.
    greylist: knows by what callers are known again, and who never waits.
    deadline: seconds after which what is known decides.
    warnings: lines of the allowlists that were skipped.
    limits: of all flows.
    dns_lists: those that a flow's checks ask.
    traps: dummy addresses.
    received_spf: our own name, where Received-SPF stands in a ticket's place.
    upstream: how mail of upstream relays gets points, once its client is known; None if it gets none.
    margin: seconds before the deadline at which checks have to say what they know.
    """

    registry: Registry
    origins: Origins
    plan: Plan
    texts: Texts
    on_error: Literal["pass", "defer"]
    terms: Terms
    greylist: GreylistCheck
    deadline: float = 8.0
    warnings: tuple[Problem, ...] = ()
    limits: tuple[Limit, ...] = ()
    dns_lists: tuple[DnsList, ...] = ()
    traps: Spamtraps = field(default_factory=Spamtraps)
    received_spf: str | None = None
    upstream: FlowPoints | None = None
    margin: float = MARGIN


@dataclass(frozen=True, slots=True)
class Lists:
    """The allowlists."""

    clients: ClientList
    recipients: RecipientList
    dynamic: DynamicNames

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
    return Lists(
        ClientList(read_lines(greylist.clients)),
        RecipientList(read_lines(greylist.recipients)),
        DynamicNames(read_lines(settings.policyd.dynamic_names)),
    )


def build_policy(
    settings: Settings,
    ledger: Ledger,
    gather: Gather,
    rules: Rules,
    limiting: Limiting | None = None,
    roster: Roster | None = None,
    callout: Callout | None = None,
    reputation: Reputation | None = None,
    seconds: Callable[[], float] = time.monotonic,
    outcomes: Outcomes | None = None,
) -> Policy:
    """The policy that ``settings`` ask for; nothing in force is changed.

    Arguments:
        gather: asks the checks that need DNS.
        rules: set by command.
        limiting: what limits are counted with; None: they are not.
        reputation: of client networks; None: nothing is held against anybody.
        outcomes: of strangers' mail; None: nothing is known.
        roster: knows which DNS lists are well; None: none is asked.
        callout: asks servers for recipients; None: nobody does, whatever the settings.
        seconds: the clock by which what SPF said is remembered.

    Raises:
        ConfigError: an allowlist that cannot be read.
    """
    greylist = settings.policyd.greylist
    lists = read_lists(settings)
    registry = settings.registry
    greylist_check = GreylistCheck(
        ledger,
        lists.clients,
        lists.recipients,
        registry,
        exempt=greylist.exempt,
        enabled=settings.flows.of(Flow.INBOUND).greylisting,
        shadow=greylist.shadow,
        network_v4=greylist.network_v4,
        network_v6=greylist.network_v6,
        dynamic=lists.dynamic,
        identities=greylist.identities,
        sender_domains=greylist.sender_domains,
    )
    checks: dict[str, Check] = {
        ExceptionsCheck.name: ExceptionsCheck(
            rules,
            exempt=greylist.exempt,
            suspended=Action.REJECT if settings.policyd.outgoing.suspend_reply == "reject" else Action.DEFER,
        ),
        RelayCheck.name: RelayCheck(
            registry if settings.registry_path is not None else None, settings.identity.hostname
        ),
        GreylistCheck.name: greylist_check,
    }
    limits = {flow: limits_of(flow, settings.flows.of(flow).limits) for flow in Flow}
    if limiting is not None and any(limits.values()):
        prefixes = (greylist.network_v4, greylist.network_v6)
        checks[RateCheck.name] = RateCheck(limits, limiting, prefixes)
    traps = Spamtraps(settings.spamtraps.addresses)
    if traps:
        checks[SpamtrapCheck.name] = SpamtrapCheck(traps)
    asked = dns_lists(settings)
    more = list_checks(asked, roster or Roster())
    if reputation is not None:
        more[ReputationCheck.name] = ReputationCheck(reputation, outcomes)
    if any(settings.flows.of(flow).checks.spf.enabled for flow in Flow):
        spf = settings.policyd.spf
        more[SpfCheck.name] = SpfCheck(settings.identity.hostname, seconds, (*spf.skip, *spf.forwarders))
    flows = _flow_points(settings, lists.dynamic, more)
    # Its own address is no evidence: contentfilter asks when it has found the client's.
    upstream = flows.pop(Flow.UPSTREAM, None)
    if flows:
        checks[PointsCheck.name] = PointsCheck(flows, gather, registry, exempt=greylist.exempt)
    if callout is not None and _wants_callouts(settings):
        terms = {flow: _callout_terms(settings, flow) for flow in Flow}
        checks[RecipientCheck.name] = RecipientCheck(registry, callout, terms)
    return Policy(
        registry,
        Origins(registry),
        make_plan([checks[name] for name in CHECKS if name in checks]),
        Texts(settings.identity.contact, settings.policyd.replies),
        "pass" if greylist.shadow else settings.store.on_error,
        terms_of(settings),
        greylist_check,
        settings.policyd.deadline,
        lists.warnings,
        tuple(limit for those in limits.values() for limit in those),
        asked,
        traps,
        settings.identity.hostname if settings.policyd.spf.received_header else None,
        upstream,
        min(MARGIN, settings.policyd.deadline / 4),
    )


def _flow_points(
    settings: Settings, dynamic: DynamicNames, more: dict[str, EvidenceCheck]
) -> dict[Flow, FlowPoints]:
    """The flows that want evidence, and what it is worth there."""
    there: dict[str, EvidenceCheck] = {
        FcrdnsCheck.name: FcrdnsCheck(dynamic),
        HeloCheck.name: HeloCheck(
            settings.identity.hostname, settings.identity.relay_names, settings.registry
        ),
        SenderDomainCheck.name: SenderDomainCheck(),
        **more,
    }
    flows: dict[Flow, FlowPoints] = {}
    for flow in Flow:
        table = settings.flows.of(flow)
        names = [name for name in EVIDENCE if name in there and table.checks.of(name).enabled]
        if names:
            thresholds = Thresholds(table.defer_at, table.reject_at)
            flows[flow] = FlowPoints(
                tuple(there[name] for name in names),
                Weights(
                    {name: points_in(settings, flow, name) for name in names},
                    {name: actions for name in names if (actions := actions_in(settings, flow, name))},
                    frozenset(name for name in names if table.checks.of(name).shadow),
                    shadow_facts(settings),
                ),
                thresholds,
                _settled_at(thresholds, settings.registry if flow is Flow.INBOUND else EMPTY),
            )
    return flows


def _settled_at(thresholds: Thresholds, registry: Registry) -> float | None:
    """Points from which on mail for every domain is refused."""
    all_of_them = [
        thresholds.reject_at,
        *(own_thresholds(domain, thresholds).reject_at for domain in registry.domains.values()),
    ]
    known = [at for at in all_of_them if at is not None]
    return max(known) if len(known) == len(all_of_them) else None


def _wants_callouts(settings: Settings) -> bool:
    return any(settings.flows.of(flow).callout.enabled for flow in Flow) or any(
        domain.callout for domain in settings.registry.domains.values()
    )


def _callout_terms(settings: Settings, flow: Flow) -> FlowTerms:
    callout = settings.flows.of(flow).callout
    return FlowTerms(callout.enabled, callout.shadow, Action(callout.unavailable))


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
