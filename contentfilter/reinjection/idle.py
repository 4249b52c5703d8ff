"""Connections to the reinjection port that wait for the next mail.

A connection, its greeting and EHLO cost both sides as much as a small mail. So one that has delivered waits a
moment for more, as those of Postfix's own smtp(8) do; each mail has a transaction of its own all the same.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from contentfilter.smtp.offer import Offer

WAIT = 2.0
"""Seconds until one that nobody needed is closed; Postfix's ``smtp_connection_cache_time_limit``."""
AGE = 300.0
"""Seconds after which one is not used again, so that a reload of Postfix reaches it."""
MOST = 50
"""Connections kept; each holds an smtpd."""
GOODBYE = 5.0
"""Seconds for the answer to QUIT."""


class Idle(Protocol):
    """One connection while nobody uses it.

    Arguments:
        among: where it is kept.
        offer: the extensions it announced.
        opened: clock seconds.
    """

    transport: Any

    def __init__(self, among: IdleConnections, offer: Offer, opened: float) -> None:
        self._among = among
        self._timer: Any = None
        self.offer = offer
        self.opened = opened

    def wait(self) -> None:
        """Begin to wait for the next mail."""
        self._timer = self._among.clock.callLater(WAIT, self.close)

    def leave(self) -> Any:
        """The transport, for somebody who uses it."""
        self._timer.cancel()
        return self.transport

    def close(self) -> None:
        """End the connection; the server closes first, so that no port of ours lingers in TIME_WAIT."""
        self._among.forget(self)
        if self._timer.active():
            self._timer.cancel()
        self.transport.write(b"QUIT\r\n")
        self._timer = self._among.clock.callLater(GOODBYE, self.transport.abortConnection)

    def dataReceived(self, data: bytes) -> None:
        """The answer to QUIT, or a 421."""
        self._among.forget(self)
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._among.forget(self)
        if self._timer.active():
            self._timer.cancel()


class IdleConnections:
    """Arguments:
    clock: for waiting.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        self._idle: list[Idle] = []
        self._closed = False

    def keep(self, transport: Any, offer: Offer, opened: float) -> bool:
        """Keep a connection whose last transaction has ended; false if it should be closed instead.

        Arguments:
            transport: of the connection; becomes ours.
            offer: what it announced.
            opened: clock seconds.
        """
        if self._closed or len(self._idle) >= MOST or self.clock.seconds() - opened >= AGE:
            return False
        idle = Idle(self, offer, opened)
        transport.protocol = idle
        idle.makeConnection(transport)  # type: ignore[no-untyped-call]
        idle.wait()
        self._idle.append(idle)
        return True

    def take(self, needs: Collection[str]) -> Idle | None:
        """One that offers what is needed, the one that was used last; None if there is none.

        Its transport, from :meth:`Idle.leave`, is the caller's from now on.
        """
        for place in range(len(self._idle) - 1, -1, -1):
            if all(keyword in self._idle[place].offer for keyword in needs):
                return self._idle.pop(place)
        return None

    def forget(self, idle: Idle) -> None:
        """It is closed, or about to be."""
        if idle in self._idle:
            self._idle.remove(idle)

    def close(self) -> None:
        """Close all, and keep no more."""
        self._closed = True
        for idle in list(self._idle):
            idle.close()

    def __len__(self) -> int:
        return len(self._idle)
