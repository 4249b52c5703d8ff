"""Regular expressions that cannot stall: RE2, whose time is linear in the text whatever the expression.

What RE2 does not have (back references, look-around) cannot be had in linear time and is an error when the
rules are read. Letters match in either case; an expression that begins with ``(?-i)`` minds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import re2

MAX_LENGTH = 2000
"""Characters of one expression."""
MAX_PROGRAM = 20_000
"""RE2's instructions for one expression; each octet of text may cost that many steps at the very worst."""
_MEMORY = 1 << 20
_SMALL = 450
"""Instructions of an expression that can be searched for together with others. Larger ones count repetitions,
and then what two of them have seen so far multiplies: together they take longer than one by one."""
_TOGETHER = 1500
"""Instructions of all those together."""
_HINTS = (
    ("invalid perl operator: (?=", "look-ahead is not there; say it as two tests under 'all'"),
    ("invalid perl operator: (?!", "look-ahead is not there; say it as a second test under 'not'"),
    ("invalid perl operator: (?<", "look-behind is not there; say it as two tests under 'all'"),
    ("invalid escape sequence: \\1", "back references are not there"),
    ("bad repetition operator", "possessive or repeated quantifiers are not there; write the plain one"),
    ("invalid repetition size", "at most 1000 repetitions"),
    ("no argument for repetition operator", "to mean the character itself put a backslash before it"),
    ("missing )", "close the bracket, or put a backslash before '(' to mean the character itself"),
    ("unexpected )", "open the bracket, or put a backslash before ')' to mean the character itself"),
    ("missing ]", "close the class, or put a backslash before '[' to mean the character itself"),
    ("pattern too large", "use smaller repetitions, or several expressions under 'any'"),
    ("invalid escape sequence: \\u", "write the letter itself, or \\x{..}"),
)
_SYNTAX = "see https://github.com/google/re2/wiki/Syntax"


class BadPattern(ValueError):
    """An expression that cannot be used; the text says why and what to do."""


def check(pattern: str) -> None:
    """See whether ``pattern`` can be used.

    Raises:
        BadPattern: RE2 cannot read it, or it is too large.
    """
    if len(pattern) > MAX_LENGTH:
        raise BadPattern(f"{len(pattern)} characters; expected an expression of at most {MAX_LENGTH}")
    try:
        # Without the brackets that a set puts around it, with which "a)(b" would pass for well-formed.
        found = re2.compile(f"(?i){pattern}", options())
    except re2.error as error:
        raise BadPattern(_explained(error)) from None
    if found.programsize > MAX_PROGRAM:
        raise BadPattern("too large an expression; use smaller repetitions, or several under 'any'")


def options() -> re2.Options:
    """How all expressions are read; a new object each time, since it can be changed."""
    chosen = re2.Options()
    chosen.max_mem = _MEMORY
    chosen.log_errors = False
    chosen.never_capture = True
    return chosen


class PatternSet:
    """Many expressions searched for at once.

    One pass over the text finds the literals that stand in them; only what may match then is tried. So some
    hundred expressions cost little more than one, where none of them fits.

    Arguments:
        patterns: checked by :func:`check` before.
        flags: of RE2, in force from the beginning: ``i`` for either case.
        rare: most of them have no literal, and most texts have none of them. Whether it has one is asked of
            the small ones together before any is tried by itself.
    """

    __slots__ = ("_count", "_filter", "_gate", "_large", "_others")

    def __init__(self, patterns: Iterable[str], flags: str = "i", rare: bool = False) -> None:
        patterns = [f"(?{flags}:{pattern})" for pattern in patterns]
        self._filter = re2.Filter()
        self._count = 0
        for pattern in patterns:
            self._filter.Add(pattern, options())
            self._count += 1
        if self._count:
            self._filter.Compile()
        self._gate: Any = None
        self._others: PatternSet | None = None
        self._large: list[int] = []
        if rare:
            self._set_up(patterns)

    def _set_up(self, patterns: Sequence[str]) -> None:
        """Part the small expressions from the large."""
        room = _TOGETHER
        small: list[str] = []
        for number, pattern in enumerate(patterns):
            size = re2.compile(pattern, options()).programsize
            if size <= min(_SMALL, room):
                room -= size
                small.append(pattern)
            else:
                self._large.append(number)
        if len(small) > 1:
            self._gate = re2.compile("|".join(small), options())
            self._others = PatternSet([patterns[number] for number in self._large], "-i")

    def __len__(self) -> int:
        return self._count

    def match(self, text: bytes) -> Sequence[int]:
        """The positions, in the order they were given, of those that match somewhere in ``text`` (UTF-8)."""
        if not self._count:
            return ()
        if self._gate is not None and self._others is not None and self._gate.search(text) is None:
            return [self._large[place] for place in self._others.match(text)]
        return self._filter.Match(text) or ()

    def spans(self, index: int, text: bytes, limit: int) -> list[tuple[int, int]]:
        """Where the expression at ``index`` matches: the first ``limit`` places."""
        found = []
        for match in self._filter.re(index).finditer(text):
            if match.start() < match.end():
                found.append((match.start(), match.end()))
                if len(found) >= limit:
                    break
        return found


def _explained(error: re2.error) -> str:
    cause = error.args[0] if error.args else ""
    text = cause.decode("utf-8", "replace") if isinstance(cause, bytes) else str(cause)
    # The flag that we put before it is none of the reader's business.
    text = text.replace(": (?i)", ": ", 1)
    hint = next((hint for start, hint in _HINTS if text.startswith(start)), _SYNTAX)
    return f"not an expression that RE2 reads: {text}; {hint}"
