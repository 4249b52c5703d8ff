"""The Twisted edge of the maps: connections of Postfix's processes, which ask one question at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from mailbase.logs import Log
from mailbase.registry import Registry
from policyd.socketmap.counts import OTHER, Counts
from policyd.socketmap.maps import MAPS
from policyd.socketmap.protocol import (
    NOTFOUND,
    Answer,
    Query,
    Result,
    SocketmapError,
    SocketmapProtocol,
    encode,
)

_NO_REGISTRY = Answer(
    Result.PERM, "no registry is configured; postwarden.yaml names one with the key registry"
)
_BROKEN = Answer(Result.TEMP, "internal error, see policyd's log")


class SocketmapServer(Factory):
    """Answers from the registry in force.

    Arguments:
        registry: gives it; None if none is configured.
        counts: of questions.
        log: for what is no question, and for faults of ours.
    """

    noisy = False

    def __init__(self, registry: Callable[[], Registry | None], counts: Counts, log: Log) -> None:
        self._registry = registry
        self._counts = counts
        self._log = log
        self.connections: set[SocketmapConnection] = set()

    def buildProtocol(self, addr: object) -> SocketmapConnection:
        return SocketmapConnection(self)

    def finish(self) -> None:
        """Close every connection; no question is ever in flight between two turns of the reactor."""
        for connection in list(self.connections):
            connection.close()

    def answer(self, query: Query) -> Answer:
        """Look up, and count."""
        answer = self._look_up(query)
        self._counts.lookups[query.map if query.map in MAPS else OTHER, answer.result] += 1
        return answer

    def _look_up(self, query: Query) -> Answer:
        look_up = MAPS.get(query.map)
        if look_up is None:
            return Answer(Result.PERM, f"unknown map '{query.map}'; there are {', '.join(MAPS)}")
        try:
            registry = self._registry()
            if registry is None:
                return _NO_REGISTRY
            found = look_up(registry, query.key)
        except Exception as error:  # noqa: BLE001 - the boundary: logged and counted, and the mail waits
            self._log.exception("socketmap-failed", error, map=query.map)
            return _BROKEN
        return NOTFOUND if found is None else Answer(Result.OK, found)

    def failed(self, reason: str, peer: str) -> None:
        """Something else than a netstring came in."""
        self._counts.errors[reason] += 1
        self._log.warning("socketmap-protocol-error", reason=reason, peer=peer)


class SocketmapConnection(Protocol):
    """One connection. It stays open until the other side closes it, as Postfix does when it is idle."""

    def __init__(self, server: SocketmapServer) -> None:
        self._server = server
        self._protocol = SocketmapProtocol()

    def connectionMade(self) -> None:
        self._server.connections.add(self)
        transport: Any = self.transport
        # Whoever asks and does not read the answers is not read any further.
        transport.registerProducer(self, True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._server.connections.discard(self)

    def dataReceived(self, data: bytes) -> None:
        answers = []
        failure = None
        for event in self._protocol.feed(data):
            if isinstance(event, SocketmapError):
                failure = event
            else:
                answers.append(encode(self._server.answer(event)))
        transport: Any = self.transport
        if answers:
            transport.write(b"".join(answers))
        if failure is not None:
            self._server.failed(failure.reason, str(getattr(transport.getPeer(), "host", "unix")))
            self.close()

    def pauseProducing(self) -> None:
        transport: Any = self.transport
        transport.pauseProducing()

    def resumeProducing(self) -> None:
        transport: Any = self.transport
        transport.resumeProducing()

    def stopProducing(self) -> None:
        """The connection is lost; nothing is waiting."""

    def close(self) -> None:
        """Close once the answers are out."""
        transport: Any = self.transport
        # Twisted waits for a registered producer before it closes.
        transport.unregisterProducer()
        transport.loseConnection()
