"""``authentication``: in whose name results are told, whose word is taken; and what a flow does about it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from mailbase.addresses import normal_domain
from mailbase.documents import Listing, Section, Text
from mailbase.documents.problems import shown
from mailbase.vocabulary import Action, Flow

AUTHENTICATION_POINTS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "dkim": MappingProxyType(
            {
                "pass": 0.0,
                "none": 0.3,
                "fail": 0.5,
                "policy": 0.5,
                "permerror": 0.5,
                "neutral": 0.0,
                "temperror": 0.0,
                "partial": 1.0,
                "short-key": 0.0,
            }
        ),
        "dmarc": MappingProxyType(
            {
                "pass": 0.0,
                "none": 0.0,
                "fail": 0.5,
                "quarantine": 2.0,
                "reject": 3.0,
                "forwarded": 0.0,
                "unjudged": 0.0,
                "permerror": 1.0,
                "temperror": 0.0,
            }
        ),
        "arc": MappingProxyType({"pass": 0.0, "fail": 0.5, "temperror": 0.0}),
        "auth": MappingProxyType({"several-from": 2.0, "several-authors": 0.5, "foreign-results": 1.5}),
    }
)
"""Source → fact → built-in points; docs/authentication.md says what each means."""


class Enforcement(enum.StrEnum):
    """What is done about a mail that nobody vouches for."""

    OFF = "off"
    """Nothing is looked up, verified or told."""
    POINTS = "points"
    """It gets points, like everything else that speaks against a mail."""
    POLICY = "policy"
    """And what its author's domain asks for (DMARC) is done."""


def _named(value: Any) -> Any:
    # YAML reads a bare off as false.
    return Enforcement.OFF if value is False else value


EnforcementChoice = Annotated[Enforcement, BeforeValidator(_named)]


def default_enforcement(flow: Flow) -> Enforcement:
    """Mail of our own people is authenticated by how it comes in."""
    return Enforcement.POINTS if flow in (Flow.INBOUND, Flow.UPSTREAM) else Enforcement.OFF


def policy_actions(flow: Flow) -> dict[str, Action]:
    """What is done for whose author's domain asks for it, under ``policy``."""
    return {
        "dmarc-reject": Action.QUARANTINE if flow is Flow.UPSTREAM else Action.REJECT,
        "dmarc-quarantine": Action.TAG,
    }


def _server_name(value: str) -> str:
    name = normal_domain(value) if value else ""
    if name is None or name.startswith("["):
        raise ValueError(f"expected a name such as mx.example.org, got {shown(value)}")
    return name


def _sealer(value: str) -> str:
    name = normal_domain(value)
    if name is None or "." not in name or name.startswith("["):
        raise ValueError(f"expected a domain such as lists.example.org, got {shown(value)}")
    return name


class AuthenticationSettings(Section):
    authserv_id: Annotated[Text, AfterValidator(_server_name)] = ""
    """Our name in Authentication-Results; empty: ``identity.hostname``."""
    trusted_sealers: Listing[Annotated[Text, AfterValidator(_sealer)]] = ()
    """Domains, with all below them, of forwarders and mailing lists whose ARC seal counts."""
