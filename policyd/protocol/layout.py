"""The order in which an smtpd sends its attributes: the same for all its requests, so learned from the first.

Taking a request apart line by line costs as much as deciding it. Matching it against the one before, names
and all, costs a quarter and gives the same attributes; where it does not match, the request is taken apart
after all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter

from policyd.protocol.request import FREQUENT, Request

MAX_NAMES = 100
"""Postfix 3.12 sends 34."""
MAX_LAYOUTS = 16
"""Postfix versions and instances that ask one policyd."""


class Layout:
    """Arguments:
    names: of all attributes, in order.
    fixed: values that must be there literally, by name.
    """

    __slots__ = ("_frequent", "_fullmatch")

    def __init__(self, names: tuple[str, ...], fixed: dict[str, str]) -> None:
        # Of a name that stands twice the last value counts, as it does in a dictionary.
        last = {name: position for position, name in enumerate(names)}
        wanted = [
            position for position, name in enumerate(names) if name in FREQUENT and last[name] == position
        ]
        lines = []
        for position, name in enumerate(names):
            # All but LF, at a quarter of the price of a set; NUL is left to the caller. Possessive: there is
            # no other way to match, and none is to be remembered.
            value = re.escape(fixed[name]) if name in fixed else ".*+"
            lines.append(f"{re.escape(name)}={f'({value})' if position in wanted else value}")
        # The last, empty group stands for what Postfix does not send.
        self._fullmatch: Callable[[str], re.Match[str] | None] = re.compile(
            "\n".join(lines) + "\n\n()"
        ).fullmatch
        groups = {position: group for group, position in enumerate(wanted)}
        self._frequent: Callable[[tuple[str, ...]], tuple[str, ...]] = itemgetter(
            *(groups[last[name]] if name in last else len(wanted) for name in FREQUENT)
        )

    def request(self, text: str) -> Request | None:
        """The one request in ``text``, empty line included; None if it is anything else.

        Arguments:
            text: without NUL.
        """
        found = self._fullmatch(text)
        if found is None:
            return None
        return Request().fill(self._frequent(found.groups()), text[:-2])


@lru_cache(maxsize=MAX_LAYOUTS)
def _layout(names: tuple[str, ...], fixed: tuple[tuple[str, str], ...]) -> Layout:
    return Layout(names, dict(fixed))


def layout_of(names: tuple[str, ...], **fixed: str) -> Layout | None:
    """The layout with these names; None if there are too many to be worth it."""
    return _layout(names, tuple(fixed.items())) if len(names) <= MAX_NAMES else None
