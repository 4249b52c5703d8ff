"""The part of a name that somebody registered (``example.co.uk`` of ``mail.example.co.uk``)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

REMEMBERED = 2000
"""Names whose registrable domain is remembered."""

Registrable = Callable[[str], str | None]
"""The registrable domain of a normalised name; None for what is a public suffix itself."""


@cache
def registrable_domains() -> Registrable:
    """Knows the Public Suffix List; reading it takes 0.1 s, the first time."""
    from publicsuffixlist import PublicSuffixList

    suffixes = PublicSuffixList()

    @lru_cache(maxsize=REMEMBERED)
    def registrable(name: str) -> str | None:
        found = suffixes.privatesuffix(name)
        return found if isinstance(found, str) else None

    return registrable
