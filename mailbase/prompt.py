"""Sends what is written at once, where Twisted's reactor would wait for its next round.

A reply of some octets nearly always fits, and the round that it would wait for takes longer than to send it:
two changes of epoll's set, and the way of an event through the reactor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Prompt:
    """Writes to one connection.

    Whoever has begun to write with the transport itself goes on with it: what is sent here would overtake.

    Arguments:
        transport: of the connection, whose buffer is empty; one without a socket, as in a test, is written to
            as ever.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        handle = getattr(transport, "getHandle", None)
        self._send: Callable[[bytes], int] | None = handle().send if handle is not None else None

    def write(self, data: bytes) -> None:
        """Hand ``data`` to the kernel; what it does not take goes as ever, and all that follows."""
        if rest := self.send(data):
            self._transport.write(rest)

    def send(self, data: bytes) -> bytes:
        """Likewise, but what the kernel does not take is returned, for the caller to write."""
        if self._send is None:
            return data
        try:
            sent = self._send(data)
        except OSError:
            # Full; or the connection is lost, which the reactor meets as well when it tries to write.
            sent = 0
        if sent < len(data):
            self._send = None
        return data[sent:]
