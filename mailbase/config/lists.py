"""``policyd.lists``: DNS lists of clients and of domains (RFC 5782), and how it is watched that they work."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator

from mailbase.addresses import normal_domain, pack
from mailbase.config.list_codes import parse_code
from mailbase.config.units import Duration, between, format_duration
from mailbase.documents import Count, Flag, Listing, Section, Table, Text
from mailbase.documents.problems import Location, dotted, nearest, shown
from mailbase.vocabulary import Flow

if TYPE_CHECKING:
    from mailbase.config.flows import FlowsSettings

MAX_LISTS = 50
"""Lists in all; every one is a question for every mail, and a label of the metrics."""
MAX_CODES = 50
"""Codes of one list, likewise labels."""
MAX_ZONE = 180
"""Octets of a zone: before it stand 64 of an IPv6 address."""
MAX_TESTS = 10
"""Test points of each sort."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?")
_RESERVED = frozenset({"temporary", "failed"})


class ListKind(enum.StrEnum):
    """What a list is asked after, which is also the check that asks it."""

    DNSBL = "dnsbl"
    """Clients' addresses, bad ones."""
    DNSWL = "dnswl"
    """Clients' addresses, good ones."""
    RHSBL = "rhsbl"
    """Domain and host names, bad ones."""

    __hash__ = str.__hash__


V = TypeVar("V")

Family = Literal["ipv4", "ipv6"]
NameSource = Literal["sender", "helo", "ptr"]


def _zone(value: str) -> str:
    zone = normal_domain(value)
    if zone is None or zone[:1] == "[" or len(zone) > MAX_ZONE:
        raise ValueError(f"expected the zone of a list such as bl.example.org, got {shown(value)}")
    return zone


def _list_name(value: str) -> str:
    if not _NAME.fullmatch(value) or value in _RESERVED:
        raise ValueError(
            "expected a name of lower case letters, digits, - and _ (at most 40, not "
            f"{' or '.join(sorted(_RESERVED))}), got {shown(value)}"
        )
    return value


def _code(value: str) -> str:
    parse_code(value)
    return value


Zone = Annotated[Text, AfterValidator(_zone)]
ListCode = Annotated[Text, AfterValidator(_code)]
ListName = Annotated[str, AfterValidator(_list_name)]


def _test_points(value: object) -> object:
    # None is "as RFC 5782 has it"; the empty list is none at all.
    return (value,) if isinstance(value, str) else value


TestPoints = Annotated[tuple[Text, ...] | None, BeforeValidator(_test_points)]


class ListSettings(Section):
    """One list."""

    kind: ListKind
    """What it lists, and the check that asks it."""
    zone: Zone
    """Where it is in DNS."""
    families: Listing[Family] = ("ipv4",)
    """Which addresses it lists."""
    codes: Table[ListName, Listing[ListCode]] = {}
    """Names for its answers; of several that fit, the first."""
    refused: Listing[ListCode] = ()
    """Answers that list nothing and say that we must not ask, beside 127.255.255.0/24."""
    names: Listing[NameSource] = ("sender",)
    """Which names an rhsbl is asked after."""
    registrable: Flag = False
    """Whether an rhsbl has registrable domains only: mail.shop.example.org is then asked as example.org."""
    shadow: Flag = False
    """Its facts are counted and logged, and not acted on, in every flow."""
    test_listed: TestPoints = None
    """Addresses (names of an rhsbl) that it must list; None: those of RFC 5782."""
    test_clean: TestPoints = None
    """Those that it must not list, likewise."""


class ListHealthSettings(Section):
    interval: Annotated[Duration, between("1m", "1d")] = 900.0
    """Seconds between tests of a list that works."""
    failures: Annotated[Count, between(1, 1000)] = 5
    """Look-ups without an answer, one after another, until a list is not asked any more."""
    retry: Annotated[Duration, between("1s", "1h")] = 60.0
    """Seconds after which a list that was switched off is tested again; doubles each time."""
    max_retry: Annotated[Duration, between("1s", "1d")] = 3600.0
    """Seconds between such tests at most."""


def fact_names(name: str, settings: ListSettings) -> tuple[str, ...]:
    """The facts that a list can state: ``LIST`` for an answer without a name, and ``LIST.CODE``."""
    return (name, *(f"{name}.{code}" for code in settings.codes))


def known_facts(kind: ListKind, lists: Mapping[str, ListSettings]) -> list[str]:
    """Every fact that the lists of one kind can state."""
    return [fact for name, one in lists.items() if one.kind is kind for fact in fact_names(name, one)]


def spread(kind: ListKind, lists: Mapping[str, ListSettings], given: Mapping[str, V]) -> dict[str, V]:
    """What is given for the facts of one kind: a code without a value of its own has its list's."""
    found = {fact: given.get(fact, given.get(fact.partition(".")[0])) for fact in known_facts(kind, lists)}
    return {fact: value for fact, value in found.items() if value is not None}


def list_conflicts(
    lists: Mapping[str, ListSettings], health: ListHealthSettings, flows: FlowsSettings
) -> Iterator[tuple[Location, str]]:
    """What lists and points must not say, as (location, message)."""
    if len(lists) > MAX_LISTS:
        yield ("policyd", "lists"), f"expected at most {MAX_LISTS} lists, got {len(lists)}"
    yield from health_conflicts(("policyd", "list_health"), health)
    for name, settings in lists.items():
        for key, message in _list_conflicts(settings):
            yield ("policyd", "lists", name, key), message
    for flow in Flow:
        yield from _flow_conflicts(flow, lists, flows)


def health_conflicts(section: Location, health: ListHealthSettings) -> Iterator[tuple[Location, str]]:
    """What the watch over lists must not be told, as (location, message)."""
    if health.max_retry < health.retry:
        yield (
            (*section, "max_retry"),
            f"expected at least {dotted((*section, 'retry'))} ({format_duration(health.retry)}), "
            f"got {format_duration(health.max_retry)}",
        )


def _list_conflicts(settings: ListSettings) -> Iterator[tuple[str, str]]:
    of_names = settings.kind is ListKind.RHSBL
    given = settings.model_fields_set
    addresses, named = ("families",), ("names", "registrable")
    for key in addresses if of_names else named:
        if key in given and getattr(settings, key):
            yield key, f"has a meaning only for lists of {'addresses' if of_names else 'names (rhsbl)'}"
    if len(settings.codes) > MAX_CODES:
        yield "codes", f"expected at most {MAX_CODES} codes, got {len(settings.codes)}"
    if of_names and not settings.names:
        yield "names", "expected at least one of sender, helo, ptr"
    if not of_names and not settings.families:
        yield "families", "expected ipv4, ipv6 or both"
    for key in ("test_listed", "test_clean"):
        points = getattr(settings, key) or ()
        if len(points) > MAX_TESTS:
            yield key, f"expected at most {MAX_TESTS} entries, got {len(points)}"
        for point in points:
            if of_names and (normal_domain(point) is None or point[:1] == "["):
                yield key, f"expected domains, got {shown(point)}"
            elif not of_names and pack(point) is None:
                yield key, f"expected IP addresses, got {shown(point)}"


def _flow_conflicts(
    flow: Flow, lists: Mapping[str, ListSettings], flows: FlowsSettings
) -> Iterator[tuple[Location, str]]:
    settings = flows.of(flow)
    for kind in ListKind:
        known = known_facts(kind, lists)
        checks = settings.checks.of(kind)
        for table in ("points", "actions"):
            for fact in getattr(checks, table):
                if fact not in known:
                    hint = nearest(fact, known)
                    yield (
                        ("flows", flow, "checks", kind, table, fact),
                        f"no list of kind {kind} in policyd.lists has this name{hint}",
                    )
        speaks_for = kind is ListKind.DNSWL
        wanted = "0 or less, since it speaks for" if speaks_for else "0 or more, since it speaks against"
        for fact, points in checks.points.items():
            if points > 0 if speaks_for else points < 0:
                location = ("flows", flow, "checks", kind, "points", fact)
                yield location, f"expected {wanted} a client; got {points:g}"
        if speaks_for and checks.actions:
            yield ("flows", flow, "checks", kind, "actions"), "expected none: it speaks for a client"
