"""Twisted's reactor, with a shorter way from a socket that can be read to who reads it.

Twisted notes for each event, in a context of its own, in whose name something might be logged meanwhile, and
looks whether the socket is still open; nobody asks for that, and it takes a twentieth of what a small mail
costs.
"""

from __future__ import annotations

from select import EPOLLIN
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor
from twisted.logger import Logger

_LOG = Logger()


class Reactor(EPollReactor):
    """The one of Twisted, but for that."""

    def doPoll(self, timeout: float | None) -> None:
        """Wait for events, and deal with them.

        Arguments:
            timeout: seconds to wait at most; None: for the first.
        """
        for descriptor, event in self._poller.poll(timeout, len(self._selectables)):
            # One that was dealt with may have closed another.
            selectable = self._selectables.get(descriptor)
            if selectable is None:
                continue
            try:
                if event == EPOLLIN:
                    self._read(selectable)
                else:
                    self._doReadOrWrite(selectable, descriptor, event)  # type: ignore[no-untyped-call]
            except Exception:  # noqa: BLE001 - the boundary of a connection: the others go on
                _LOG.failure("a connection could not be closed")

    doIteration = doPoll

    def _read(self, selectable: Any) -> None:
        """What ``_doReadOrWrite`` does for the one event that most are."""
        try:
            why = selectable.doRead()
        except BaseException as error:  # noqa: BLE001 - the fault of one connection, and its end
            _LOG.failure("a connection failed")
            why = error
        if why:
            self._disconnectSelectable(selectable, why, True)  # type: ignore[no-untyped-call]


def install() -> Any:
    """Make it the process's reactor, before anything else has asked for one; returns it.

    Raises:
        ReactorAlreadyInstalledError: something has.
    """
    reactor = Reactor()  # type: ignore[no-untyped-call]
    installReactor(reactor)  # type: ignore[no-untyped-call]
    return reactor
