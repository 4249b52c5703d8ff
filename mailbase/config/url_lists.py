"""``contentfilter.urls``: DNS lists of what links in mail lead to, and how many are looked up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator

from mailbase.addresses import normal_domain, pack
from mailbase.config.lists import (
    MAX_CODES,
    MAX_LISTS,
    MAX_TESTS,
    ListCode,
    ListHealthSettings,
    ListName,
    TestPoints,
    Zone,
    health_conflicts,
)
from mailbase.config.units import Duration, between
from mailbase.documents import Count, FilledListing, Flag, Listing, Section, Table, Text
from mailbase.documents.problems import Location, nearest, shown
from mailbase.points import Points

URL_KIND = "urls"
"""The kind of these lists, and who asks them."""
UrlPart = Literal["domain", "host", "ipv4", "ipv6"]
"""What a list can be asked after: the registrable domain of a link, its host, the address that it is."""
MAX_DOMAINS = 50
"""Domains of one mail that can be looked up; see :class:`contentfilter.content.traits.Traits`."""


def _domain(value: str) -> str:
    domain = normal_domain(value)
    if domain is None or domain[:1] == "[":
        raise ValueError(f"expected a domain such as example.org, got {shown(value)}")
    return domain


def _for_spam(value: float) -> float:
    if value < 0:
        raise ValueError(f"expected 0 or more, since a list speaks against a link, got {value:g}")
    return value


_Points = Annotated[Points, AfterValidator(_for_spam)]


class UrlListSettings(Section):
    """One list."""

    zone: Zone
    """Where it is in DNS."""
    ask: FilledListing[UrlPart] = ("domain",)
    """What it is asked after."""
    codes: Table[ListName, Listing[ListCode]] = {}
    """Names for its answers; of several that fit, the first."""
    refused: Listing[ListCode] = ()
    """Answers that list nothing and say that we must not ask, beside 127.255.255.0/24."""
    points: _Points = 2.0
    """What a listing is worth."""
    code_points: Table[ListName, _Points] = {}
    """What it is worth with one of the codes instead."""
    shadow: Flag = False
    """Its listings are told and worth nothing."""
    test_listed: TestPoints = None
    """Domains and addresses that it must list; None: those of RFC 5782."""
    test_clean: TestPoints = None
    """Those that it must not list, likewise."""

    def worth(self, code: str) -> float:
        """Points for an answer: of its code, empty for one without."""
        return self.code_points.get(code, self.points)


class UrlSettings(Section):
    lists: Table[ListName, UrlListSettings] = {}
    """By the name that their clues have: ``url.NAME``, ``url.NAME.CODE``."""
    list_health: ListHealthSettings = ListHealthSettings()
    max_domains: Annotated[Count, between(1, MAX_DOMAINS)] = 20
    """Domains and addresses of one mail that are looked up, the most telling first."""
    deadline: Annotated[Duration, between("100ms", "9s")] = 4.0
    """Seconds for the look-ups of one mail; what is not there by then adds nothing."""
    exempt: Listing[Annotated[Text, AfterValidator(_domain)]] = ()
    """Domains that are not looked up, with all below them, beside the very common ones."""


def url_facts(urls: UrlSettings) -> frozenset[str]:
    """Every fact of a clue ``url.FACT`` that the lists can state."""
    return frozenset(
        fact for name, one in urls.lists.items() for fact in (name, *(f"{name}.{code}" for code in one.codes))
    )


def url_conflicts(urls: UrlSettings) -> Iterator[tuple[Location, str]]:
    """What must not be said of lists of links, as (location within ``contentfilter.urls``, message)."""
    if len(urls.lists) > MAX_LISTS:
        yield ("lists",), f"expected at most {MAX_LISTS} lists, got {len(urls.lists)}"
    for location, message in health_conflicts(("contentfilter", "urls", "list_health"), urls.list_health):
        yield location[2:], message
    for name, one in urls.lists.items():
        for key, message in _list_conflicts(one):
            yield ("lists", name, *key), message


def _list_conflicts(one: UrlListSettings) -> Iterator[tuple[Location, str]]:
    if len(one.codes) > MAX_CODES:
        yield ("codes",), f"expected at most {MAX_CODES} codes, got {len(one.codes)}"
    for code in one.code_points:
        if code not in one.codes:
            yield ("code_points", code), "the list has no such code in codes" + nearest(code, one.codes)
    names = {"domain", "host"} & set(one.ask)
    for key in ("test_listed", "test_clean"):
        points = getattr(one, key) or ()
        if len(points) > MAX_TESTS:
            yield (key,), f"expected at most {MAX_TESTS} entries, got {len(points)}"
        for point in points:
            if pack(point) is None and (not names or normal_domain(point) is None or point[:1] == "["):
                wanted = "domains and IP addresses" if names else "IP addresses"
                yield (key,), f"expected {wanted}, got {shown(point)}"
