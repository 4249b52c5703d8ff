"""``spamtraps``: dummy addresses; both daemons must agree on them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from mailbase.config.units import Duration, between
from mailbase.documents import FilledText, Listing, Section
from mailbase.documents.problems import shown
from mailbase.spamtraps import Spamtraps


def _pattern(value: str) -> str:
    try:
        Spamtraps([value])
    except ValueError as error:
        raise ValueError(f"{error}, got {shown(value)}") from error
    return value


class SpamtrapSettings(Section):
    addresses: Listing[Annotated[FilledText, AfterValidator(_pattern)]] = ()
    """Recipients that are spamtraps; see :class:`mailbase.spamtraps.Spamtraps`."""
    remember: Annotated[Duration, between("1h", "365d")] = 3 * 86400.0
    """Seconds that a client network's mail to a spamtrap, or with refused content, is held against it."""
