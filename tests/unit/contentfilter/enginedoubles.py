"""Engines behind sockets, without a socket: every connection is in memory, and time is the test's."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.engines.endpoint import Endpoint
from contentfilter.engines.engine import Engine
from contentfilter.spool.seal import seal
from mailbase.logs import Log


class Message:
    """A spooled message."""

    def __init__(self, *chunks: bytes) -> None:
        self.pieces = chunks
        self.size = sum(map(len, chunks))
        self.digest = seal(b"".join(chunks))
        self.read = 0

    def chunks(self) -> Iterator[bytes]:
        for chunk in self.pieces:
            self.read += 1
            yield chunk


class Connection(StringTransport):
    """The daemon's side of one connection.

    Attributes:
        finished: whether it has said that nothing follows.
    """

    finished = False

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self.protocol = protocol
        self.open = True

    def abortConnection(self) -> None:
        self.disconnecting = True
        self.close()

    def close(self) -> None:
        """The engine closes it, or we did."""
        if self.open:
            self.open = False
            self.producer = None
            self.protocol.connectionLost(Failure(ConnectionDone()))

    def pull(self) -> bytes:
        """All that the engine would read of what it has not read yet."""
        for _ in range(1000):
            if self.producer is None:
                break
            self.producer.resumeProducing()
        value = self.value()
        self.clear()
        return value

    def loseWriteConnection(self) -> None:
        self.finished = True


@dataclass(eq=False, kw_only=True)
class Server:
    """One engine.

    Attributes:
        there: whether it takes connections.
        connections: all there were.
        heard: what it was given about messages.
    """

    there: bool = True
    connections: list[Any] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)

    def serve(self) -> bool:
        """Read and answer what has come; whether there was anything."""
        raise NotImplementedError

    def die(self) -> None:
        """Close all connections and take no more."""
        self.there = False
        for connection in self.connections:
            connection.close()


class Reactor(MemoryReactorClock):
    """Simulated time and engines."""

    def __init__(self, servers: Mapping[str, Any], connection: type[Connection] = Connection) -> None:
        super().__init__()
        self.servers = servers
        self._connection = connection

    def connectUNIX(self, address: str, factory: Any, *args: Any, **kwargs: Any) -> Any:
        connector = super().connectUNIX(address, factory, *args, **kwargs)
        server = self.servers.get(f"unix:{address}")
        if server is not None:
            self.callLater(0, self._connected, server, factory)
        return connector

    def _connected(self, server: Any, factory: Any) -> None:
        if not server.there:
            factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
            return
        protocol = factory.buildProtocol(None)
        connection = self._connection(protocol)
        server.connections.append(connection)
        protocol.makeConnection(connection)


class Scene:
    """An engine in several places, and what answers there.

    Arguments:
        dialect: how it is spoken to.
        terms: its section of the configuration; its ``addresses`` are the keys of ``servers``.
        servers: by their addresses.
        connection: makes our end of a connection.
    """

    def __init__(
        self, dialect: Any, terms: Any, servers: Mapping[str, Any], connection: type[Connection] = Connection
    ) -> None:
        self.servers = servers
        self.reactor = Reactor(servers, connection)
        self.output = io.StringIO()
        log = Log("test", stream=self.output)
        self.engine = Engine(
            self.reactor,
            dialect.name,
            terms,
            lambda changed: [
                Endpoint(self.reactor, place, dialect, log, changed) for place in terms.addresses
            ],
        )
        self.results: list[Any] = []

    def __getitem__(self, number: int) -> Any:
        return list(self.servers.values())[number]

    def begin(self, message: Any, timeout: float | None) -> Deferred[ScanResult | ScanFailed]:
        """Give the engine a message; its result is the last of ``results``."""
        scanning = Deferred.fromCoroutine(self.engine.scan(message, timeout))
        scanning.addBoth(self.results.append)
        self.settle()
        return scanning

    def settle(self) -> None:
        """Let everything happen that takes no time."""
        for _ in range(100):
            self.reactor.advance(0)
            if not sum(server.serve() for server in self.servers.values()):
                break

    def pass_time(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass, and all happen in it."""
        for _ in range(round(seconds / step)):
            self.reactor.advance(step)
            self.settle()
