"""Answers that follow from their question alone, remembered for the hot path."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(dict[K, V]):
    """A dictionary that finds what it does not have yet.

    Like :func:`functools.lru_cache`, at a third of the price where the question is no text: that one makes a
    key and keeps an order. For few different questions; when it is full, it forgets them all.

    Arguments:
        find: answers a question.
        size: answers held at most.
    """

    __slots__ = ("_find", "_size")

    def __init__(self, find: Callable[[K], V], size: int) -> None:
        super().__init__()
        self._find = find
        self._size = size

    def __missing__(self, question: K) -> V:
        if len(self) >= self._size:
            self.clear()
        answer = self[question] = self._find(question)
        return answer
