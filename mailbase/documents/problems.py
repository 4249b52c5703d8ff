"""What is wrong with a file, for the person who has to mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from mailbase.replies import printable

Location: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys and list positions, from the top of the file."""

MAX_PROBLEMS = 1000
"""Problems that are collected in one file before the rest is left out."""
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
        place = f"{self.source}:{self.line}" if self.line else self.source
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


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


def dotted(location: Location) -> str:
    """``location`` as the operator reads it."""
    text = ""
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            # A key that holds a dot is a name (a domain, a server), not a way through the file.
            key = printable(step, 80)
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
            return f"'{printable(value, 60)}'"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return f"a {type(value).__name__}"


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the known words nearest to ``word``, else the list of those there are."""
    import difflib

    known = sorted(known)
    if close := difflib.get_close_matches(word.lower(), known, 3, 0.6):
        return "; did you mean " + " or ".join(f"'{name}'" for name in close) + "?"
    return "; known here: " + ", ".join(known) if known else ""
