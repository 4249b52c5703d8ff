"""clamds without a clamd: every connection is in memory, and the test says what is answered."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.engines.clamd import Clamd

from . import enginedoubles
from .enginedoubles import Message

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


class Connection(enginedoubles.Connection):
    """The daemon's side of one connection to a clamd."""

    def __init__(self, protocol: Any) -> None:
        super().__init__(protocol)
        self.asked = 0

    def answer(self, text: bytes) -> None:
        """clamd's answer to the next question."""
        self.asked += 1
        self.protocol.dataReceived(b"%d: %b\0" % (self.asked, text))


@dataclass(eq=False)
class Server(enginedoubles.Server):
    """One clamd.

    Attributes:
        says: what it answers to a message, by its content; empty: nothing. None: the test answers itself.
        version: what it answers to VERSION.
        closes: whether it closes the connection in place of an answer.
    """

    says: Callable[[bytes], bytes] | None = lambda _message: b"stream: OK"
    version: bytes = VERSION
    closes: bool = False

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


class Scene(enginedoubles.Scene):
    """An engine of some clamds, ``a``, ``b`` …"""

    def __init__(self, count: int = 1, connection: type[Connection] = Connection, **settings: Any) -> None:
        servers = {f"unix:/{name}": Server() for name in "abcdefgh"[:count]}
        terms = Settings(addresses=tuple(servers), **settings)
        super().__init__(Clamd(terms), terms, servers, connection)

    def scan(self, *chunks: bytes, timeout: float | None = None) -> Deferred[ScanResult | ScanFailed]:
        """Begin to scan a message; its result is the last of ``results``."""
        return self.begin(Message(*chunks or (b"x",)), timeout)


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
