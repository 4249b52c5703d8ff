"""Going on with what was awaited, without a Deferred of its own."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


def step(steps: Generator[Any, Any, Any], result: object) -> Deferred[Any]:
    """Go on with an awaitable; returns the next Deferred that it waits for.

    To be called by the one that it waits for. A failure is thrown in: who is called with one still in force
    cannot be asked for it (Twisted asserts that all who are to be told were told before).

    Arguments:
        steps: of ``__await__``.
        result: of the Deferred it waited for; None at first.

    Raises:
        StopIteration: it is over; with its result.
        Exception: what it ended with.
    """
    if isinstance(result, Failure) and result.value is not None:
        waited: Deferred[Any] = steps.throw(result.value)
    else:
        waited = next(steps)
    return waited
