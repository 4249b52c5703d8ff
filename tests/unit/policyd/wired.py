"""policyd as it is wired, in simulated time, with simulated DNS, recipients' servers, Redis and disk."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

import policyd.state.redis
from mailbase.config import load
from mailbase.logs import Log
from policyd import app
from policyd.app import Daemon
from policyd.callout.conversation import Outcome
from tests.unit.mailbase.store.redis.server import Server as RedisServer
from tests.unit.names import Names
from tests.unit.workers import ManualWorker

from .callouts import replies

KNOWN = replies("250 ok", "550 5.1.1 no such user")

REGISTRY = """
upstreams: [203.0.113.0/24]
servers:
  mail.inst.example:
    addresses: [192.0.2.25]
    domains:
      inst.example: {greylisting: false, existing: ada@inst.example}
      grey.example: {}
      quiet.example: {greylisting: false, callout: false}
  loop.example: {addresses: [127.0.0.1], domains: {loop.example: {greylisting: false}}}
"""
CONFIGURATION = """
identity: {{hostname: mx.gate.example}}
registry: registry.yaml
store: {{url: "{store}"}}
spamtraps: {{addresses: [trap@inst.example]}}
statistics: {{model: {folder}/model}}
privacy: {{retention: 1d}}
dns: {{servers: [{servers}], in_flight: 2, backlog: 1, cache_size: {cache}}}
policyd:
  control: {folder}/control
  deadline: 2s
  journal: {{path: {folder}/journal.sqlite}}
  lists: {{some: {{kind: dnsbl, zone: list.example}}}}
  callout: {{concurrency: 1, failures: 1}}
flows:
  inbound:
    callout: true
    reject_at: 2
    checks: {{fcrdns: {{shadow: true, points: {{no-ptr: 2}}}}, dnsbl: {{points: {{some: 1}}}}}}
    limits: {{some: {{per: client, of: messages, limit: 1000, within: 1h}}}}
  upstream: {{checks: {{fcrdns: true}}}}
"""


LISTED = {
    ("2.0.0.127.list.example.", "A"): "127.0.0.2",
    ("7.0.18.198.list.example.", "A"): "127.0.0.2",
}


class Disk(ManualWorker):
    """The thread of a file, run when told to; a full disk fails each job as SQLite does."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None

    def run(self) -> None:
        if self.error is None:
            super().run()
        while self.jobs:
            self.jobs.popleft()[1](None, self.error)

    def stop(self, timeout: float) -> bool:
        self.error = None
        return super().stop(timeout)


TRAINED = b'{"trained": 1800000000.0, "spam": 300, "ham": 300, "tokens": 1000, "judges": true}'


class Pipe:
    """The way to a process that reads at once."""

    def registerProducer(self, producer: Any, streaming: bool) -> None: ...

    def unregisterProducer(self) -> None: ...


class Child:
    """A process that answers when it has been told all.

    Attributes:
        given: what it was told.
    """

    def __init__(self, protocol: Any, output: bytes) -> None:
        self.pipes = {0: Pipe()}
        self.given = b""
        self._protocol = protocol
        self._output = output

    def writeToChild(self, descriptor: int, data: bytes) -> None:
        self.given += data

    def closeStdin(self) -> None:
        self._protocol.outReceived(self._output)
        self._protocol.processEnded(Failure(ProcessDone(0)))

    def signalProcess(self, signal: str) -> None:
        self._protocol.processEnded(Failure(ProcessTerminated(signal=9)))


class Reactor(MemoryReactorClock):
    """Simulated time; what should run once the reactor does, runs at its next turn.

    Attributes:
        output: what a process prints; None: none can be had.
        children: processes that were started.
    """

    def __init__(self) -> None:
        super().__init__()
        self.output: bytes | None = TRAINED
        self.children: list[Child] = []

    def spawnProcess(self, protocol: Any, *_: Any, **__: Any) -> Child:
        if self.output is None:
            raise OSError(11, "Resource temporarily unavailable")
        self.children.append(Child(protocol, self.output))
        protocol.makeConnection(self.children[-1])
        return self.children[-1]

    def callWhenRunning(self, callable: Any, *args: Any, **kw: Any) -> None:
        self.callLater(0, callable, *args, **kw)

    def callFromThread(self, function: Any, *args: Any) -> None:
        function(*args)

    def getThreadPool(self) -> None:
        return None


class Wired:
    """A daemon, and all around it.

    Attributes:
        names: DNS.
        server: what the recipients' server answers; None: nothing.
        redis: the Redis server.
        disk: of store and journal.
        patch: undone when the test ends.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, on_redis: bool = False) -> None:
        self.folder = folder
        self.patch = patch
        self.store = "redis://192.0.2.1/0" if on_redis else f"sqlite:{folder}/state.sqlite"
        self.reactor = Reactor()
        self.reactor.advance(time.time())
        self.names = Names(self.reactor, LISTED)
        self.server: Outcome | None = KNOWN
        self.redis = RedisServer(self.reactor)
        self.stream = io.StringIO()
        self.mails = 0
        self._calls: list[Deferred[Outcome]] = []
        self._connections: list[Any] = []
        patch.setattr(app, "build_resolver", self.names.resolver)
        patch.setattr(app, "Dialler", lambda reactor: self._dial)
        patch.setattr(app, "deferToThreadPool", lambda reactor, pool, read: _now(read))
        patch.setattr(policyd.state.redis, "connector", lambda *_, **__: self.redis.connect)
        for module in ("mailbase.store.store", "policyd.journal.journal"):
            patch.setattr(f"{module}.ThreadWorker", lambda name, call: self.disk)
        self.write()
        self.begin()

    def write(self, registry: str = REGISTRY, servers: str = "192.0.2.53", cache: str = "1MiB") -> None:
        """Write the configuration."""
        text = CONFIGURATION.format(store=self.store, folder=self.folder, servers=servers, cache=cache)
        (self.folder / "registry.yaml").write_text(registry)
        (self.folder / "c.yaml").write_text(text)

    def begin(self) -> None:
        """Start a daemon."""
        self.disk = Disk()
        path = self.folder / "c.yaml"
        self.daemon = Daemon(self.reactor, path, (), load(path), Log("policyd", stream=self.stream))
        self.daemon.start()
        self.registry = CollectorRegistry()
        self.registry.register(self.daemon.metrics)

    def end(self) -> None:
        """Stop it in order."""
        while self._connections:
            self._connections.pop().connectionLost()
        self.daemon.stop()
        self.daemon.state.close()

    def pass_time(self, seconds: float, step: float = 0.05) -> None:
        """In steps, the disk's thread working after each."""
        for _ in range(round(seconds / step)):
            self.reactor.advance(step)
            self.disk.run()

    def connect(self, factory: Any = None) -> tuple[Any, StringTransport]:
        """A connection to the policy port, or to another of the daemon's."""
        connection, transport = (factory or self.daemon.server).buildProtocol(None), StringTransport()
        connection.makeConnection(transport)
        self._connections.append(connection)
        return connection, transport

    def ask(self, **attributes: str) -> StringTransport:
        """One request in a connection of its own; the reply is there once all is known."""
        self.mails += 1
        attributes = {
            "request": "smtpd_access_policy",
            "protocol_state": "RCPT",
            "client_address": "198.18.0.7",
            "client_name": "unknown",
            "reverse_client_name": "unknown",
            "sender": "someone@sender.example",
            "recipient": "person@inst.example",
            "instance": f"1a.{self.mails}.0",
            **attributes,
        }
        connection, transport = self.connect()
        text = "".join(f"{name}={value}\n" for name, value in attributes.items())
        connection.dataReceived(text.encode() + b"\n")
        return transport

    def verb(self, table: Any, verb: str, **request: Any) -> Any:
        """Ask over the control socket, as it were; the answer, a list where there are several."""
        answer = table.table()[verb](request)
        if isinstance(answer, Iterator):
            return list(answer)
        if isinstance(answer, dict):
            return answer
        told: list[Any] = []
        Deferred.fromCoroutine(answer).addCallback(told.append)
        self.pass_time(1)
        return told[0]

    def mail(self, recipient: str = "person@quiet.example") -> str:
        """RCPT and DATA; the ticket's id."""
        instance = f"mail{self.mails}"
        self.ask(instance=instance, recipient=recipient)
        self.pass_time(0.5)
        reply = self.ask(instance=instance, recipient="", protocol_state="DATA")
        self.pass_time(0.5)
        return reply.value().decode().strip().rpartition(" ")[2]

    def families(self) -> list[str]:
        """The names of what is exported."""
        return [family.name for family in self.registry.collect()]

    def samples(self, family: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """All samples of a family, by name and labels."""
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for found in self.registry.collect()
            if found.name == family
            for sample in found.samples
        }

    def _dial(self, *_: Any, **__: Any) -> Deferred[Outcome]:
        done: Deferred[Outcome] = Deferred()
        self._calls.append(done)
        if self.server is not None:
            self.reactor.callLater(0.01, done.callback, self.server)
        return done


def _now(read: Any) -> Deferred[Any]:
    done: Deferred[Any] = Deferred()
    try:
        done.callback(read())
    except Exception:
        done.errback()
    return done
