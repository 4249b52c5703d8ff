"""``flows.FLOW.checks``: what the facts of policyd's checks are worth. The file changes built-in points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, PlainSerializer

from mailbase.config.lists import ListKind
from mailbase.documents import Flag, Section
from mailbase.documents.problems import Location, nearest, shown
from mailbase.points import Points
from mailbase.vocabulary import Action, Flow

DEFAULT_POINTS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "fcrdns": MappingProxyType(
            {"no-ptr": 2.0, "not-confirmed": 1.0, "dynamic-name": 2.0, "confirmed": 0.0}
        ),
        "helo": MappingProxyType(
            {
                "forged-own-name": 5.0,
                "forged-address": 5.0,
                "forged-served-domain": 4.0,
                "not-fqdn": 1.5,
                "unusual-top-level": 1.5,
                "unresolvable": 1.5,
                "address-literal": 1.0,
                "resolves-elsewhere": 0.5,
                "equals-ptr": -0.5,
            }
        ),
        "reputation": MappingProxyType(
            {
                "spamtrap": 2.0,
                "refused-content": 0.0,
                "spam-network": 1.5,
                "spam-domain": 1.5,
                "good-network": -1.0,
            }
        ),
        "sender_domain": MappingProxyType({"no-mail-host": 4.0, "null-mx": 4.0, "private-mx": 3.0}),
        "spf": MappingProxyType(
            {
                "pass": 0.0,
                "fail": 2.5,
                "softfail": 1.0,
                "neutral": 0.0,
                "none": 0.0,
                "permerror": 0.5,
                "plus-all": 2.0,
                "helo-pass": 0.0,
                "helo-fail": 2.5,
                "helo-softfail": 1.0,
                "helo-neutral": 0.0,
                "helo-none": 0.0,
                "helo-permerror": 0.0,
                "helo-plus-all": 1.0,
            }
        ),
        # Their facts are the lists in policyd.lists; what a list is worth only the operator knows.
        **{kind.value: MappingProxyType({}) for kind in ListKind},
    }
)
"""Check → fact → built-in points. ``temporary`` and ``failed``, which are stated as well, never have any."""
LIST_CHECKS = frozenset(kind.value for kind in ListKind)
"""Checks whose facts the configuration names."""


def _hard(action: Action) -> Action:
    if action not in (Action.DEFER, Action.REJECT):
        raise ValueError(f"expected defer or reject, got {shown(action.value)}")
    return action


_frozen = AfterValidator(lambda table: MappingProxyType(dict(table)))


class CheckSettings(Section):
    """One check in one flow."""

    enabled: Flag
    """Whether it runs at all."""
    shadow: Flag = False
    """Counted and logged, not acted on."""
    points: Annotated[Mapping[str, Points], _frozen, PlainSerializer(dict)]
    """Fact → points; every fact is there."""
    actions: Annotated[Mapping[str, Annotated[Action, AfterValidator(_hard)]], _frozen, PlainSerializer(dict)]
    """Fact → what is done for it by itself, whatever the points."""


class ChecksSettings(Section):
    """The checks of one flow, complete."""

    fcrdns: CheckSettings
    helo: CheckSettings
    sender_domain: CheckSettings
    spf: CheckSettings
    dnsbl: CheckSettings
    dnswl: CheckSettings
    rhsbl: CheckSettings
    reputation: CheckSettings

    def of(self, check: str) -> CheckSettings:
        """The settings of a check, by its name."""
        settings = getattr(self, check)
        assert isinstance(settings, CheckSettings)
        return settings


def default_checks() -> dict[str, Any]:
    """The built-in table of every flow: all off, since a gateway without DNS must be able to greylist."""
    return {
        check: {"enabled": False, "points": dict(points), "actions": {}}
        for check, points in DEFAULT_POINTS.items()
    }


def lay_over(defaults: dict[str, Any], given: Any) -> Any:
    """The file's ``checks`` over the built-in ones; ``true`` or ``false`` switches one, or all."""
    if given is None:
        return defaults
    if isinstance(given, bool):
        return {check: {**table, "enabled": given} for check, table in defaults.items()}
    if not isinstance(given, Mapping):
        return given
    result: dict[Any, Any] = dict(defaults)
    for check, table in given.items():
        built_in = defaults.get(check)
        if built_in is None:
            result[check] = table
        elif isinstance(table, bool):
            result[check] = {**built_in, "enabled": table}
        elif isinstance(table, Mapping):
            points = table.get("points")
            if points is None:
                points = {}
            merged = {**built_in["points"], **points} if isinstance(points, Mapping) else points
            # To name a check is to want it.
            actions = table.get("actions") or {}
            result[check] = {**built_in, "enabled": True, **table, "points": merged, "actions": actions}
        elif table is not None:
            result[check] = table
    return result


def evidence_conflicts(flow: Flow, checks: ChecksSettings) -> Iterator[tuple[Location, str]]:
    """What the tables must not say, as (location within the flow, message)."""
    for check, known in DEFAULT_POINTS.items():
        settings = checks.of(check)
        for table in ("points", "actions"):
            for fact in getattr(settings, table):
                if fact not in known and check not in LIST_CHECKS:
                    yield (
                        ("checks", check, table, fact),
                        f"{check} states no such fact" + nearest(fact, known),
                    )
        if flow is Flow.UPSTREAM and settings.actions:
            yield ("checks", check, "actions"), f"expected none: {_UPSTREAM}"


def threshold_conflicts(flow: Flow, thresholds: Mapping[str, float | None]) -> Iterator[tuple[str, str]]:
    """Thresholds that the flow cannot have, or that do not rise, as (name, message).

    Arguments:
        thresholds: by name, in the order in which they must rise; what was deferred is tagged, so those two
            may be the same.
    """
    forbidden = _FORBIDDEN_UPSTREAM if flow is Flow.UPSTREAM else _FORBIDDEN_ELSEWHERE
    before: tuple[str, float] | None = None
    for name, threshold in thresholds.items():
        if threshold is None:
            continue
        if name in forbidden:
            yield name, f"expected null: {forbidden[name]}"
            continue
        if before is not None and (threshold < before[1] or (threshold == before[1] and name != "defer_at")):
            yield before[0], f"expected less than {name} ({threshold:g}), got {before[1]:g}"
        before = name, threshold


_UPSTREAM = "an upstream relay would have to bounce what is refused; set tag_at and quarantine_at"
_FORBIDDEN_UPSTREAM = {"defer_at": _UPSTREAM, "reject_at": _UPSTREAM}
_FORBIDDEN_ELSEWHERE = {
    "quarantine_at": "mail of others is refused (reject_at), so that its sender learns of it at once"
}
