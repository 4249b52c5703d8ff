"""The rules as an analyser: a clue ``rule.NAME`` for each that fires."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.analysis.analyser import Analysis
from contentfilter.content.clues import Clue
from contentfilter.letter import Letter
from contentfilter.rules.reading import Reading


class Rules:
    """States ``rule.*``, each with the points that its file gives it."""

    name = "rules"

    def analyse(self, letter: Letter, analysis: Analysis) -> Iterator[Clue]:
        """See :class:`contentfilter.analysis.Analyser`."""
        matcher = analysis.knowledge.rules
        if matcher is None:
            return
        for hit in matcher.hits(Reading(letter)):
            yield Clue(f"rule.{hit.ruling.name}", hit.detail, hit.ruling.points, hit.ruling.shadow)
