"""clamds without a clamd: every connection is in memory, and the test says what is answered."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.engines.clamd import Clamd
from contentfilter.engines.endpoint import Endpoint
from contentfilter.engines.engine import Engine
from contentfilter.spool.seal import seal
from mailbase.logs import Log

VERSION = b"ClamAV 1.4.6/27500/Fri Jan 15 09:00:00 2027"
SILENT = b""


@dataclass
class Settings:
    """``contentfilter.clamd``."""

    addresses: tuple[str, ...] = ("unix:/a",)
    timeout: float = 30.0
    max_size: int = 1000
    at_once: int = 10
    wait: float = 20.0
    suspected: tuple[str, ...] = ("PUA.",)
    self_test: bool = True


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
    """The daemon's side of one connection to a clamd."""

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self.protocol = protocol
        self.open = True
        self.asked = 0

    def abortConnection(self) -> None:
        self.disconnecting = True
        self.close()

    def close(self) -> None:
        """clamd closes it, or we did."""
        if self.open:
            self.open = False
            self.producer = None
            self.protocol.connectionLost(Failure(ConnectionDone()))

    def pull(self) -> bytes:
        """All that clamd would read of what it has not read yet."""
        for _ in range(1000):
            if self.producer is None:
                break
            self.producer.resumeProducing()
        value = self.value()
        self.clear()
        return value

    def answer(self, text: bytes) -> None:
        """clamd's answer to the next question."""
        self.asked += 1
        self.protocol.dataReceived(b"%d: %b\0" % (self.asked, text))


@dataclass(eq=False)
class Server:
    """One clamd.

    Attributes:
        says: what it answers to a message, by its content; empty: nothing. None: the test answers itself.
        version: what it answers to VERSION.
        there: whether it takes connections.
        connections: all there were.
        heard: the messages that it was given.
    """

    says: Callable[[bytes], bytes] | None = field(default=lambda _message: b"stream: OK")
    version: bytes = VERSION
    there: bool = True
    closes: bool = False
    connections: list[Connection] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)

    def serve(self) -> bool:
        """Read and answer what has come; whether there was anything."""
        served = False
        for connection in self.connections:
            if not connection.open or (self.says is None and connection.producer is None):
                continue
            data = connection.pull().removeprefix(b"zIDSESSION\0") if self.says is not None else b""
            if not data:
                continue
            served = True
            if data == b"zVERSION\0":
                if self.version:
                    connection.answer(self.version)
                continue
            message = instream(data)
            self.heard.append(message)
            if self.closes:
                connection.close()
            elif self.says is not None and (said := self.says(message)):
                connection.answer(said)
        return served

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
    """An engine of some clamds, ``a``, ``b`` …"""

    def __init__(self, count: int = 1, **settings: Any) -> None:
        self.servers = {f"unix:/{name}": Server() for name in "abcdefgh"[:count]}
        self.reactor = Reactor(self.servers)
        self.output = io.StringIO()
        terms = Settings(addresses=tuple(self.servers), **settings)
        log = Log("test", stream=self.output)
        self.engine = Engine(
            self.reactor,
            "clamd",
            terms,
            lambda changed: [
                Endpoint(self.reactor, place, Clamd(terms), log, changed) for place in terms.addresses
            ],
        )
        self.results: list[Any] = []

    def __getitem__(self, number: int) -> Server:
        return list(self.servers.values())[number]

    def scan(self, *chunks: bytes, timeout: float | None = None) -> Deferred[ScanResult | ScanFailed]:
        """Begin to scan a message; its result is the last of ``results``."""
        scanning = Deferred.fromCoroutine(self.engine.scan(Message(*chunks or (b"x",)), timeout))
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


def instream(data: bytes) -> bytes:
    """The message in a whole question."""
    command, _, rest = data.partition(b"\0")
    assert command == b"zINSTREAM", data
    message = b""
    while True:
        (length,) = struct.unpack(">I", rest[:4])
        if not length:
            assert rest[4:] == b"", "more than a question"
            return message
        message += rest[4 : 4 + length]
        rest = rest[4 + length :]
