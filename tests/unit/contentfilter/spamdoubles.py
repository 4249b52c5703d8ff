"""Spam engines without a spam engine: every connection is in memory, and the test says what is answered."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.engines.endpoint import Endpoint
from contentfilter.engines.engine import Engine
from contentfilter.spamengines.dialects import Rspamd, Spamd
from contentfilter.spamengines.question import Asked
from mailbase.logs import Log
from mailbase.vocabulary import Flow

from .clamds import Connection as ClamdConnection
from .clamds import Message, Reactor

HAM = b'{"is_skipped":false,"score":1.5,"required_score":15.0,"action":"no action","symbols":{}}'


def http(body: bytes, status: bytes = b"200 OK", close: bool = True) -> bytes:
    """Rspamd's answer."""
    way = b"close" if close else b"keep-alive"
    return b"HTTP/1.1 %b\r\nConnection: %b\r\nContent-Length: %d\r\n\r\n%b" % (status, way, len(body), body)


def spamd(symbols: bytes = b"", score: bytes = b"1.5", head: bytes = b"SPAMD/1.1 0 EX_OK") -> bytes:
    """spamd's answer."""
    about = b"Content-length: %d\r\nSpam: False ; %b / 5.0\r\n" % (len(symbols), score)
    return head + b"\r\n" + about + b"\r\n" + symbols


@dataclass
class Settings:
    """``contentfilter.rspamd`` or ``contentfilter.spamassassin``."""

    addresses: tuple[str, ...] = ("unix:/a",)
    timeout: float = 10.0
    max_size: int = 1 << 20
    at_once: int = 10
    wait: float = 5.0
    factor: float = 1.0
    at_least: float = -2.0
    at_most: float = 8.0
    user: str = ""
    flows: tuple[Flow, ...] = tuple(Flow)


class Connection(ClamdConnection):
    """The daemon's side of one connection.

    Attributes:
        finished: whether it has said that nothing follows.
    """

    finished = False

    def loseWriteConnection(self) -> None:
        self.finished = True


@dataclass(eq=False)
class Server:
    """One engine.

    Attributes:
        says: what it answers to a question; empty: nothing. None: the test answers itself.
        pong: what it answers to a probe.
        there: whether it takes connections.
        keeps: whether it leaves the connection open after an answer.
        heard: the questions about mails.
    """

    says: Callable[[bytes], bytes] | None
    pong: bytes
    there: bool = True
    keeps: bool = False
    connections: list[Connection] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)

    def serve(self) -> bool:
        """Read and answer what has come; whether there was anything."""
        served = False
        for connection in self.connections:
            if self.says is None or not connection.open or not (data := connection.pull()):
                continue
            served = True
            probed = data.startswith((b"GET /ping ", b"PING "))
            if not probed:
                self.heard.append(data)
            answer = self.pong if probed else self.says(data)
            if answer:
                connection.protocol.dataReceived(answer)
            if answer and not self.keeps:
                connection.close()
        return served

    def die(self) -> None:
        """Close all connections and take no more."""
        self.there = False
        for connection in self.connections:
            connection.close()


class Scene:
    """An engine in some places, ``a``, ``b`` …

    Arguments:
        name: ``rspamd`` or ``spamassassin``.
    """

    def __init__(self, name: str = "rspamd", count: int = 1, **settings: Any) -> None:
        answer = http(HAM) if name == "rspamd" else spamd()
        pong = http(b"pong\r\n") if name == "rspamd" else b"SPAMD/1.5 0 PONG\r\n"
        self.servers = {f"unix:/{name}": Server(lambda _: answer, pong) for name in "abcdefgh"[:count]}
        self.reactor = Reactor(self.servers, Connection)
        self.output = io.StringIO()
        terms = Settings(addresses=tuple(self.servers), **settings)
        dialect: Any = Rspamd(terms) if name == "rspamd" else Spamd(terms)
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

    def __getitem__(self, number: int) -> Server:
        return list(self.servers.values())[number]

    def ask(self, *chunks: bytes, timeout: float | None = None, **known: Any) -> Deferred[Any]:
        """Begin to ask about a message; the answer is the last of ``results``."""
        message = Asked(Message(*chunks or (b"x\r\n",)), **known)
        asking: Deferred[ScanResult | ScanFailed] = Deferred.fromCoroutine(self.engine.scan(message, timeout))
        asking.addBoth(self.results.append)
        self.settle()
        return asking

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
