"""Waiting for conditions, with a deadline; nothing in the sandbox sleeps blindly."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

STEP = 0.02
"""Seconds between two looks."""


class DeadlineMissed(Exception):
    """A condition did not come true in time; the text says which, and what was seen instead."""


def wait_until(
    condition: Callable[[], T], within: float, what: str, seen: Callable[[], object] = lambda: ""
) -> T:
    """Call ``condition`` until it is true, and return what it returned.

    Arguments:
        condition: cheap, without side effects.
        within: seconds.
        what: what is waited for, for the error.
        seen: called when time is up; what it returns ends the error's text.

    Raises:
        DeadlineMissed: not within ``within`` seconds.
    """
    end = time.monotonic() + within
    while True:
        if value := condition():
            return value
        if time.monotonic() > end:
            raise DeadlineMissed(f"not within {within:g} s: {what}. {seen()}".rstrip(". ") + ".")
        time.sleep(STEP)
