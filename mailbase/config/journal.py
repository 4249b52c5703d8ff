"""``policyd.journal``: what is kept of decisions, for ``policyd explain``."""

from __future__ import annotations

from typing import Annotated

from mailbase.config.places import FilePath
from mailbase.config.units import Size, between
from mailbase.documents import Count, Flag, Section


class JournalSettings(Section):
    enabled: Flag = True
    """Whether decisions are kept at all."""
    path: FilePath | None = None
    """The journal's file; None: ``journal.sqlite`` beside the store's."""
    rate: Annotated[Count, between(1, 100_000)] = 250
    """Decisions written per second, at most; what is beyond a burst is dropped and counted."""
    max_size: Annotated[Size, between("1MiB", "512GiB")] = 2 << 30
    """Octets; the oldest decisions make room for new ones."""
