"""Domains that stand in very much honest mail; the list is ``contentfilter/data/common_domains``."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

LEAST_BRAND = 5
"""Letters of a name that is well known enough to be imitated; shorter ones are words of their own."""


@lru_cache(maxsize=1)
def common_domains() -> frozenset[str]:
    """Registrable domains, lower case."""
    text = resources.files("contentfilter").joinpath("data", "common_domains").read_text("utf-8")
    lines = (line.strip() for line in text.split("\n"))
    return frozenset(line for line in lines if line and not line.startswith("#"))


@lru_cache(maxsize=1)
def well_known_names() -> frozenset[str]:
    """First labels of these domains, as far as they are long enough: ``paypal``, ``amazon``."""
    labels = (domain.partition(".")[0] for domain in common_domains())
    return frozenset(label for label in labels if len(label) >= LEAST_BRAND)
