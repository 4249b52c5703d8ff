"""``statistics``: what the gateway learns from mail; both daemons must agree on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from mailbase.config.places import FilePath
from mailbase.config.units import Duration, between
from mailbase.documents import Count, Flag, Listing, Location, Section
from mailbase.points import Points
from mailbase.vocabulary import Flow


class AutomaticSettings(Section):
    """What is learned without anybody having looked at it."""

    spamtraps: Flag = True
    """Whether mail to spamtraps is learned as spam."""
    flows: Listing[Flow] = ()
    """Whose mail is learned where its total, without what statistics and bulk add to it, is extreme."""
    spam_at: Points = 12.0
    """Points from which mail is learned as spam."""
    ham_at: Points = -1.0
    """Points up to which it is learned as ham."""
    per_day: Annotated[Count, between(1, 100_000)] = 500
    """Mails of each kind in a day, at most; on several nodes each."""


class StatisticsSettings(Section):
    enabled: Flag = True
    """Whether there are statistics at all."""
    model: FilePath = Path("/var/lib/postwarden/statistics.model")
    """policyd writes it, contentfilter reads it; about 4 MiB."""
    mails: Annotated[Count, between(1_000, 100_000)] = 10_000
    """Mails that are remembered, half of them at most of each kind; beyond it the oldest are forgotten."""
    keep: Annotated[Duration, between("1d", "4000d")] = 365 * 86400.0
    """Seconds until a mail is forgotten."""
    bulk_keep: Annotated[Duration, between("1h", "30d")] = 3 * 86400.0
    """Seconds that a text is known since mail with nearly the same came last."""
    automatic: AutomaticSettings = AutomaticSettings()


def statistics_conflicts(statistics: StatisticsSettings) -> Iterator[tuple[Location, str]]:
    """What is wrong between the keys of ``statistics``, as (location, message)."""
    automatic = statistics.automatic
    if automatic.ham_at >= automatic.spam_at:
        yield (
            ("automatic", "ham_at"),
            f"expected less than spam_at ({automatic.spam_at:g}), got {automatic.ham_at:g}",
        )
