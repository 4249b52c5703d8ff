"""One daemon's standing connection to the other's control socket."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IReactorUNIX
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure

from mailbase.control.protocol import ControlError, Lines, decode, encode
from mailbase.prompt import Prompt

MAX_IN_FLIGHT = 1000
"""Requests that wait for their answer; more are refused, since the other end is then stuck."""
RETRY_AFTER = 1.0
"""Seconds after a failed connection in which requests fail at once instead of trying again."""


class ControlClient:
    """Asks the other daemon, over one connection that is opened when needed and kept.

    Arguments:
        reactor: for the connection and the time-outs.
        path: of the other daemon's control socket.
    """

    def __init__(self, reactor: Any, path: str) -> None:
        self._reactor: Any = reactor
        self._path = path
        self._connection: _Connection | None = None
        self._opening: list[_Request] = []
        self._retry_at = 0.0

    async def request(self, verb: str, arguments: dict[str, Any], timeout: float) -> dict[str, Any]:
        """The final line of the answer to ``verb``.

        Arguments:
            timeout: seconds after which the answer is given up; the connection is then closed, since
                answers come in order.

        Raises:
            ControlError: not reachable, refused, no answer in time.
        """
        clock: IReactorTime = self._reactor
        if self._connection is None and clock.seconds() < self._retry_at:
            raise ControlError(f"{self._path}: not reachable")
        request = _Request(encode({**arguments, "verb": verb}), clock, timeout, self._expired)
        if self._connection is not None:
            self._connection.send(request)
        else:
            self._opening.append(request)
            if len(self._opening) == 1:
                self._connect(timeout)
        return await request.answer

    def close(self) -> None:
        """End the connection; waiting requests fail."""
        if self._connection is not None:
            self._connection.abort()

    def _connect(self, timeout: float) -> None:
        unix: IReactorUNIX = self._reactor
        try:
            unix.connectUNIX(self._path, _Opener(self), timeout=max(0.1, timeout))
        except OSError:
            # No descriptor is left: Twisted raises instead of telling the factory.
            self._failed()

    def _opened(self, connection: _Connection) -> None:
        self._connection = connection
        waiting, self._opening = self._opening, []
        for request in waiting:
            connection.send(request)

    def _failed(self) -> None:
        self._retry_at = self._reactor.seconds() + RETRY_AFTER
        waiting, self._opening = self._opening, []
        for request in waiting:
            request.fail(f"{self._path}: not reachable")

    def _closed(self, connection: _Connection) -> None:
        if self._connection is connection:
            self._connection = None

    def _expired(self, request: _Request) -> None:
        if request in self._opening:
            self._opening.remove(request)
        elif self._connection is not None:
            self._connection.abort()


async def ask_once(
    reactor: Any, path: str, verb: str, arguments: dict[str, Any], timeout: float
) -> dict[str, Any]:
    """The final line of the answer to ``verb``, over a connection of its own: for what may take its time.

    Arguments:
        timeout: seconds after which the answer is given up.

    Raises:
        ControlError: not reachable, refused, no answer in time.
    """
    client = ControlClient(reactor, path)
    try:
        return await client.request(verb, arguments, timeout)
    finally:
        client.close()


class _Request:
    def __init__(
        self, line: bytes, clock: IReactorTime, timeout: float, expired: Callable[[_Request], None]
    ) -> None:
        self.line = line
        self.answer: Deferred[dict[str, Any]] = Deferred()
        self._expired = expired
        self._timer = clock.callLater(timeout, self._time_out)

    def succeed(self, message: dict[str, Any]) -> None:
        if not self.answer.called:
            self._timer.cancel()
            self.answer.callback(message)

    def fail(self, text: str) -> None:
        if not self.answer.called:
            if self._timer.active():
                self._timer.cancel()
            self.answer.errback(ControlError(text))

    def _time_out(self) -> None:
        self.fail("no answer in time")
        self._expired(self)


class _Connection(Protocol):
    _prompt: Prompt

    def __init__(self, client: ControlClient) -> None:
        self._client = client
        self._lines = Lines()
        self._in_flight: deque[_Request] = deque()

    def connectionMade(self) -> None:
        self._prompt = Prompt(self.transport)
        self._client._opened(self)

    def send(self, request: _Request) -> None:
        if len(self._in_flight) >= MAX_IN_FLIGHT:
            request.fail("too many requests wait for their answer")
            return
        self._in_flight.append(request)
        self._prompt.write(request.line)

    def dataReceived(self, data: bytes) -> None:
        try:
            for line in self._lines.feed(data):
                self._message(decode(line))
        except (ControlError, IndexError):
            self.abort()

    def _message(self, message: dict[str, Any]) -> None:
        if "row" in message:
            return
        request = self._in_flight.popleft()
        if message.get("ok"):
            request.succeed(message)
        else:
            request.fail(str(message.get("error", "refused")))

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._client._closed(self)
        waiting, self._in_flight = self._in_flight, deque()
        for request in waiting:
            request.fail("the connection was lost")


class _Opener(ClientFactory):
    noisy = False

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def buildProtocol(self, addr: object) -> _Connection:
        return _Connection(self._client)

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self._client._failed()
