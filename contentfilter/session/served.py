"""One client, whatever it speaks: let in or not, answered, and ended when it is silent or we are broken."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from contentfilter.session.in_hand import InHand
from contentfilter.session.steps import ClientGone, ClientSilent, EdgeEvent, Stop
from mailbase.prompt import Prompt
from mailbase.replies import Reply

if TYPE_CHECKING:
    from contentfilter.session.server import Front

CLOSING = 10.0
"""Seconds for a client to take our last words."""
SMALL_READ = 16 * 1024
"""Octets read at once: room for a small mail. A buffer of 64 KiB, Twisted's default, takes a fifth of the
time that reading some octets takes."""
LARGE_READ = 256 * 1024
"""Octets read at once within a message that has shown to be large; a buffer of that size for each command
would cost more than it saves."""
F = TypeVar("F", bound="Front")


class Served(Protocol, Generic[F]):
    """What the edge does for every client.

    Arguments:
        owner: the listener.
    """

    transport: Any
    _session: Any
    _prompt: Prompt

    def __init__(self, owner: F) -> None:
        self._owner = owner
        self._reactor = owner.reactor
        self._mail = InHand(owner, self._event, self._broken)
        self._out: list[bytes] = []
        self._lost = False
        self._silent_at = 0.0
        self._timer: Any = None

    @abstractmethod
    def _run(self, commands: Iterable[Any]) -> None:
        """Do what the session commands."""

    @abstractmethod
    def _event(self, event: EdgeEvent) -> None:
        """Something happened beside the client's input."""

    # From the transport.

    def connectionMade(self) -> None:
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
        if refusal := self._owner.refusal():
            self._owner.meter.turned_away(self._owner.protocol_name)
            self._lost = True
            self._timer = self._reactor.callLater(CLOSING, self.transport.abortConnection)
            self._turn_away(refusal)
            self.transport.loseConnection()
            return
        self._owner.admit(self)
        self.transport.bufferSize = SMALL_READ
        self._prompt = Prompt(self.transport)
        self._greet()
        self._touch()
        self._timer = self._reactor.callLater(self._owner.silence, self._check_silence)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_timer()
        if self._lost:
            return
        self._lost = True
        self._run(self._session.handle(ClientGone()))
        if self._session.closed:
            self._owner.release(self)

    # From the factory.

    def stop(self, at_once: bool = True) -> None:
        """End when no transaction is running; see :class:`~contentfilter.session.steps.Stop`."""
        self._event(Stop(at_once))

    # The beginning and the end.

    def _turn_away(self, refusal: Reply) -> None:
        """The client is not served; say so if there is a way."""

    def _greet(self) -> None:
        """The client is served; say so if there is a way."""

    def _is_over(self) -> bool:
        return self._lost or self._session.closed

    def _flush(self) -> None:
        if self._out and not self._lost:
            self._prompt.write(b"".join(self._out))
        self._out.clear()

    def _end(self) -> None:
        """Close once the client has taken what was said, or has had the time for it."""
        if self._lost:
            return
        self._flush()
        self._stop_timer()
        self._timer = self._reactor.callLater(CLOSING, self.transport.abortConnection)
        self.transport.loseConnection()

    def _broken(self, failure: Failure) -> None:
        """Our own mistake: nobody gets a reply that could be wrong."""
        self._owner.log.exception("connection-broken", failure.value or RuntimeError("no cause"))
        # The session may wait for something that never comes; stopping must not wait with it.
        self._mail.close()
        self._owner.release(self)
        if not self._lost:
            self.transport.abortConnection()

    # Time.

    def _touch(self) -> None:
        self._silent_at = self._reactor.seconds() + self._owner.silence

    def _check_silence(self) -> None:
        now = self._reactor.seconds()
        if self._session.busy:
            # The inspection and the delivery have deadlines of their own.
            self._silent_at = now + self._owner.silence
        if now >= self._silent_at:
            self._run(self._session.handle(ClientSilent()))
            return
        # Not further ahead than the shorter time-out, so that a change to it needs no new timer.
        wait = min(self._silent_at - now, self._owner.silence)
        self._timer = self._reactor.callLater(wait, self._check_silence)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
