"""A bounded memory of what was used last."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Two generations of a dictionary: cheaper than an exact order of use, and as well bounded.

    When the young generation is full it becomes the old one, and the old one is forgotten; what is used
    moves to the young one.

    Arguments:
        size: entries of one generation; at most twice as many are held.
    """

    __slots__ = ("_old", "_size", "_young")

    def __init__(self, size: int) -> None:
        self._size = max(1, size)
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K, default: V) -> V:
        """What was last put for ``key``, or ``default``."""
        found = self._young.get(key, default)
        if found is not default:
            return found
        found = self._old.get(key, default)
        if found is not default:
            self.put(key, found)
        return found

    def put(self, key: K, value: V) -> None:
        """Remember ``value`` for ``key``."""
        young = self._young
        if len(young) >= self._size and key not in young:
            self._old = young
            self._young = young = {}
        young[key] = value

    def drop(self, key: K) -> None:
        """Forget what was put for ``key``."""
        if key in self._young:
            del self._young[key]
        if key in self._old:
            del self._old[key]

    def clear(self) -> None:
        """Forget everything."""
        self._young = {}
        self._old = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
