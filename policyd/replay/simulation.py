"""Runs recorded requests through one world, or two, and compares what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from policyd.replay.comparison import Change, Comparison, answer_of
from policyd.replay.recording import Answer, Line, Recorded
from policyd.replay.world import World

Changed = Callable[[Recorded, Change, Answer, Answer], None]
"""Told of each decision that changed: the request, what kind of change, the answer before and after."""


def compare(
    lines: Iterable[Line],
    before: World | None,
    after: World,
    comparison: Comparison,
    *,
    warm_up: float = 0.0,
    changed: Changed = lambda recorded, change, before, after: None,
) -> None:
    """Decide ``lines`` again.

    Arguments:
        before: gives the answer that is compared with; None: the recording has it.
        after: gives the answer that is compared.
        comparison: counts.
        warm_up: seconds of the recording that are decided and not counted.
        changed: told of each change.
    """
    counts_from: float | None = None
    for line in lines:
        if type(line) is not Recorded:
            for world in (before, after):
                if world is not None:
                    world.take(line)
            continue
        if counts_from is None:
            counts_from = line.time + warm_up
        old = line.answer if before is None else answer_of(before.decide(line))
        new = answer_of(after.decide(line))
        if line.time < counts_from:
            continue
        change = comparison.note(line, old, new)
        if change is not None and old is not None:
            changed(line, change, old, new)
