"""Long work of the operator's commands lets Postfix's requests in between."""

from __future__ import annotations

from collections.abc import Awaitable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime


def pause(clock: IReactorTime, seconds: float = 0.0) -> Awaitable[None]:
    """Go on after ``seconds``, at the earliest at the reactor's next turn."""
    turn: Deferred[None] = Deferred()
    clock.callLater(seconds, turn.callback, None)
    return turn
