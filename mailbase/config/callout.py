"""Callouts: asking a registered server whether it knows a recipient."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from mailbase.addresses import pack
from mailbase.config.places import Tcp, parse_place
from mailbase.config.units import Duration, between, format_duration
from mailbase.documents import Count, Flag, Section, Table, Text
from mailbase.documents.problems import shown
from mailbase.registry.file import HostName

MAX_POSITIVE = 15 * 60.0
"""Seconds: an account that is closed stops receiving within this, whatever the configuration."""


class Unavailable(enum.StrEnum):
    """What is done while a server cannot say whether it knows a recipient."""

    DEFER = "defer"
    ACCEPT = "accept"


def _switch(value: Any) -> Any:
    """``callout: true`` for ``callout: {enabled: true}``; to name anything else is to want it."""
    if isinstance(value, bool):
        return {"enabled": value}
    if isinstance(value, Mapping):
        return {"enabled": True, **value}
    return value


class FlowCalloutSettings(Section):
    """The recipient check in one flow."""

    enabled: Flag = False
    """Whether recipients are called out; a domain's registration may say otherwise."""
    shadow: Flag = False
    """Counted and logged, not acted on."""
    unavailable: Unavailable = Unavailable.DEFER
    """What becomes of mail while the server cannot say."""


FlowCallout = Annotated[FlowCalloutSettings, BeforeValidator(_switch)]


def _positive(value: float) -> float:
    if value <= MAX_POSITIVE:
        return value
    raise ValueError(
        "expected at most 15m, so that an account that is closed stops receiving; "
        f"got {format_duration(value)}"
    )


def _endpoint(value: str) -> str:
    place = parse_place(value)
    if not isinstance(place, Tcp) or pack(place.host) is None or not place.port:
        raise ValueError(f"expected an IP address and port such as 127.0.0.2:2525, got {shown(value)}")
    return value


class CalloutSettings(Section):
    """Terms of all callouts."""

    positive: Annotated[Duration, AfterValidator(_positive), between("0s", "15m")] = MAX_POSITIVE
    """Seconds that a known recipient is known."""
    negative: Annotated[Duration, between("0s", "1d")] = 600.0
    """Seconds that an unknown recipient is unknown."""
    temporary: Annotated[Duration, between("0s", "10m")] = 30.0
    """Seconds until a server that could not say is asked again for the same recipient."""
    connect_timeout: Annotated[Duration, between("100ms", "60s")] = 4.0
    """Seconds until one of a server's addresses is passed over for the next one."""
    deadline: Annotated[Duration, between("1s", "5m")] = 30.0
    """Seconds of one callout in all, waiting and the backup server included."""
    concurrency: Annotated[Count, between(1, 1000)] = 5
    """Connections to one server at one time."""
    backlog: Annotated[Count, between(0, 10_000)] = 50
    """Callouts that may wait for one server."""
    failures: Annotated[Count, between(1, 1000)] = 5
    """Failures in a row within ``failure_time`` after which a server counts as down."""
    failure_time: Annotated[Duration, between("1s", "1h")] = 60.0
    """Seconds, see ``failures``."""
    pause: Annotated[Duration, between("1s", "1h")] = 30.0
    """Seconds until a server that is down is tried again."""
    catch_all: Flag = True
    """Whether a made-up address tells servers that accept everything."""
    client_budget: Annotated[Count, between(1, 1_000_000)] = 20
    """Callouts for unknown recipients that a client's network may cause in a minute."""
    server_budget: Annotated[Count, between(1, 1_000_000)] = 600
    """Callouts to one server in a minute."""
    test_targets: Table[HostName, Annotated[Text, AfterValidator(_endpoint)]] = {}
    """For tests alone: server → address and port that is called instead, loopback too."""
