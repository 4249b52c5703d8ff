"""The one configuration file of both daemons: typed, checked, every mistake with its line."""

from mailbase.config.changes import changes
from mailbase.config.contentfilter import (
    ContentfilterSettings,
    ListenerSettings,
    QuarantineSettings,
    SpoolSettings,
    TimeoutSettings,
    WorkerSettings,
)
from mailbase.config.dns import DnsSettings
from mailbase.config.engines import ClamdSettings, CommandSettings
from mailbase.config.flows import FINDING_NAMES, OWN_FAULTS, FlowSettings, FlowsSettings
from mailbase.config.identity import IdentitySettings
from mailbase.config.loading import load, loads
from mailbase.config.places import Place, Systemd, Tcp, Unix, parse_place
from mailbase.config.policyd import GreylistSettings, PolicydSettings
from mailbase.config.privacy import LoggingSettings, PrivacySettings
from mailbase.config.settings import Settings
from mailbase.config.store import StoreSettings
from mailbase.documents import ConfigError, Problem

__all__ = [
    "FINDING_NAMES",
    "OWN_FAULTS",
    "ClamdSettings",
    "CommandSettings",
    "ConfigError",
    "ContentfilterSettings",
    "DnsSettings",
    "FlowSettings",
    "FlowsSettings",
    "GreylistSettings",
    "IdentitySettings",
    "ListenerSettings",
    "LoggingSettings",
    "Place",
    "PolicydSettings",
    "PrivacySettings",
    "Problem",
    "QuarantineSettings",
    "Settings",
    "SpoolSettings",
    "StoreSettings",
    "Systemd",
    "Tcp",
    "TimeoutSettings",
    "Unix",
    "WorkerSettings",
    "changes",
    "load",
    "loads",
    "parse_place",
]
