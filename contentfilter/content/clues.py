"""A clue: a fact about a mail that speaks for spam, or against it. Pure.

A scanner's :class:`mailbase.vocabulary.Finding` says what a mail holds and leads to an action; a clue leads
to points, and only the total of all points leads to anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_CLUES = 200
"""Clues of one mail."""
MAX_DETAIL = 200
"""Characters of a detail."""
MAX_POINTS = 1000.0
"""What one clue may state, either way."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}\.[a-z0-9][a-z0-9-]{0,59}")


@dataclass(frozen=True, slots=True)
class Clue:
    """Arguments:
    name: ``source.fact`` in the field's terms, ``rule.forged-mailer``, ``dkim.fail``.
    detail: what was seen, for people; from outside, so it is never taken for more than text.
    points: what it is worth, where only its source can say so (a probability, another filter's score); None
        for what configuration or rule file says.
    shadow: counted and told, but worth nothing.
    finding: name of a finding that says the same and may lead to an action by itself; never from a worker.
    """

    name: str
    detail: str = ""
    points: float | None = None
    shadow: bool = False
    finding: str = ""

    @property
    def source(self) -> str:
        """Who states it: ``rule``, ``url``, ``statistics``."""
        return self.name.partition(".")[0]


def is_clue(name: str) -> bool:
    """Whether ``name`` is formed as the name of a clue."""
    return _NAME.fullmatch(name) is not None
