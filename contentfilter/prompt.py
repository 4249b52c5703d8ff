"""Sends what was written at once, where Twisted's reactor would wait for its next round."""

from __future__ import annotations

from typing import Any


def send(transport: Any) -> None:
    """Hand to the kernel what ``transport`` has in its buffer; what it does not take goes as ever.

    A reply of some octets nearly always fits, and the round that it would wait for takes longer than to send
    it: two changes of epoll's set, and the way of an event through the reactor.

    Arguments:
        transport: of a connection; one that has no descriptor to write to, as in a test, is left alone.
    """
    write = getattr(transport, "doWrite", None)
    # When a connection is about to be closed, doWrite says so to the reactor, which alone may close it.
    if write is not None and transport.connected and not transport.disconnecting:
        # An error stays in the socket, and the reactor, which still waits to write, meets it as well.
        write()
