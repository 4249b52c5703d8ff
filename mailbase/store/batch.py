"""What a table hands to the writer: rows, and what changes in rows that it may not know whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from mailbase.store.tables import Row

Amendment: TypeAlias = Row
"""New values of :attr:`~mailbase.store.tables.TableSpec.amended`, in their order, and ``expires``."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Arguments:
    rows: to be inserted or replaced by key; None: to be deleted.
    amendments: to rows that are there, by key; none of a key in ``rows``.
    """

    rows: Mapping[bytes, Row | None] = field(default_factory=dict)
    amendments: Mapping[bytes, Amendment] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows) + len(self.amendments)
