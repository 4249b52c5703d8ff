"""The reactor of a daemon that reckons in times of day: what it remembers carries one, nodes compare it.

Interface: :class:`WallClock` stands wherever a reactor does. Twisted's own reads timers off the same clock as
the time of day; once that was set back by ten minutes, nothing that was to happen would for ten minutes: no
write to the store, no deadline. Here timers run by a clock that nobody sets.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from zope.interface import directlyProvides, providedBy


class WallClock:
    """All that ``reactor`` can do, with :meth:`seconds` by the time of day.

    What :meth:`callLater` returns knows nothing of the time of day: its ``getTime`` is the other clock's.

    Arguments:
        reactor: Twisted's; its own clock becomes ``steady``.
        seconds: since the epoch.
        steady: seconds of a clock that is never set.
    """

    def __init__(
        self,
        reactor: Any,
        seconds: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        reactor.seconds = steady
        self.steady = reactor
        self._reactor = reactor
        self.seconds = seconds
        # The one that is called for each request.
        self.callLater = reactor.callLater
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


def steady(reactor: Any) -> Any:
    """``reactor`` with a clock that nobody sets: for what keeps times to itself, as who waits since when."""
    return reactor.steady if isinstance(reactor, WallClock) else reactor
