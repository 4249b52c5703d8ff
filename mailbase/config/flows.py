"""``flows``: what is done with a mail, by where it comes from. The file changes built-in tables by key."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from mailbase.config.authentication import (
    Enforcement,
    EnforcementChoice,
    default_enforcement,
    policy_actions,
)
from mailbase.config.callout import FlowCallout, FlowCalloutSettings
from mailbase.config.evidence import (
    ChecksSettings,
    default_checks,
    evidence_conflicts,
    lay_over,
    threshold_conflicts,
)
from mailbase.config.limits import LimitsTable, limit_conflicts
from mailbase.config.points import DEFER_AT, REJECT_AT, TAG_AT, known_points
from mailbase.documents import Flag, Listing, Section, Text
from mailbase.documents.problems import Location, nearest, shown
from mailbase.points import Points, Threshold
from mailbase.scripts import SUFFIXES
from mailbase.vocabulary import UNSCANNED_REASONS, Action, Flow

_REJECTED = (
    "office-macro",
    "office-macro-suspicious",
    "office-xlm-macro",
    "office-encrypted",
    "archive-encrypted",
    "archive-bomb",
    "pdf-encrypted",
    "executable",
    "virus",
    # Else ten thousand empty files in front of a macro would carry it past us.
    "too-deep",
    "too-large",
    # No mail program of today puts the pieces together, and nobody who looks at one of them can check it.
    "message-partial",
    # A double click shows what is in it, and nothing here opens it.
    "disk-image",
)
"""What a recipient must not get: runs code, or hides its content from us."""
_TAGGED = (
    "office-dde",
    "office-remote-template",
    "office-default-password",
    "archive-default-password",
    "ole-object",
    "archive-malformed",
    "pdf-javascript",
    "pdf-launch",
    "mime-ambiguous",
    "external-body",
    "html-smuggling",
    "virus-suspected",
    "name-mismatch",
    "forced-authentication",
)
"""Seen in malware and in honest mail; refusing all of it would cost more than it brings."""
_ACCEPTED = ("pdf-owner-restricted", "office-macro-allowed", "dmarc-reject", "dmarc-quarantine")
"""Everybody can open it, so it was looked into like any other; a macro that the postmaster allows; what the
author's domain asks for, until ``authentication: policy`` says that it is done."""
_STRANGERS_TAGGED = ("foreign-results",)
"""Written under our name by others. Mail of our own people may have been here before."""

FINDING_NAMES = frozenset(_REJECTED + _TAGGED + _ACCEPTED + _STRANGERS_TAGGED)
"""Every finding that can be given an action."""

_UNSCANNED = {
    # Our own fault: the sender tries again.
    "failed": Action.DEFER,
    "timed-out": Action.DEFER,
    "engine-failed": Action.DEFER,
    # Others have looked for spam too, and mail is not to wait for an opinion.
    "spam-engine-failed": Action.ACCEPT,
    # The finding that comes with it (office-encrypted, pdf-encrypted, archive-encrypted) decides.
    "encrypted": Action.ACCEPT,
    # People who write to each other in private; no program opens it without their keys.
    "mail-encrypted": Action.TAG,
    "malformed": Action.TAG,
    "too-large": Action.TAG,
    "too-deep": Action.TAG,
    "unsupported": Action.TAG,
}
OWN_FAULTS = frozenset({"failed", "timed-out", "engine-failed", "spam-engine-failed"})
"""Reasons for which even upstream relays may be deferred: 451 is no bounce, and trouble of ours ends."""


def default_actions(flow: Flow) -> dict[str, Action]:
    """The built-in action for every finding in ``flow``."""
    worst = Action.QUARANTINE if flow is Flow.UPSTREAM else Action.REJECT
    from_strangers = Action.TAG if flow in (Flow.INBOUND, Flow.UPSTREAM) else Action.ACCEPT
    return (
        dict.fromkeys(_REJECTED, worst)
        | dict.fromkeys(_TAGGED, Action.TAG)
        | dict.fromkeys(_ACCEPTED, Action.ACCEPT)
        | dict.fromkeys(_STRANGERS_TAGGED, from_strangers)
    )


def default_unscanned() -> dict[str, Action]:
    """The built-in action for every reason why a part was not scanned, in every flow."""
    return dict(_UNSCANNED)


def finding_name(name: str) -> str:
    """``name``, if a finding has it.

    Raises:
        ValueError: with the message for the operator.
    """
    if name not in FINDING_NAMES:
        raise ValueError("no finding has this name" + nearest(name, FINDING_NAMES))
    return name


def reason_name(name: str) -> str:
    """``name``, if it is a reason why a part was not scanned.

    Raises:
        ValueError: with the message for the operator.
    """
    if name not in UNSCANNED_REASONS:
        raise ValueError("no reason has this name" + nearest(name, UNSCANNED_REASONS))
    return name


def _with_points(name: str) -> str:
    return known_points(name, FINDING_NAMES)


def _script(name: str) -> str:
    suffix = name.removeprefix(".").lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"no script is told by the suffix {shown(suffix)}" + nearest(suffix, SUFFIXES))
    return suffix


_frozen = AfterValidator(lambda table: MappingProxyType(dict(table)))
_plain = PlainSerializer(dict)


class FlowSettings(Section):
    """The policy of one flow, complete."""

    greylisting: Flag
    """Whether new triplets are deferred; a domain's registration may say otherwise."""
    callout: FlowCallout = FlowCalloutSettings()
    """Whether unknown recipients are refused."""
    actions: Annotated[Mapping[Annotated[str, AfterValidator(finding_name)], Action], _frozen, _plain]
    """Finding name → action; every name is there."""
    unscanned: Annotated[Mapping[Annotated[str, AfterValidator(reason_name)], Action], _frozen, _plain]
    """Reason why a part was not scanned → action; every reason is there."""
    passed_scripts: Listing[Annotated[Text, AfterValidator(_script)]] = ()
    """Suffixes of scripts that are let through, though ``executable`` is found in them."""
    authentication: EnforcementChoice
    """What is done about mail that nobody vouches for."""
    checks: ChecksSettings
    """What policyd's checks look at, and what their facts are worth."""
    points: Annotated[Mapping[Annotated[str, AfterValidator(_with_points)], Points], _frozen, _plain] = Field(
        default_factory=dict
    )
    """Clue or finding → points, over those of :data:`mailbase.config.points.BUILT_IN`."""
    defer_at: Threshold = None
    """Points from which on mail has to wait once; None: never."""
    reject_at: Threshold = None
    """Points from which on mail is refused; None: never."""
    tag_at: Threshold = None
    """Points from which on contentfilter tags mail; None: never."""
    quarantine_at: Threshold = None
    """Points from which on contentfilter quarantines mail, in flow upstream; None: never."""
    limits: LimitsTable = Field(default_factory=dict)
    """How much may come from whom, or go where; by name."""


_THRESHOLDS: Mapping[Flow, Mapping[str, float]] = MappingProxyType(
    {
        Flow.INBOUND: {"tag_at": TAG_AT, "defer_at": DEFER_AT, "reject_at": REJECT_AT},
        Flow.UPSTREAM: {"tag_at": TAG_AT},
        # Our tag is no business of those whom it goes to; and whoever sends it learns of a 554.
        Flow.OUTBOUND: {"reject_at": REJECT_AT},
        Flow.SUBMISSION: {"reject_at": REJECT_AT},
    }
)


def _defaults(flow: Flow) -> dict[str, Any]:
    return {
        "greylisting": flow is Flow.INBOUND,
        "actions": default_actions(flow),
        "unscanned": default_unscanned(),
        "authentication": default_enforcement(flow),
        "checks": default_checks(),
        **_THRESHOLDS[flow],
    }


def _make_room(result: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Let built-in thresholds in ``result`` give way to those that the file names, as far as order asks."""
    own: dict[str, float] = {}
    for name in ("tag_at", "defer_at", "reject_at"):
        value = given.get(name)
        # What is no threshold is told in its own line, and nothing follows from it.
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
            own[name] = value
    if "tag_at" not in given and "tag_at" in result:
        result["tag_at"] = min(result["tag_at"], own.get("defer_at", math.inf))
        if result["tag_at"] >= own.get("reject_at", math.inf):
            result["tag_at"] = None
    if "defer_at" not in given and "defer_at" in result:
        fits = own.get("tag_at", 0.0) <= result["defer_at"] < own.get("reject_at", math.inf)
        result["defer_at"] = result["defer_at"] if fits else None
    if "reject_at" not in given and result.get("reject_at", 0.0) <= max(own.values(), default=-1.0):
        result["reject_at"] = None


def _over(flow: Flow) -> BeforeValidator:
    """Lays the file's keys over the flow's built-in ones."""

    def complete(given: Any) -> Any:
        if given is not None and not isinstance(given, dict):
            return given
        result = _defaults(flow)
        if (given or {}).get("authentication") == Enforcement.POLICY:
            result["actions"] |= policy_actions(flow)
        for key, value in (given or {}).items():
            if key in ("actions", "unscanned") and isinstance(value, Mapping):
                result[key] |= value
            elif key == "checks":
                result[key] = lay_over(result[key], value)
            elif key not in ("actions", "unscanned", "points") or value is not None:
                result[key] = value
        _make_room(result, given or {})
        return result

    return BeforeValidator(complete)


def _built_in(flow: Flow) -> FlowSettings:
    return FlowSettings(**_defaults(flow))


class FlowsSettings(Section):
    inbound: Annotated[FlowSettings, _over(Flow.INBOUND)] = Field(
        default_factory=lambda: _built_in(Flow.INBOUND)
    )
    outbound: Annotated[FlowSettings, _over(Flow.OUTBOUND)] = Field(
        default_factory=lambda: _built_in(Flow.OUTBOUND)
    )
    submission: Annotated[FlowSettings, _over(Flow.SUBMISSION)] = Field(
        default_factory=lambda: _built_in(Flow.SUBMISSION)
    )
    upstream: Annotated[FlowSettings, _over(Flow.UPSTREAM)] = Field(
        default_factory=lambda: _built_in(Flow.UPSTREAM)
    )

    def of(self, flow: Flow) -> FlowSettings:
        """The policy of ``flow``."""
        match flow:
            case Flow.SUBMISSION:
                return self.submission
            case Flow.UPSTREAM:
                return self.upstream
            case Flow.OUTBOUND:
                return self.outbound
            case Flow.INBOUND:
                return self.inbound


def flow_conflicts(flows: FlowsSettings) -> Iterator[tuple[Location, str]]:
    """What the tables must not say, as (location, message)."""
    for flow in Flow:
        settings = flows.of(flow)
        for table, entries in (("actions", settings.actions), ("unscanned", settings.unscanned)):
            for name, action in entries.items():
                if action is Action.DISCARD:
                    yield (
                        (flow, table, name),
                        "expected accept, tag, quarantine, defer or reject: no mail is dropped for a finding",
                    )
                elif flow is Flow.UPSTREAM and (
                    action is Action.REJECT or (action is Action.DEFER and name not in OWN_FAULTS)
                ):
                    yield (flow, table, name), f"expected accept, tag or quarantine: {_UPSTREAM}"
        thresholds = {
            "tag_at": settings.tag_at,
            "defer_at": settings.defer_at,
            "quarantine_at": settings.quarantine_at,
            "reject_at": settings.reject_at,
        }
        for location, message in evidence_conflicts(flow, settings.checks):
            yield (flow, *location), message
        for name, message in threshold_conflicts(flow, thresholds):
            yield (flow, name), message
        for location, message in limit_conflicts(flow, settings.limits):
            yield (flow, *location), message
    if flows.upstream.greylisting:
        yield ("upstream", "greylisting"), "expected false: mail of upstream relays is never greylisted"
    if flows.submission.greylisting:
        yield ("submission", "greylisting"), "expected false: mail of users is never greylisted"


_UPSTREAM = "an upstream relay would have to bounce what is refused after DATA"
