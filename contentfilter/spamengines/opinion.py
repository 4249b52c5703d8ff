"""What a spam engine thinks of a mail, whichever it is. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from contentfilter.content.clues import MAX_DETAIL
from contentfilter.spamengines.question import Nonsense

MAX_SCORE = 10_000.0
"""A score beyond it is taken for it."""
MAX_SYMBOLS = 10
"""Symbols that are told of."""
MAX_NAME = 60
"""Characters of a symbol's name."""

_SYMBOL = re.compile(r"[A-Za-z0-9_.:-]+")


@dataclass(frozen=True, slots=True)
class Symbol:
    """A rule of the engine that fits the mail.

    Arguments:
        name: as the engine has it.
        score: what it adds; None where the engine does not tell.
    """

    name: str
    score: float | None = None

    def __str__(self) -> str:
        return self.name if self.score is None else f"{self.name} {self.score:g}"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What an engine thinks.

    Arguments:
        score: the engine's own.
        threshold: from which on the engine takes a mail for spam; None where it does not tell.
        symbols: what it rests on: those that weigh most first, at most ``MAX_SYMBOLS``.
        more: how many others there are.
        action: what the engine would do; told, not obeyed.
        skipped: whether it did not look at the mail.
    """

    score: float
    threshold: float | None = None
    symbols: tuple[Symbol, ...] = ()
    more: int = 0
    action: str = ""
    skipped: bool = False

    def __str__(self) -> str:
        """In a line of at most ``MAX_DETAIL`` characters of printable ASCII."""
        if self.skipped:
            return "not looked at"
        text = f"{self.score:g}"
        if self.threshold is not None:
            text += f" of {self.threshold:g}"
        if self.action:
            text += f", {self.action}"
        left = list(self.symbols)
        while True:
            hidden = self.more + len(self.symbols) - len(left)
            shown = [*map(str, left), *([f"{hidden} more"] if hidden else [])]
            line = f"{text}: {', '.join(shown)}" if shown else text
            if len(line) <= MAX_DETAIL or not left:
                return line
            left.pop()


def number(value: object) -> float:
    """``value`` as a score.

    Raises:
        Nonsense: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Nonsense(f"a score that is no number but {type(value).__name__}")
    if math.isnan(value):
        raise Nonsense("a score that is no number")
    return float(max(-MAX_SCORE, min(MAX_SCORE, value)))


def heaviest(symbols: Iterable[Symbol]) -> tuple[tuple[Symbol, ...], int]:
    """The symbols that weigh most, and how many others there are. What is no name of a symbol is left out."""
    named = [
        Symbol(symbol.name[:MAX_NAME], symbol.score) for symbol in symbols if _SYMBOL.fullmatch(symbol.name)
    ]
    named.sort(key=lambda symbol: (-abs(symbol.score or 0.0), symbol.name))
    return tuple(named[:MAX_SYMBOLS]), max(0, len(named) - MAX_SYMBOLS)
