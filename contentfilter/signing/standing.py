"""Which key a domain signs with, by what has been seen of its records in DNS. Pure: no clock, no resolver.

A key counts for a domain once its record has been seen there for a while (``settle``), and until two looks in
a row say that it is gone. What cannot be asked changes nothing. Each domain stands for itself.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contentfilter.signing.public import Algorithm, PublicKey

VERSION = 1
MISSES = 2
"""Looks in a row that must say no before a key is given up."""


class Sight(enum.Enum):
    """What a look at a record came to."""

    SEEN = "seen"
    """It is there, and has our key."""
    ABSENT = "absent"
    """It is not, or has another."""
    UNKNOWN = "unknown"
    """Nobody could tell."""


@dataclass(slots=True)
class Standing:
    """One key of one domain.

    Arguments:
        since: seconds since the epoch of the first look that saw it, without a gap since then.
        misses: looks in a row that did not.
        told: whether it was usable when last asked; None: not asked yet.
    """

    since: float
    misses: int = 0
    told: bool | None = None


class Standings:
    """What has been seen of all domains.

    Arguments:
        settle: seconds for which a record must have been there before its key is used: others may remember
            what was there before.
    """

    def __init__(self, settle: float) -> None:
        self.settle = settle
        self._seen: dict[str, dict[str, Standing]] = {}
        """By domain and key; a domain without keys has been looked at."""
        self._used: dict[str, float] = {}

    def note(
        self, domain: str, sights: Iterable[tuple[PublicKey, Sight]], now: float
    ) -> list[tuple[PublicKey, bool]]:
        """Take note of a look at a domain.

        Returns:
            The keys that it can sign with from now on (True), or no longer.
        """
        definite = [(key, sight) for key, sight in sights if sight is not Sight.UNKNOWN]
        # What the first look finds has been there for nobody knows how long, if not longer than its key.
        first = domain not in self._seen
        keys = self._seen.setdefault(domain, {}) if definite else {}
        changes = []
        for key, sight in definite:
            standing = keys.get(key.name)
            if sight is Sight.ABSENT:
                if standing is not None and self._missed(keys, key, standing):
                    changes.append((key, False))
                continue
            if standing is None:
                standing = keys[key.name] = Standing(min(key.made, now) if first else now, told=False)
            standing.misses = 0
            usable = now - standing.since >= self.settle
            if usable and standing.told is False:
                changes.append((key, True))
            standing.told = usable
        return changes

    def _missed(self, keys: dict[str, Standing], key: PublicKey, standing: Standing) -> bool:
        standing.misses += 1
        if standing.misses < MISSES:
            return False
        del keys[key.name]
        return standing.told is not False

    def since(self, domain: str, key: PublicKey) -> float | None:
        """Since when the key's record stands for the domain; None if it does not."""
        standing = self._seen.get(domain, {}).get(key.name)
        return None if standing is None else standing.since

    def usable(self, domain: str, key: PublicKey, now: float) -> bool:
        """Whether the domain may sign with the key."""
        since = self.since(domain, key)
        return since is not None and now - since >= self.settle

    def choose(self, domain: str, keys: Sequence[PublicKey], now: float) -> tuple[PublicKey, ...]:
        """The keys to sign with: of each algorithm the first that the domain may use.

        Arguments:
            keys: as :func:`contentfilter.signing.keys.public_keys` gives them.
        """
        chosen: dict[Algorithm, PublicKey] = {}
        for key in keys:
            if key.algorithm not in chosen and self.usable(domain, key, now):
                chosen[key.algorithm] = key
        return tuple(chosen.values())

    def used(self, keys: Iterable[PublicKey], now: float) -> None:
        """A mail was signed with these."""
        for key in keys:
            self._used[key.name] = now

    def last_used(self, key: PublicKey) -> float | None:
        """When a mail was last signed with the key."""
        return self._used.get(key.name)

    def keep(self, domains: Collection[str], keys: Iterable[PublicKey]) -> None:
        """Forget all other domains and keys."""
        names = {key.name for key in keys}
        self._seen = {
            domain: {name: standing for name, standing in standings.items() if name in names}
            for domain, standings in self._seen.items()
            if domain in domains
        }
        self._used = {name: at for name, at in self._used.items() if name in names}

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "version": VERSION,
            "seen": {
                domain: {name: standing.since for name, standing in standings.items()}
                for domain, standings in self._seen.items()
            },
            "used": dict(self._used),
        }

    @classmethod
    def from_dict(cls, data: Any, settle: float) -> Standings:
        """The reverse.

        Raises:
            ValueError: not what :meth:`to_dict` made.
        """
        if not isinstance(data, Mapping) or data.get("version") != VERSION:
            raise ValueError("not of a version that is known here")
        made = cls(settle)
        for domain, standings in _table(data.get("seen")).items():
            made._seen[domain] = {name: Standing(_time(since)) for name, since in _table(standings).items()}
        made._used = {name: _time(at) for name, at in _table(data.get("used")).items()}
        return made


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("no table of what was seen")
    return value


def _time(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e12:
        raise ValueError("no time")
    return float(value)
