"""Which lists are asked at this moment: all that the checks know of them."""

from __future__ import annotations

from collections.abc import Iterable

from mailbase.config.lists import ListKind
from mailbase.lists.health import Health, State
from mailbase.lists.model import DnsList


class Watched:
    """A list, its health, and its counters.

    Arguments:
        definition: what the configuration says.
        health: changes with time.
    """

    __slots__ = ("definition", "health", "hits", "lookups")

    def __init__(self, definition: DnsList, health: Health) -> None:
        self.definition = definition
        self.health = health
        self.lookups = 0
        """Questions for mails, answers out of memory included."""
        self.hits = 0
        """Answers that list something."""


class Roster:
    """The lists that are asked, by kind; empty until it is told.

    Arguments:
        kinds: that there are.
    """

    def __init__(self, kinds: Iterable[str] = tuple(ListKind)) -> None:
        self.asked: dict[str, tuple[Watched, ...]] = dict.fromkeys(kinds, ())

    def select(self, watched: Iterable[Watched]) -> None:
        """Ask those of ``watched`` that are on, in their order, and no others."""
        there = [one for one in watched if one.health.state is State.ON]
        self.asked = {kind: tuple(one for one in there if one.definition.kind == kind) for kind in self.asked}
