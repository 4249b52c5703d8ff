"""Why a mail that leaves goes without a signature; labels in the metrics."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Reason: TypeAlias = Literal[
    "no-from",
    "several-from",
    "unclear-from",
    "foreign-from",
    "unknown-sender",
    "not-set-up",
    "unforeseeable",
]

REASONS: tuple[Reason, ...] = get_args(Reason)
"""No author; several; an address that programs read in different ways; one that is not of the sender's
registration; a sender of no registration; a domain whose records in DNS have not been seen; a message of
which nobody knows how it will arrive."""
