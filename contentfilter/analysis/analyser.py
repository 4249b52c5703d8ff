"""An analyser, and what becomes of one that fails."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from contentfilter.analysis.knowledge import Knowledge
from contentfilter.content.clues import MAX_CLUES, Clue
from contentfilter.letter import Letter

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Analysis:
    """What analysers share while they read one letter.

    Arguments:
        knowledge: what the daemon gave at the worker's start.
        task: what it gave with this mail, as JSON types.
        findings: names of what the scanners found in it.
        traits: what is learned, by the names of the fields of :class:`contentfilter.content.traits.Traits`.
    """

    knowledge: Knowledge
    task: Mapping[str, Any] = field(default_factory=dict)
    findings: frozenset[str] = frozenset()
    traits: dict[str, Any] = field(default_factory=dict)


class Analyser(Protocol):
    """Reads a letter and states clues; knows no points and no policy."""

    name: str

    def analyse(self, letter: Letter, analysis: Analysis) -> Iterator[Clue]:
        """What speaks for spam in ``letter``, or against it."""
        ...


def analyse(letter: Letter, analysis: Analysis, analysers: Iterable[Analyser]) -> tuple[Clue, ...]:
    """All clues, each name once. An analyser that fails adds ``analysis.failed``, and the others go on."""
    clues: dict[str, Clue] = {}
    for analyser in analysers:
        try:
            for clue in analyser.analyse(letter, analysis):
                clues.setdefault(clue.name, clue)
                if len(clues) >= MAX_CLUES:
                    return tuple(clues.values())
        except Exception as error:  # noqa: BLE001 - hostile input meets many readers; the mail is scanned all the same
            _log.warning("analyser %s failed", analyser.name, exc_info=True)
            clues.setdefault(FAILED, Clue(FAILED, f"{analyser.name}: {type(error).__name__}"))
    return tuple(clues.values())


FAILED = "analysis.failed"
"""The clue of an analyser that failed; worth nothing."""
