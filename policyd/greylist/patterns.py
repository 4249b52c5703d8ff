"""Perl's regular expressions, as far as allowlists use them, and many of them at the price of one."""

from __future__ import annotations

import re
from collections.abc import Sequence

_POSIX = {
    "[:alpha:]": "a-zA-Z",
    "[:digit:]": "0-9",
    "[:alnum:]": "a-zA-Z0-9",
    "[:upper:]": "A-Z",
    "[:lower:]": "a-z",
    "[:xdigit:]": "0-9A-Fa-f",
    "[:space:]": r"\s",
    "[:word:]": r"\w",
    "[:punct:]": r"!-/:-@\[-`{-~",
}
_ESCAPE = re.compile(r"\\(.)")
_LETTERS = frozenset("QEULulF")
"""A backslash gives them a meaning only in a Perl program's own text, none in a pattern read from a file."""
_REFERENCE = re.compile(r"\\[1-9]|\(\?P[=<]|\(\?\(|\(\?[aiLmsux]")
"""What refers to a group by its number or sets a flag, and so cannot be put beside other patterns."""


def translate(perl: str) -> str:
    """A Perl regular expression in Python's syntax; checked by compiling it.

    Raises:
        re.error: it cannot be understood.
    """
    text = _ESCAPE.sub(lambda found: found[1] if found[1] in _LETTERS else found[0], perl)
    for name, characters in _POSIX.items():
        text = text.replace(name, characters)
    text = text.replace(r"\z", r"\Z").replace(r"\h", r"[ \t]").replace("(?<", "(?P<")
    text = text.replace("(?P<=", "(?<=").replace("(?P<!", "(?<!")
    re.compile(text, re.IGNORECASE)
    return text


class Patterns:
    """Searches a text for any of many patterns, without regard to case.

    Arguments:
        patterns: of :func:`translate`.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        together = [text for text in patterns if not _REFERENCE.search(text)]
        alone = [text for text in patterns if _REFERENCE.search(text)]
        if together:
            alone.append("|".join(f"(?:{text})" for text in together))
        self._compiled = tuple(re.compile(text, re.IGNORECASE) for text in alone)

    def __bool__(self) -> bool:
        return bool(self._compiled)

    def search(self, text: str) -> bool:
        """Whether one of the patterns is found in ``text``."""
        for pattern in self._compiled:  # noqa: SIM110 - a third of the price of any() over what is mostly one
            if pattern.search(text):
                return True
        return False
