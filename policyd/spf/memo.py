"""A bounded memory of SPF outcomes, so that a client's next mail for the same domain costs nothing."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeAlias

from policyd.spf.outcome import Outcome

MAX_OUTCOMES = 10_000
"""Some 400 octets each; what was used longest ago goes first."""
MAX_LIFETIME = 300.0
"""Seconds; an answer's time to live may be half over when it comes, so that an hour would be too much."""

Key: TypeAlias = tuple[bytes, str, str]
"""Address, domain, and what else it depends on: empty, or sender and HELO name."""


class Memo:
    """Arguments:
    size: outcomes that are kept.
    """

    def __init__(self, size: int = MAX_OUTCOMES) -> None:
        self._size = size
        self._outcomes: OrderedDict[Key, tuple[float, Outcome]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._outcomes)

    def get(self, address: bytes, domain: str, personal: str, now: float) -> Outcome | None:
        """The outcome, if it is still good.

        Arguments:
            personal: sender and HELO name, in one text.
            now: seconds.
        """
        return self._good((address, domain, ""), now) or self._good((address, domain, personal), now)

    def put(self, address: bytes, domain: str, personal: str, outcome: Outcome, now: float) -> None:
        """Keep an outcome, as long as the answers that it rests on are good; arguments as for :meth:`get`."""
        lifetime = min(outcome.ttl, MAX_LIFETIME)
        if lifetime <= 0:
            return
        key = (address, domain, personal if outcome.personal else "")
        self._outcomes[key] = (now + lifetime, outcome)
        self._outcomes.move_to_end(key)
        if len(self._outcomes) > self._size:
            self._outcomes.popitem(last=False)

    def _good(self, key: Key, now: float) -> Outcome | None:
        entry = self._outcomes.get(key)
        if entry is None:
            return None
        if entry[0] <= now:
            del self._outcomes[key]
            return None
        self._outcomes.move_to_end(key)
        return entry[1]
