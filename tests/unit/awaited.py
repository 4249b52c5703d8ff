"""What coroutines give in tests in which time passes only when it is told to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


def result_of(work: Any, meanwhile: Callable[[], object] = lambda: None) -> Any:
    """What a coroutine returns, or raises.

    Arguments:
        meanwhile: called once it has begun; by its end there must be a result.
    """
    results: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(results.append)
    meanwhile()
    (result,) = results
    if isinstance(result, Failure):
        result.raiseException()
    return result
