"""Who comes at a start waits at the door until Postfix's extensions are known, instead of being sent away.

A restart under systemd's sockets leaves clients in the queue of the kernel. They are there before the first
probe of a reinjection port has its answer; what they heard was 421, and their clients 451.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

PATIENCE = 10.0
"""Seconds after which the doors are opened all the same: then whoever comes hears why he cannot be served."""


class Doors:
    """Arguments:
    clock: Twisted's IReactorTime.
    ports: listening already, and accepting nobody from now on until :meth:`open_after`.
    """

    def __init__(self, clock: Any, ports: Iterable[Any]) -> None:
        self._clock = clock
        # A test's double may have no door.
        self._ports = [port for port in ports if hasattr(port, "stopReading")]
        self._timer: Any = None
        for port in self._ports:
            port.stopReading()

    def open_after(self, answers: Sequence[Deferred[Any]]) -> None:
        """Accept clients once all of these have fired, or nobody can be kept waiting any longer."""
        self._timer = self._clock.callLater(PATIENCE, self._open)
        DeferredList(answers).addCallback(lambda _: self._open())

    def stop(self) -> None:
        """Open them no more."""
        self._ports = []
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _open(self) -> None:
        ports = self._ports
        self.stop()
        for port in ports:
            # While the daemon begins to end, some are closed already.
            if port.connected and not port.disconnecting:
                port.startReading()
