"""contentfilter as it is wired, in simulated time: Postfix, policyd, clamds and workers are the test's."""

from __future__ import annotations

import io
from collections import ChainMap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from contentfilter import app
from contentfilter.app import Daemon
from contentfilter.content.results import ScanResult
from contentfilter.engines.program import Ended
from contentfilter.pool.frames import Done, Ready
from contentfilter.pool.messages import Task
from contentfilter.pool.process import Events
from mailbase.config import load
from mailbase.control.protocol import decode, encode
from mailbase.logs import Log
from tests.unit.names import Names

from . import clamds, enginedoubles, spamdoubles

ID = "0123456789abc"
REGISTRY = """
default_server: mail.inst.example
upstreams: [198.51.100.0/24]
servers:
  mail.inst.example:
    addresses: [192.0.2.25]
    administrators: [{name: Ada, email: ada@inst.example}]
    domains:
      inst.example:
      free.example: {protection: false}
      strict.example: {actions: {office-dde: reject}}
"""
CONFIGURATION = """
identity: {{hostname: mx.gate.example}}
registry: registry.yaml
dns: {{servers: [{servers}], in_flight: 2, backlog: 1, cache_size: {cache}}}
spamtraps: {{addresses: [trap@inst.example]}}
policyd: {{control: {folder}/policyd}}
flows: {{inbound: {{tag_at: 4, checks: {{helo: true}}}}, upstream: {{tag_at: 4, checks: {{helo: true}}}}}}
contentfilter:
  control: {folder}/control
  spool: {{folder: {folder}/spool}}
  quarantine: {{folder: {folder}/quarantine}}
  allowed_macros: {folder}/allowed
  workers: {{count: 1, backlog: {backlog}}}
  clamd: {{addresses: ["unix:/a", "unix:/b"], at_once: 1}}
  command: {{run: [/bin/engine, "{{file}}"]}}
  urls: {{lists: {{black: {{zone: list.example}}}}}}
"""
LISTED = {
    ("test.list.example.", "A"): "127.0.0.2",
    ("evil.com.list.example.", "A"): "127.0.0.2",
}
SINK = b"220 hi\r\n"
CLIENT = "203.0.113.9"
UPSTREAM = "198.51.100.7"


class Line(StringTransport):
    """One end of a connection in memory."""

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self.protocol = protocol
        self.open = True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """See :class:`twisted.internet.interfaces.ITCPTransport`."""

    def abortConnection(self) -> None:
        self.loseConnection()

    def loseConnection(self) -> None:
        super().loseConnection()
        if self.open:
            self.open = False
            self.producer = None
            self.protocol.connectionLost(Failure(ConnectionDone()))

    def take(self) -> bytes:
        """What was written, and what a pull producer has to say."""
        while self.producer is not None and not self.streaming:
            before = len(self.value())
            self.producer.resumeProducing()
            if len(self.value()) == before:
                break
        value = self.value()
        self.clear()
        return value


class Worker:
    """A scan worker."""

    def __init__(self, wired: Wired, events: Events) -> None:
        self.pid = 1
        self._wired = wired
        self.events = events
        wired.reactor.callLater(0, events.answered, Ready())

    def give(self, task: Task, descriptor: int) -> None:
        self._wired.tasks += 1
        if self._wired.result is not None:
            self._wired.reactor.callLater(0.01, self.events.answered, Done(self._wired.result))

    def retire(self) -> None:
        self._wired.reactor.callLater(0, self.events.ended, "exit 0")

    def kill(self) -> None:
        self._wired.reactor.callLater(0, self.events.ended, "SIGKILL")


class Reactor(enginedoubles.Reactor):
    """Simulated time; what should run once the reactor does, runs at its next turn."""

    wired: Wired

    def callWhenRunning(self, callable: Any, *args: Any, **kw: Any) -> None:
        self.callLater(0, callable, *args, **kw)

    def getThreadPool(self) -> None:
        return None

    def connectTCP(self, host: str, port: int, factory: Any, *args: Any, **kwargs: Any) -> Any:
        connector = super().connectTCP(host, port, factory, *args, **kwargs)
        self.callLater(0, self.wired.postfix_connected, factory)
        return connector

    def connectUNIX(self, address: str, factory: Any, *args: Any, **kwargs: Any) -> Any:
        connector = super().connectUNIX(address, factory, *args, **kwargs)
        if address.endswith("/policyd"):
            self.callLater(0, self.wired.policyd_connected, factory)
        return connector


class Wired:
    """A daemon, and all around it.

    Attributes:
        result: what workers find; None: nothing is answered.
        postfix: what the reinjection port answers to the end of data; empty: it is not there.
        policyd: verb → answer; None: it is not there.
        spam_engines: by place; empty at first.
        tasks: mails that workers were given.
        names: DNS.
        patch: undone when the test ends.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, backlog: int = 200) -> None:
        self.folder = folder
        self.patch = patch
        self.result: ScanResult | None = ScanResult(parts=1)
        self.postfix = b"250 2.0.0 Ok: queued as 4XYZ"
        self.policyd: dict[str, dict[str, Any]] | None = {}
        self.tasks = 0
        self.clamds = {"unix:/a": clamds.Server(), "unix:/b": clamds.Server()}
        self.spam_engines: dict[str, spamdoubles.Server] = {}
        # Those that a test adds later can be reached too.
        self.reactor = Reactor(ChainMap({}, self.clamds, self.spam_engines), clamds.Connection)
        self.reactor.wired = self
        self.stream = io.StringIO()
        self._backs: list[Line] = []
        self._control: list[Line] = []
        self._clients: list[Line] = []
        self.names = Names(self.reactor, LISTED)
        patch.setattr(app, "build_resolver", self.names.resolver)
        patch.setattr(app, "launcher", lambda *_: self)
        patch.setattr("contentfilter.engines.assembly.ProgramRunner", lambda _reactor: self)
        patch.setattr(app, "deferToThreadPool", lambda reactor, pool, work: _now(work))
        for server in self.clamds.values():
            server.says = lambda message: (
                b"stream: Eicar FOUND" if b'filename="eicar' in message else b"stream: OK"
            )
        self.write(backlog=backlog)
        path = folder / "c.yaml"
        self.daemon = Daemon(self.reactor, path, (), load(path), Log("contentfilter", stream=self.stream))
        self.daemon.start()
        self.registry: CollectorRegistry = self.daemon.registry

    def write(
        self,
        registry: str = REGISTRY,
        backlog: int = 200,
        more: str = "",
        servers: str = "192.0.2.53",
        cache: str = "1MiB",
    ) -> None:
        """Write the configuration."""
        (self.folder / "registry.yaml").write_text(registry)
        text = CONFIGURATION.format(folder=self.folder, backlog=backlog, servers=servers, cache=cache)
        (self.folder / "c.yaml").write_text(text + more)

    def launch(self, events: Events) -> Worker:
        """See :class:`contentfilter.pool.process.Launcher`."""
        self.worker = Worker(self, events)
        return self.worker

    def launcher_of(self, kind: Callable[[Wired, Any], Any]) -> Any:
        """A launcher of other processes."""
        wired = self

        class Launcher:
            def launch(self, events: Any) -> Any:
                return kind(wired, events)

        return Launcher()

    def run(self, command: Sequence[str], stdin: int, seconds: float) -> Deferred[Ended]:
        """See :class:`contentfilter.engines.program.Runner`."""
        infected = b"eicar" in Path(command[-1]).read_bytes()
        return succeed(Ended(int(infected), b"f: Eicar FOUND" if infected else b""))

    def pass_time(self, seconds: float = 0.5, step: float = 0.05) -> None:
        """Let time pass, and all happen in it."""
        for _ in range(round(seconds / step)):
            self.reactor.advance(step)
            for server in (*self.clamds.values(), *self.spam_engines.values()):
                server.serve()
            self._answer_mail()
            self._answer_questions()

    # Postfix behind

    def postfix_connected(self, factory: Any) -> None:
        if not self.postfix:
            factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
            return
        line = _connected(factory.buildProtocol(None))
        self._backs.append(line)
        line.protocol.dataReceived(b"220 sink ESMTP\r\n")

    def _answer_mail(self) -> None:
        for line in self._backs:
            said = line.take() if line.open else b""
            if not said:
                continue
            if said.endswith(b"\r\n.\r\n"):
                line.protocol.dataReceived(self.postfix + b"\r\n")
                continue
            for command in said.splitlines():
                verb = command[:4].upper()
                if verb == b"EHLO":
                    line.protocol.dataReceived(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
                elif verb in (b"MAIL", b"RCPT", b"XFOR", b"RSET"):
                    line.protocol.dataReceived(b"250 2.1.0 Ok\r\n")
                elif verb == b"DATA":
                    line.protocol.dataReceived(b"354 go\r\n")
                elif verb == b"QUIT":
                    line.protocol.dataReceived(b"221 bye\r\n")
                    line.loseConnection()
                    break

    # policyd

    def policyd_connected(self, factory: Any) -> None:
        if self.policyd is None:
            factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        else:
            self._control.append(_connected(factory.buildProtocol(None)))

    def _answer_questions(self) -> None:
        for line in self._control:
            for question in line.take().splitlines() if line.open else ():
                verb = decode(question)["verb"]
                answer = (self.policyd or {}).get(verb, {"found": False, "known": True})
                line.protocol.dataReceived(encode({"ok": True, **answer}))

    # Postfix in front

    def connect(self, listener: int = 0) -> Line:
        """A client's connection."""
        line = _connected(self.daemon.factories[listener].buildProtocol(None))
        self._clients.append(line)
        return line

    def begin(
        self, *recipients: str, client: str = CLIENT, head: bytes = b"", line: Line | None = None
    ) -> Line:
        """A mail up to the end of its data, which is not said yet."""
        line = line or self.connect()
        commands = [
            b"EHLO x",
            f"XFORWARD ADDR={client} HELO=helo.example".encode(),
            b"MAIL FROM:<s@x.example>",
        ]
        commands += [f"RCPT TO:<{recipient}>".encode() for recipient in recipients or ("r@inst.example",)]
        for command in (*commands, b"DATA"):
            line.protocol.dataReceived(command + b"\r\n")
        line.protocol.dataReceived(head + b"Subject: hi\r\n\r\nbody\r\n")
        return line

    def mail(self, *recipients: str, ticket: dict[str, Any] | None = None, **more: Any) -> str:
        """One mail; the last line of the reply."""
        if ticket is not None and self.policyd is not None:
            self.policyd["ticket"] = {"found": True, "flow": "inbound", **ticket}
            more["head"] = f"X-Postwarden-Id: {ID}\r\n".encode()
        self.pass_time(0.2)
        line = self.begin(*recipients, **more)
        line.clear()
        line.protocol.dataReceived(b".\r\n")
        self.pass_time(1)
        said = line.take().decode().splitlines()
        return said[-1] if said else ""

    # What is exported

    def families(self) -> list[str]:
        """The names of the daemon's own metrics."""
        return [family.name for family in self.registry.collect() if family.name.startswith("contentfilter_")]

    def samples(self, family: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """All samples of a family, by name and labels."""
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for found in self.registry.collect()
            if found.name == family
            for sample in found.samples
        }

    def end(self) -> None:
        """Let go of connections."""
        for line in (*self._clients, *self._backs, *self._control):
            if line.open:
                line.loseConnection()


def _connected(protocol: Any) -> Line:
    line = Line(protocol)
    protocol.makeConnection(line)
    return line


def _now(work: Callable[[], Any]) -> Deferred[Any]:
    done: Deferred[Any] = Deferred()
    try:
        done.callback(work())
    except Exception:
        done.errback()
    return done
