"""What is wrong with a file, for the person who has to mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

Location: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys and list positions, from the top of the file."""

MAX_PROBLEMS = 1000
"""Problems that are collected in one file before the rest is left out."""
MAX_SOURCE = 400
"""Characters of a file's name that are shown."""
MAX_PRINTED = 50
"""Problems that the text of an error shows; ``ConfigError.problems`` holds them all."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake.

    Arguments:
        source: the file's name as the operator gave it, or ``--set``.
        line: counted from 1; 0 where there is no line.
        path: the way to the value, such as ``policyd.greylist.delay`` or ``listeners[0].listen``;
            empty for the file as a whole.
        message: what was expected.
    """

    source: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        source = readable(self.source, MAX_SOURCE)
        place = f"{source}:{self.line}" if self.line else source
        message = readable(self.message, 2000)
        return f"{place}: {self.path}: {message}" if self.path else f"{place}: {message}"


class ConfigError(Exception):
    """A configuration or registry that cannot be used.

    Attributes:
        problems: everything that was found wrong, by file and line.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: list[Problem] = sorted(set(problems))
        super().__init__(self.problems)

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems[:MAX_PRINTED]]
        if more := len(self.problems) - MAX_PRINTED:
            lines += [f"... and {more} more"] if more > 0 else []
        return "\n".join(lines)


def readable(text: str, limit: int) -> str:
    """``text`` on one line, without anything that a terminal obeys, at most ``limit`` characters.

    Unlike a reply it keeps letters of every script: the reader wrote them.
    """
    clean = "".join(letter if letter.isprintable() else "?" for letter in text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def dotted(location: Location) -> str:
    """``location`` as the operator reads it."""
    text = ""
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            # A key that holds a dot is a name (a domain, a server), not a way through the file.
            key = readable(step, 80)
            text += f"[{key}]" if "." in step and text else f".{key}" if text else key
    return text


def shown(value: object) -> str:
    """A value as an error quotes it: short and on one line."""
    match value:
        case None:
            return "nothing"
        case True | False:
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            return f"'{readable(value, 60)}'"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return f"a {type(value).__name__}"


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the known words nearest to ``word``, else the list of those there are."""
    from difflib import SequenceMatcher  # only where there is a mistake

    words = sorted(known)
    likeness = {name: SequenceMatcher(None, word[:80].lower(), name).ratio() for name in words[:5000]}
    best = max(likeness.values(), default=0)
    if best >= 0.6:
        close = [f"'{name}'" for name, ratio in likeness.items() if ratio > best - 0.1]
        return "; did you mean " + " or ".join(close[:3]) + "?"
    if not words or len(words) > 40:
        return ""
    return "; known here: " + ", ".join(words)
