"""Spam engines without a spam engine: every connection is in memory, and the test says what is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from contentfilter.spamengines.dialects import Rspamd, Spamd
from contentfilter.spamengines.question import Asked
from mailbase.vocabulary import Flow

from . import enginedoubles
from .enginedoubles import Message

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


@dataclass(eq=False)
class Server(enginedoubles.Server):
    """One engine.

    Attributes:
        says: what it answers to a question; empty: nothing. None: the test answers itself.
        pong: what it answers to a probe.
        keeps: whether it leaves the connection open after an answer.
    """

    says: Callable[[bytes], bytes] | None
    pong: bytes
    keeps: bool = False

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


class Scene(enginedoubles.Scene):
    """An engine in some places, ``a``, ``b`` …

    Arguments:
        name: ``rspamd`` or ``spamassassin``.
    """

    def __init__(self, name: str = "rspamd", count: int = 1, **settings: Any) -> None:
        answer = http(HAM) if name == "rspamd" else spamd()
        pong = http(b"pong\r\n") if name == "rspamd" else b"SPAMD/1.5 0 PONG\r\n"
        servers = {f"unix:/{name}": Server(lambda _: answer, pong) for name in "abcdefgh"[:count]}
        terms = Settings(addresses=tuple(servers), **settings)
        super().__init__(Rspamd(terms) if name == "rspamd" else Spamd(terms), terms, servers)

    def ask(self, *chunks: bytes, timeout: float | None = None, **known: Any) -> Deferred[Any]:
        """Begin to ask about a message; the answer is the last of ``results``."""
        return self.begin(Asked(Message(*chunks or (b"x\r\n",)), **known), timeout)
