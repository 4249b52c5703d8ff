"""Whose policy counts for which recipient of a mail: the flow's, and over it the domain's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailbase.addresses import domain_of, plain_address
from mailbase.config import OWN_FAULTS, Settings
from mailbase.config.authentication import AUTHENTICATION_POINTS, policy_actions
from mailbase.registry.model import FLOW, Domain
from mailbase.vocabulary import SEVERITY, Action, Flow

STRANGERS = frozenset({Flow.INBOUND, Flow.UPSTREAM})
"""Flows of mail from elsewhere: against it a domain may protect itself less than the flow says. Our own users
and systems are looked at with at least as much distrust."""
THRESHOLDS = ("tag_at", "quarantine_at", "defer_at", "reject_at")
_OF_DOMAIN = {Flow.INBOUND: ("tag_at", "defer_at", "reject_at"), Flow.UPSTREAM: ("tag_at", "quarantine_at")}
"""Those of which a domain may have its own, in mail from elsewhere: an upstream relay's is never refused."""

_UNVOUCHED = {f"{source}.{fact}": 0.0 for source, facts in AUTHENTICATION_POINTS.items() for fact in facts}
"""Where nothing is done about mail that nobody vouches for."""
_UNENFORCED = dict.fromkeys(policy_actions(Flow.INBOUND), Action.ACCEPT)


def has_thresholds(settings: Settings, flow: Flow) -> bool:
    """Whether points can lead to anything in mail of ``flow``, for any recipient."""
    if any(getattr(settings.flows.of(flow), name) is not None for name in THRESHOLDS):
        return True
    return any(
        getattr(domain, name) not in (None, FLOW)
        for name in _OF_DOMAIN.get(flow, ())
        for domain in settings.registry.domains.values()
    )


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """What decides about a mail for some of its recipients; two are the same only if they are one object.

    Arguments:
        actions: finding → action.
        unscanned: reason why a part was not scanned → action.
        tag_at: points from which on the mail is tagged; None: never.
        quarantine_at: points from which on it is quarantined; likewise.
        defer_at: points from which on it has to wait once; likewise.
        reject_at: points from which on it is refused; likewise.
        points: what clues and findings are worth, where the flow says otherwise than is built in.
        scored: False where no points count, whatever they are: for addresses that take complaints.
        protected: False for a domain that wants no protection: nothing that is found leads to anything.
        instead: what is done where others are refused, for addresses that take complaints; None: refused.
        passed_scripts: suffixes of scripts that are let through.
    """

    actions: Mapping[str, Action]
    unscanned: Mapping[str, Action]
    tag_at: float | None = None
    quarantine_at: float | None = None
    defer_at: float | None = None
    reject_at: float | None = None
    points: Mapping[str, float] = field(default_factory=dict)
    scored: bool = True
    protected: bool = True
    instead: Action | None = None
    passed_scripts: frozenset[str] = frozenset()

    def action_at(self, points: float) -> Action:
        """What is done at so many points."""
        if not (self.scored and self.protected):
            return Action.ACCEPT
        for threshold, action in (
            (self.reject_at, Action.REJECT),
            (self.defer_at, Action.DEFER),
            (self.quarantine_at, Action.QUARANTINE),
            (self.tag_at, Action.TAG),
        ):
            if threshold is not None and points >= threshold:
                return action
        return Action.ACCEPT


class Policies:
    """All policies of a configuration; made anew with each.

    Arguments:
        settings: the whole configuration, with its registry.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._domains = settings.registry.domains
        self._complaints = frozenset(settings.policyd.greylist.exempt)
        # One object for one policy, however many domains have it: recipients are judged together by it.
        self._made: dict[object, Policy] = {}
        self._of_domain: dict[tuple[Flow, str, bool], Policy] = {}
        self._of_flow = {flow: self._policy(flow, None, False) for flow in Flow}

    def of_flow(self, flow: Flow) -> Policy:
        """What ``flow`` says, for recipients of no domain that says otherwise."""
        return self._of_flow[flow]

    def of(self, flow: Flow, recipient: str) -> Policy:
        """What counts for ``recipient``, an address as it stood on the wire, in mail of ``flow``."""
        complaints = self._takes_complaints(recipient)
        domain = self._domain(recipient) if self._domains else None
        if domain is None and flow not in STRANGERS:
            # Somebody else's abuse@.
            complaints = complaints and "@" not in recipient
        if domain is None and not complaints:
            return self._of_flow[flow]
        key = (flow, domain.name if domain is not None else "", complaints)
        found = self._of_domain.get(key)
        if found is None:
            found = self._of_domain[key] = self._policy(flow, domain, complaints)
        return found

    def _domain(self, recipient: str) -> Domain | None:
        name = recipient.rpartition("@")[2].lower()
        found = self._domains.get(name)
        if found is None and not (name.isascii() and name[-1:].isalnum()):
            # Written in another way than most, and that takes longer to read.
            found = self._domains.get(domain_of(recipient) or "")
        return found

    def _takes_complaints(self, recipient: str) -> bool:
        return plain_address(recipient).partition("@")[0].partition("+")[0] in self._complaints

    def _policy(self, flow: Flow, domain: Domain | None, complaints: bool) -> Policy:
        settings = self._settings.flows.of(flow)
        actions, unscanned = dict(settings.actions), dict(settings.unscanned)
        thresholds: dict[str, float | None] = {name: getattr(settings, name) for name in THRESHOLDS}
        protected = True
        if domain is not None:
            if domain.authentication is not None and flow in STRANGERS:
                enforced = domain.authentication == "policy"
                actions |= policy_actions(flow) if enforced else _UNENFORCED
            _lay_over(flow, actions, domain.actions)
            _lay_over(flow, unscanned, domain.unscanned)
            if flow in STRANGERS:
                protected = domain.protection
                for name in _OF_DOMAIN[flow]:
                    own = getattr(domain, name)
                    thresholds[name] = thresholds[name] if own == FLOW else own
        instead = Action(self._settings.contentfilter.complaints) if complaints else None
        if complaints:
            # They quote what they complain of.
            thresholds = dict.fromkeys(thresholds)
        passed = frozenset(settings.passed_scripts)
        unvouched = domain is not None and domain.authentication == "off" and flow in STRANGERS
        policy = Policy(
            actions,
            unscanned,
            **thresholds,
            points={**settings.points, **_UNVOUCHED} if unvouched else settings.points,
            scored=not complaints,
            protected=protected,
            instead=instead,
            passed_scripts=passed,
        )
        tables = (tuple(actions.items()), tuple(unscanned.items()))
        key = (flow, *tables, *thresholds.values(), complaints, protected, instead, passed, unvouched)
        return self._made.setdefault(key, policy)


def _lay_over(flow: Flow, table: dict[str, Action], own: Mapping[str, Action]) -> None:
    """Put a domain's ``own`` actions over those of ``flow`` in ``table``, as far as the flow lets it."""
    for name, action in own.items():
        if flow is Flow.UPSTREAM and (
            action is Action.REJECT or (action is Action.DEFER and name not in OWN_FAULTS)
        ):
            # The upstream would have to bounce it.
            action = Action.QUARANTINE
        if flow in STRANGERS or SEVERITY[action] > SEVERITY[table[name]]:
            table[name] = action
