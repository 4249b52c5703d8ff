"""``contentfilter.rspamd`` and ``contentfilter.spamassassin``: spam engines, asked beside our own scan."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from mailbase.config.engines import few
from mailbase.config.places import ConnectPlace
from mailbase.config.units import Duration, Size, between, format_duration
from mailbase.documents import Count, FilledListing, Location, Section, Text
from mailbase.documents.problems import shown
from mailbase.points import Points
from mailbase.vocabulary import Flow

MAX_FACTOR = 10.0
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+=-]{0,127}|")


def _factor(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MAX_FACTOR:
        return float(value)
    raise ValueError(f"expected a factor: a number above 0, up to {MAX_FACTOR:g}, got {shown(value)}")


def _user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise ValueError(f"expected a user's name such as filter or filter@example.org, got {shown(text)}")
    return text


Factor = Annotated[float, BeforeValidator(_factor)]


class RspamdSettings(Section):
    addresses: Annotated[FilledListing[ConnectPlace], AfterValidator(few)] = ("127.0.0.1:11333",)
    """Where its normal workers listen; mail goes to the one with the least to do, the first of equals."""
    timeout: Annotated[Duration, between("1s", "10m")] = 10.0
    """Seconds for one message, waiting included."""
    max_size: Annotated[Size, between("1KiB", "4GiB")] = 2 << 20
    """Octets of the largest message that it is asked about."""
    at_once: Annotated[Count, between(1, 1000)] = 50
    """Messages at once at each address."""
    wait: Annotated[Duration, between("0s", "5m")] = 5.0
    """Seconds that messages wait for an Rspamd to come back, from when the last one went."""
    factor: Factor = 0.5
    """Points for each point of its score."""
    at_most: Points = 8.0
    """Points that it can add."""
    at_least: Points = -2.0
    """Points that it can take away, as a negative number."""
    flows: FilledListing[Flow] = tuple(Flow)
    """Whose mail it is asked about."""


class SpamassassinSettings(Section):
    addresses: Annotated[FilledListing[ConnectPlace], AfterValidator(few)] = ("127.0.0.1:783",)
    """Where spamd listens; mail goes to the one with the least to do, the first of equals."""
    timeout: Annotated[Duration, between("1s", "10m")] = 20.0
    """Seconds for one message, waiting included."""
    max_size: Annotated[Size, between("1KiB", "4GiB")] = 512 << 10
    """Octets of the largest message that it is asked about."""
    at_once: Annotated[Count, between(1, 1000)] = 5
    """Messages at once at each address (its ``--max-children``)."""
    wait: Annotated[Duration, between("0s", "5m")] = 5.0
    """Seconds that messages wait for a spamd to come back, from when the last one went."""
    factor: Factor = 0.7
    """Points for each point of its score."""
    at_most: Points = 8.0
    """Points that it can add."""
    at_least: Points = -2.0
    """Points that it can take away, as a negative number."""
    flows: FilledListing[Flow] = tuple(Flow)
    """Whose mail it is asked about."""
    user: Annotated[Text, AfterValidator(_user)] = ""
    """Whose preferences count; empty: those of the user that spamd runs as."""


def spam_engine_conflicts(
    rspamd: RspamdSettings | None, spamassassin: SpamassassinSettings | None, limit: float
) -> Iterator[tuple[Location, str]]:
    """What must not be said of the engines, as (location within ``contentfilter``, message).

    Arguments:
        limit: ``contentfilter.timeouts.reinject``.
    """
    for name, engine in (("rspamd", rspamd), ("spamassassin", spamassassin)):
        if engine is None:
            continue
        if engine.timeout > limit:
            yield (
                (name, "timeout"),
                f"expected at most contentfilter.timeouts.reinject ({format_duration(limit)}), "
                f"got {format_duration(engine.timeout)}",
            )
        if engine.at_least > 0:
            yield (name, "at_least"), f"expected 0 or less, got {engine.at_least:g}"
        if engine.at_most < 0:
            yield (name, "at_most"), f"expected 0 or more, got {engine.at_most:g}"
