"""The whole configuration file, and what must hold between its sections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, PrivateAttr

from mailbase.config.authentication import AuthenticationSettings
from mailbase.config.contentfilter import ContentfilterSettings
from mailbase.config.dns import DnsSettings
from mailbase.config.engines import engine_conflicts
from mailbase.config.flows import FlowsSettings, flow_conflicts
from mailbase.config.identity import IdentitySettings
from mailbase.config.lists import list_conflicts
from mailbase.config.outgoing import outgoing_conflicts
from mailbase.config.places import FilePath
from mailbase.config.points import points_conflicts
from mailbase.config.policyd import PolicydSettings
from mailbase.config.privacy import LoggingSettings, PrivacySettings
from mailbase.config.replies import reply_conflicts
from mailbase.config.spam_engines import spam_engine_conflicts
from mailbase.config.spamtraps import SpamtrapSettings
from mailbase.config.statistics import StatisticsSettings, statistics_conflicts
from mailbase.config.store import StoreSettings, store_conflicts
from mailbase.config.units import format_duration, format_size
from mailbase.config.url_lists import url_conflicts, url_facts
from mailbase.documents import Location, Section
from mailbase.documents.problems import dotted
from mailbase.registry.model import EMPTY, Registry
from mailbase.vocabulary import Flow


class Settings(Section):
    """Everything both daemons are told; immutable. ``Settings()`` is the built-in configuration."""

    identity: IdentitySettings = Field(default_factory=IdentitySettings)
    store: StoreSettings = StoreSettings()
    dns: DnsSettings = DnsSettings()
    registry_path: Annotated[FilePath | None, Field(alias="registry")] = None
    """The registry's file or folder; None: nothing is registered."""
    flows: FlowsSettings = Field(default_factory=FlowsSettings)
    authentication: AuthenticationSettings = AuthenticationSettings()
    spamtraps: SpamtrapSettings = SpamtrapSettings()
    statistics: StatisticsSettings = StatisticsSettings()
    policyd: PolicydSettings = PolicydSettings()
    contentfilter: ContentfilterSettings = ContentfilterSettings()
    privacy: PrivacySettings = PrivacySettings()
    logging: LoggingSettings = LoggingSettings()

    _registry: Registry = PrivateAttr(default_factory=lambda: EMPTY)

    @property
    def registry(self) -> Registry:
        """The loaded registry; empty where the file names none."""
        return self._registry

    def with_registry(self, registry: Registry) -> Settings:
        """These settings with another registry."""
        copy = self.model_copy()
        copy._registry = registry
        return copy


def conflicts(settings: Settings) -> Iterator[tuple[Location, str]]:
    """What is wrong between values that are right by themselves, as (location, message)."""
    for location, message in flow_conflicts(settings.flows):
        yield ("flows", *location), message
    facts = url_facts(settings.contentfilter.urls)
    for flow in Flow:
        for name, message in points_conflicts(settings.flows.of(flow).points, facts):
            yield ("flows", flow, "points", name), message
    for location, message in store_conflicts(settings.store):
        yield ("store", *location), message
    for location, message in statistics_conflicts(settings.statistics):
        yield ("statistics", *location), message
    policyd = settings.policyd
    for location, message in outgoing_conflicts(policyd.outgoing):
        yield ("policyd", "outgoing", *location), message
    yield from list_conflicts(policyd.lists, policyd.list_health, settings.flows)
    for location, message in reply_conflicts(policyd.replies, policyd.lists, settings.flows):
        yield ("policyd", "replies", *location), message
    greylist, content = policyd.greylist, settings.contentfilter
    if greylist.retry_window <= greylist.delay:
        yield (
            ("policyd", "greylist", "retry_window"),
            f"expected more than policyd.greylist.delay ({format_duration(greylist.delay)}), "
            f"got {format_duration(greylist.retry_window)}",
        )
    spf = settings.flows.inbound.checks.spf
    if greylist.sender_domains and (spf.shadow or not spf.enabled):
        yield (
            ("policyd", "greylist", "sender_domains"),
            "expected flows.inbound.checks.spf to be on and no shadow: only SPF tells who sends for a domain",
        )
    if policyd.spf.received_header and not any(settings.flows.of(flow).checks.spf.enabled for flow in Flow):
        yield (
            ("policyd", "spf", "received_header"),
            "expected spf to be on in a flow (flows.inbound.checks.spf): else there is nothing to say",
        )
    dns = settings.dns
    if dns.deadline < dns.timeout:
        yield (
            ("dns", "deadline"),
            f"expected at least dns.timeout ({format_duration(dns.timeout)}), "
            f"got {format_duration(dns.deadline)}",
        )
    limit = content.timeouts.reinject
    if content.spool.total < content.message_size_limit:
        yield (
            ("contentfilter", "spool", "total"),
            "expected at least contentfilter.message_size_limit "
            f"({format_size(content.message_size_limit)}), got {format_size(content.spool.total)}",
        )
    if content.workers.deadline > limit:
        yield (
            ("contentfilter", "workers", "deadline"),
            f"expected at most contentfilter.timeouts.reinject ({format_duration(limit)}), "
            f"got {format_duration(content.workers.deadline)}",
        )
    for location, message in engine_conflicts(content.clamd, content.command, limit):
        yield ("contentfilter", *location), message
    for location, message in url_conflicts(content.urls):
        yield ("contentfilter", "urls", *location), message
    if content.urls.lists and not content.analysis:
        yield (
            ("contentfilter", "urls", "lists"),
            "expected contentfilter.analysis to be on: else no link is read",
        )
    for location, message in spam_engine_conflicts(content.rspamd, content.spamassassin, limit):
        yield ("contentfilter", *location), message
    yield from _places(settings)


def _places(settings: Settings) -> Iterator[tuple[Location, str]]:
    content = settings.contentfilter
    listening: list[tuple[Location, str]] = [
        *((("policyd", "listen", i), place) for i, place in enumerate(settings.policyd.listen)),
        (("policyd", "socketmap"), settings.policyd.socketmap),
        (("policyd", "control"), "unix:" + settings.policyd.control),
        (("policyd", "metrics"), settings.policyd.metrics),
        *(
            (("contentfilter", "listeners", i, "listen"), item.listen)
            for i, item in enumerate(content.listeners)
        ),
        (("contentfilter", "control"), "unix:" + content.control),
        (("contentfilter", "metrics"), content.metrics),
    ]
    taken: dict[str, Location] = {}
    for location, place in listening:
        if place in taken and place and not place.endswith(":0"):
            yield location, f"{place} is already taken by {dotted(taken[place])}"
        taken.setdefault(place, location)
    for i, item in enumerate(content.listeners):
        if item.reinject in taken:
            yield (
                ("contentfilter", "listeners", i, "reinject"),
                f"{item.reinject} is our own {dotted(taken[item.reinject])}; expected Postfix's address",
            )
