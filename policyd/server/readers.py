"""Reads many busy sockets behind one descriptor of the reactor.

Twisted spends as much time on telling a connection that its socket can be read as policyd on a decision. The
connections of a few dozen smtpds that ask without end are therefore watched by an epoll of their own, which
the reactor watches in turn (epoll(7) allows that): one call of the reactor reads from all that are ready.
Everything else about a connection, its writing and its end too, stays with its Twisted transport.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

AT_ONCE = 65_536
"""Octets read from a socket in one go, as Twisted does."""
BATCH = 128
"""Sockets read before the reactor gets its turn again."""

TOGETHER = 16
"""Sockets that are read, requests that are decided, replies that are sent and answers that are recorded in a
row: what is done again at once costs a sixth less, for the processor has it at hand. And each reply wakes an
smtpd that sleeps on another processor, which costs a third of a decision; those that follow at once find it
awake. None waits longer than a few decisions take."""

_LOG = Logger()
"""Where Twisted notes the faults of connections that it reads."""


class _Watched(NamedTuple):
    receive: Callable[[int], bytes]
    received: Callable[[bytes], None]
    ended: Callable[[], None]
    failed: Callable[[], None]


_Reply: TypeAlias = tuple[Callable[[bytes], None], bytes, Callable[[], None]]


@implementer(IReadDescriptor)
class Readers:
    """Arguments:
    reactor: watches us; needs ``addReader``, ``removeReader`` and ``callLater``.
    heard: called when some sockets were read: what they brought can be answered.
    sent: called when replies are on their way: what need not be done before.
    """

    def __init__(
        self,
        reactor: Any,
        heard: Callable[[], None] = lambda: None,
        sent: Callable[[], None] = lambda: None,
    ) -> None:
        self._reactor = reactor
        self.heard = heard
        self.sent = sent
        self._epoll = select.epoll()
        self._sockets: dict[int, _Watched] = {}
        self._replies: list[_Reply] = []
        self.reading = False
        """Whether :attr:`heard` is called soon."""
        self._flushing: Any = None
        reactor.addReader(self)

    def add(
        self,
        descriptor: int,
        receive: Callable[[int], bytes],
        received: Callable[[bytes], None],
        ended: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        """Watch a socket; one that is watched already stays so.

        Arguments:
            descriptor: of the socket, which does not block.
            receive: its ``recv``.
            received: called with what was read, never empty; at most once more when it is left alone.
            ended: called once when nothing can be read any more; the socket is not watched any longer then.
            failed: called once when ``received`` raised, likewise; the fault has been logged.
        """
        if descriptor not in self._sockets:
            self._epoll.register(descriptor, select.EPOLLIN)
            self._sockets[descriptor] = _Watched(receive, received, ended, failed)

    def remove(self, descriptor: int) -> None:
        """Leave a socket alone; to be called before another one can have its number."""
        if self._sockets.pop(descriptor, None) is not None:
            try:
                self._epoll.unregister(descriptor)
            except OSError:
                # It is closed already: its transport could not write. The kernel has left it alone then.
                return

    def close(self) -> None:
        """Leave all sockets alone."""
        self.flush()
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        self._reactor.removeReader(self)
        self._sockets.clear()
        self._epoll.close()

    def reply(self, send: Callable[[bytes], None], data: bytes, failed: Callable[[], None]) -> None:
        """Send a reply together with others: at the latest when the reactor gets its turn again.

        Arguments:
            send: called with ``data``, soon; replies of one connection keep their order.
            failed: called if ``send`` raised; the fault has been logged.
        """
        self._replies.append((send, data, failed))
        if len(self._replies) >= TOGETHER:
            self.flush()
        elif not self.reading and self._flushing is None:
            # An answer that had to be waited for; what ended the waiting may have answered others as well.
            self._flushing = self._reactor.callLater(0, self._flush_later)

    def flush(self) -> None:
        """Send the replies that wait."""
        replies, self._replies = self._replies, []
        for send, data, failed in replies:
            try:
                send(data)
            except Exception:  # noqa: BLE001 - the boundary of a connection: the others get their replies
                _LOG.failure("a connection of Postfix is closed")
                failed()
        self.sent()

    def _flush_later(self) -> None:
        self._flushing = None
        self.flush()

    def doRead(self) -> None:
        """Read from every socket that is ready; called by the reactor."""
        self.reading = True
        try:
            self._read()
        finally:
            self.reading = False
            self.flush()

    def _read(self) -> None:
        # Who asks again while others are answered gets in line behind those who still wait.
        for _ in range(0, BATCH, TOGETHER):
            ready = self._epoll.poll(0, TOGETHER)
            for descriptor, watched, data in [*map(self._receive, ready)]:
                if data:
                    self._hand_over(descriptor, watched, data)
                elif data is not None and self._sockets.get(descriptor) is watched:
                    self.remove(descriptor)
                    watched.ended()
            self.heard()
            self.flush()
            if len(ready) < TOGETHER:
                return

    def _receive(self, event: tuple[int, int]) -> tuple[int, _Watched, bytes | None]:
        """What a socket has: nothing at its end, None if there is nothing yet."""
        descriptor = event[0]
        watched = self._sockets[descriptor]
        try:
            return descriptor, watched, watched.receive(AT_ONCE)
        except (BlockingIOError, InterruptedError):
            return descriptor, watched, None
        except OSError:
            return descriptor, watched, b""

    def _hand_over(self, descriptor: int, watched: _Watched, data: bytes) -> None:
        try:
            watched.received(data)
        except Exception:  # noqa: BLE001 - the boundary of a connection: the reactor would drop us all
            _LOG.failure("a connection of Postfix is closed")
            self.remove(descriptor)
            watched.failed()

    def fileno(self) -> int:
        """The descriptor of our epoll."""
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        """See :class:`twisted.internet.interfaces.ILoggingContext`."""
        return "readers"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives us up: at its own end."""
