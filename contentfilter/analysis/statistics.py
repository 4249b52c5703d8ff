"""What the model of :mod:`mailbase.statistics` says of a mail."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.analysis.analyser import Analysis
from contentfilter.content.clues import Clue
from contentfilter.letter import Letter
from contentfilter.statistics.digest import fuzzy_digest
from contentfilter.statistics.tokens import slots_of

LEAST = 0.05
"""Points, either way, below which nothing is said."""


class Statistics:
    """States ``statistics.spam`` or ``statistics.ham``; tells the digest by which bulk is counted."""

    name = "statistics"

    def analyse(self, letter: Letter, analysis: Analysis) -> Iterator[Clue]:
        """See :class:`contentfilter.analysis.Analyser`."""
        model = analysis.knowledge.model
        counted = analysis.knowledge.bulk and analysis.task.get("bulk") is not False
        if counted and (keys := fuzzy_digest(text.shown for text in letter.texts)):
            analysis.traits["bulk"] = keys
        description = model.describe() if model is not None else None
        if model is None or description is None or not description.knots:
            return
        slots = slots_of(letter)
        found = model.score(slots) if slots else None
        if found is None:
            return
        score, description = found
        points = round(description.points(score), 2)
        if abs(points) >= LEAST:
            name = "statistics.spam" if points > 0 else "statistics.ham"
            yield Clue(name, f"{score:.2f} by {description.spam + description.ham} mails", points)
