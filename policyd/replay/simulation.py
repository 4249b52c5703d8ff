"""Runs recorded requests through one world, or two, and compares what comes out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from policyd.replay.comparison import Change, Comparison, answer_of
from policyd.replay.past import Answer, Line, Recorded
from policyd.replay.world import World

Changed = Callable[[Recorded, Change, Answer, Answer], None]
"""Told of each decision that changed: the request, what kind of change, the answer before and after."""
Together = Callable[[Iterable[Awaitable[object]]], Awaitable[object]]
"""Waits for all of them."""

AT_ONCE = 200
"""Lines whose questions are under way together."""


@dataclass(slots=True)
class Simulation:
    """Arguments:
    before: gives the answer that is compared with; None: the recording has it.
    after: gives the answer that is compared.
    comparison: counts.
    warm_up: seconds of the recording that are decided and not counted.
    changed: told of each change.
    """

    before: World | None
    after: World
    comparison: Comparison
    warm_up: float = 0.0
    changed: Changed = lambda recorded, change, before, after: None
    _counts_from: float | None = None

    @property
    def worlds(self) -> tuple[World, ...]:
        """Those there are."""
        return (self.after,) if self.before is None else (self.before, self.after)

    def run(self, lines: Iterable[Line]) -> None:
        """Decide ``lines`` again."""
        for line in lines:
            if type(line) is not Recorded:
                self._take(line)
                continue
            old = line.answer if self.before is None else answer_of(self.before.decide(line))
            self._compare(line, old, answer_of(self.after.decide(line)))

    async def run_asking(self, lines: Iterable[Line], together: Together) -> None:
        """The same in worlds that ask DNS: for many requests at once, then one after another."""
        iterator = iter(lines)
        while batch := list(islice(iterator, AT_ONCE)):
            await together(list(self._questions(batch)))
            for line in batch:
                if type(line) is not Recorded:
                    self._take(line)
                    continue
                old = line.answer
                if self.before is not None:
                    old = answer_of(await self.before.decide_later(line))
                self._compare(line, old, answer_of(await self.after.decide_later(line)))

    def _questions(self, batch: list[Line]) -> Iterator[Awaitable[object]]:
        for line in batch:
            if type(line) is Recorded:
                for world in self.worlds:
                    if (asking := world.expect(line)) is not None:
                        yield asking

    def _take(self, line: Line) -> None:
        for world in self.worlds:
            world.take(line)

    def _compare(self, line: Recorded, old: Answer | None, new: Answer) -> None:
        if self._counts_from is None:
            self._counts_from = line.time + self.warm_up
        if line.time < self._counts_from:
            return
        change = self.comparison.note(line, old, new)
        if change is not None and old is not None:
            self.changed(line, change, old, new)
