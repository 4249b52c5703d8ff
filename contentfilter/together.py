"""Waits for several things that are under way at once.

Twisted's gatherResults does so as well, at three times the price where most of them have ended already, and a
Deferred for each of them costs more than most of what is done for a mail.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Sequence
from typing import Any, Generic, TypeVar, cast

from twisted.internet.defer import Deferred, fail

T = TypeVar("T")


class Awaited(Generic[T]):
    """A value that is told once, for any number of those who wait for it."""

    def __init__(self) -> None:
        self._told = False
        self._value: T | None = None
        self._waiting: list[Deferred[T]] = []

    def tell(self, value: T) -> None:
        """It is known; only the first is told."""
        if self._told:
            return
        self._told, self._value = True, value
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            # Else whoever waited was cancelled.
            if not one.called:
                one.callback(value)

    @property
    def told(self) -> bool:
        """Whether it is known, and nobody has to wait for it."""
        return self._told

    async def get(self) -> T:
        """The value."""
        if self._told:
            return cast(T, self._value)
        told: Deferred[T] = Deferred()
        self._waiting.append(told)
        return await told


def begin(work: Coroutine[Any, Any, T]) -> T | Deferred[T]:
    """What ``work`` gives if it need not wait for anything; else a Deferred for it, as for its failure."""
    try:
        awaited = work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    except Exception:  # noqa: BLE001 - for whoever waits for it
        return fail()
    return Deferred.fromCoroutine(_resumed(work, awaited))


def _resumed(work: Coroutine[Any, Any, T], awaited: Any) -> Generator[Any, Any, T]:
    """The rest of a coroutine that waits for ``awaited``: ``yield from``, begun in its midst (PEP 380)."""
    try:
        while True:
            try:
                given = yield awaited
            except Exception as error:  # noqa: BLE001 - it is the coroutine's
                awaited = work.throw(error)
            else:
                awaited = work.send(given)
    except StopIteration as end:
        value: T = end.value
        return value
    finally:
        work.close()


async def alongside(work: Coroutine[Any, Any, T], started: Sequence[Any]) -> tuple[T, list[Any]]:
    """What ``work`` gives, which is begun now, and what each gives that is under way.

    So ``work`` needs no Deferred of its own. If one fails, or the one who waits is cancelled, all are.
    """
    try:
        given = await work
    except BaseException:
        _give_up(started)
        raise
    return given, await together(started)


async def together(started: Sequence[T | Deferred[T]]) -> list[T]:
    """What each of them gives, in their order.

    If one fails, or the one who waits is cancelled, all are cancelled.
    """
    try:
        # Not isinstance, which takes long to say that something is no Deferred, as most are not.
        return [await one if type(one) is Deferred else cast(T, one) for one in started]
    except BaseException:
        _give_up(started)
        raise


def _give_up(started: Sequence[Any]) -> None:
    for one in started:
        if isinstance(one, Deferred):
            one.cancel()
            one.addErrback(lambda _failure: None)
