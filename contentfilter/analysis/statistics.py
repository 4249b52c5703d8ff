"""What the model of :mod:`mailbase.statistics` says of a mail."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.analysis.analyser import Analysis
from contentfilter.clues import Clue
from contentfilter.letter import Letter
from contentfilter.statistics.digest import fuzzy_digest
from contentfilter.statistics.tokens import slots_of
from mailbase.statistics.lesson import encode_lesson, pack

LEAST = 0.05
"""Points, either way, below which nothing is said."""


class Statistics:
    """States ``statistics.spam`` or ``statistics.ham``; tells the mail's lesson, if somebody wants it."""

    name = "statistics"

    def analyse(self, letter: Letter, analysis: Analysis) -> Iterator[Clue]:
        """See :class:`contentfilter.analysis.Analyser`."""
        model, lessons = analysis.knowledge.model, analysis.knowledge.lessons
        description = model.describe() if model is not None else None
        asked = description is not None and bool(description.knots)
        if not asked and not lessons:
            return
        slots = slots_of(letter)
        if not slots:
            return
        if lessons:
            analysis.traits["lesson"] = encode_lesson(pack(slots))
            if keys := fuzzy_digest(text.shown for text in letter.texts):
                analysis.traits["bulk"] = keys
        found = model.score(slots) if asked and model is not None else None
        if found is None:
            return
        score, description = found
        points = round(description.points(score), 2)
        if abs(points) >= LEAST:
            name = "statistics.spam" if points > 0 else "statistics.ham"
            yield Clue(name, f"{score:.2f} by {description.spam + description.ham} mails", points)
