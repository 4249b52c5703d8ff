"""What is counted of the maps."""

from __future__ import annotations

from policyd.socketmap.maps import MAPS
from policyd.socketmap.protocol import REASONS, Result

OTHER = "other"
"""Stands for every map that there is not."""


class Counts:
    """Plain counters, from zero.

    Attributes:
        lookups: by map and result.
        errors: connections closed for what is no netstring, by reason.
    """

    def __init__(self) -> None:
        self.lookups = {(name, result): 0 for name in (*MAPS, OTHER) for result in Result}
        self.errors = dict.fromkeys(REASONS, 0)
