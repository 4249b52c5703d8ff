"""``flows.FLOW.limits``: how much may come from whom, or go where, in what time."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from mailbase.config.units import Duration, Size, between
from mailbase.documents import Flag, Section
from mailbase.documents.problems import Location, shown
from mailbase.vocabulary import Flow

MAX_LIMITS = 50
"""In one flow: each has a label in the metrics, and each mail asks after all of them."""
MAX_UNITS = 1 << 50


class Per(enum.StrEnum):
    """Whose use is counted together."""

    CLIENT = "client"
    """One client address."""
    NETWORK = "network"
    """One client network, as wide as for greylisting."""
    USER = "user"
    """One SASL login name."""
    SENDER_DOMAIN = "sender_domain"
    """The domain of the envelope sender; the null sender's mail is not counted."""
    SYSTEM = "system"
    """One registered system, as it is written in the registry: an address, a network, a host name."""
    RECIPIENT_DOMAIN = "recipient_domain"
    """The domain of a recipient."""

    __hash__ = str.__hash__


class Of(enum.StrEnum):
    """What is counted."""

    MESSAGES = "messages"
    RECIPIENTS = "recipients"
    BYTES = "bytes"
    CONNECTIONS = "connections"

    __hash__ = str.__hash__


_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_PERCENT = re.compile(r"([0-9]{1,3}) ?%")
_FLOWS_WITH = {
    Per.USER: frozenset({Flow.SUBMISSION}),
    Per.SYSTEM: frozenset({Flow.SUBMISSION, Flow.OUTBOUND}),
}
_OF_CONNECTIONS = frozenset({Per.CLIENT, Per.NETWORK, Per.USER, Per.SYSTEM})


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"expected a name of lower case letters, digits, - and _, at most 40, got {shown(name)}"
        )
    return name


def _few(limits: dict[str, Any]) -> dict[str, Any]:
    if len(limits) > MAX_LIMITS:
        raise ValueError(f"expected at most {MAX_LIMITS} limits in a flow, got {len(limits)}")
    return limits


def _share(value: Any) -> Any:
    if value is None or (isinstance(value, float) and 0 < value < 1):
        return value
    found = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found and 0 < int(found[1]) < 100:
        return int(found[1]) / 100
    raise ValueError(f"expected a share such as 80%, 1% to 99%, or null, got {shown(value)}")


Units = Annotated[Size, between(1, MAX_UNITS)]


class LimitSettings(Section):
    """One limit of one flow."""

    per: Per
    """Whose use is counted together."""
    of: Of
    """What is counted."""
    limit: Units
    """So much may be used ``within`` the time, on the average."""
    within: Annotated[Duration, between("1s", "30d")]
    """Seconds."""
    burst: Units | None = None
    """So much may be used at once; None: the whole limit."""
    warn_at: Annotated[float | None, BeforeValidator(_share)] = 0.8
    """Share of what may be used at once from which on the log warns; None: never."""
    action: Literal["defer", "reject"] = "defer"
    """What is done with mail beyond it."""
    shadow: Flag = False
    """Counted and logged, not acted on."""

    @property
    def capacity(self) -> int:
        """Units that may be used at once."""
        return self.limit if self.burst is None else self.burst


LimitsTable = Annotated[
    dict[Annotated[str, AfterValidator(_name)], LimitSettings],
    BeforeValidator(lambda value: {} if value is None else value),
    AfterValidator(_few),
]


def limit_conflicts(flow: Flow, limits: Mapping[str, LimitSettings]) -> Iterator[tuple[Location, str]]:
    """What the limits of a flow must not say, as (location within the flow, message)."""
    if flow is Flow.UPSTREAM and limits:
        yield (
            ("limits",),
            "expected none: an upstream relay brings everybody's mail, and would have to bounce it",
        )
        return
    for name, limit in limits.items():
        flows = _FLOWS_WITH.get(limit.per)
        if flows is not None and flow not in flows:
            there = " or ".join(sorted(flows))
            yield ("limits", name, "per"), f"expected another: a {limit.per} is known in {there} only"
        if limit.of is Of.CONNECTIONS and limit.per not in _OF_CONNECTIONS:
            known = ", ".join(sorted(_OF_CONNECTIONS))
            yield (
                ("limits", name, "of"),
                f"expected another: connections can be counted per {known}; one of them carries any mail",
            )
