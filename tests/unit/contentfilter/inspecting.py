"""An inspector whose pool, clamd, policyd and quarantine are scripted, for the tests of it."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from contentfilter.backends import Backends
from contentfilter.content.results import ScanResult
from contentfilter.disposition.disposition import Answer, Disposition
from contentfilter.disposition.verdict import Verdict
from contentfilter.engines.seat import Name as EngineName
from contentfilter.inspector import MailInspector
from contentfilter.metrics import Metrics
from contentfilter.origin.received import Hop
from contentfilter.recall import Recall
from contentfilter.session.envelope import Client, Envelope
from contentfilter.session.envelope import Path as MailPath
from contentfilter.spool.spool import Spool
from mailbase.config import ListenerSettings, Settings, loads
from mailbase.control import ControlError
from mailbase.evidence import Evidence
from mailbase.logs import Log
from mailbase.registry import load_registry
from mailbase.report import Report
from mailbase.vocabulary import Finding, Flow

ID = "0123456789abc"
MACRO = Finding("office-macro", "2/a.docm")
VIRUS = Finding("virus", "", "Eicar")
LISTENER = ListenerSettings(listen="127.0.0.1:10024", reinject="127.0.0.1:10025")
AFTER_QUEUE = LISTENER.model_copy(update={"flow": Flow.SUBMISSION})
TICKETED = b"X-Postwarden-Id: " + ID.encode() + b"\r\nReceived: from x\r\nSubject: hi\r\n\r\nbody\r\n"
REGISTRY = """
default_server: mail.inst.example
upstreams: [198.51.100.0/24]
servers:
  mail.inst.example:
    addresses: [192.0.2.25]
    systems: [192.0.2.0/24]
    domains:
      inst.example:
      lax.example: {actions: {office-macro: accept}, unscanned: {failed: accept}}
      open.example: {protection: false}
"""


@dataclass
class FakePool:
    result: Any = field(default_factory=ScanResult)
    asked: list[tuple[int, float | None]] = field(default_factory=list)
    answer: Deferred[Any] | None = None
    given: Any = None
    dotted: list[bool] = field(default_factory=list)

    async def scan(
        self,
        message: int | bytes,
        wire_size: int,
        timeout: float | None = None,
        given: Any = None,
        dotted: bool = True,
    ) -> Any:
        if isinstance(message, int):
            os.close(message)
        self.given = given
        self.dotted.append(dotted)
        self.asked.append((wire_size, timeout))
        return self.result if self.answer is None else await self.answer


@dataclass
class FakeClamd:
    result: Any = field(default_factory=ScanResult)
    answer: Deferred[Any] | None = None
    name: EngineName = "clamd"
    idle: bool = True
    asked: list[float | None] = field(default_factory=list)

    async def scan(self, message: Spool, timeout: float | None = None) -> Any:
        self.asked.append(timeout)
        return self.result if self.answer is None else await self.answer


@dataclass
class FakePolicyd:
    answer: Any = None
    asked: list[Any] = field(default_factory=list)

    async def request(self, verb: str, arguments: dict[str, Any], timeout: float) -> dict[str, Any]:
        self.asked.append((verb, arguments, timeout))
        if self.answer is None:
            raise ControlError("not reachable")
        return {"ok": True, **self.answer}


@dataclass
class FakeQuarantine:
    problem: OSError | None = None
    kept: list[Verdict] = field(default_factory=list)
    kept_for: list[tuple[Verdict, Envelope]] = field(default_factory=list)
    taken_back: list[str] = field(default_factory=list)

    def take_back(self, name: str) -> None:
        self.taken_back.append(name)

    async def keep(
        self, verdict: Verdict, envelope: Envelope, message: object, now: float, reinject: str
    ) -> Path:
        assert reinject == LISTENER.reinject
        if self.problem is not None:
            raise self.problem
        self.kept.append(verdict)
        self.kept_for.append((verdict, envelope))
        return Path("/quarantine/file")


class Scene:
    def __init__(
        self,
        tmp_path: Path,
        *,
        clamd: FakeClamd | None = None,
        configuration: str = "",
        registry: str = REGISTRY,
    ) -> None:
        (tmp_path / "registry.yaml").write_text(registry)
        text = "identity: {hostname: mx.example.org, contact: 'https://help.example'}\n"
        loaded = loads(text + configuration)
        self.settings = loaded.with_registry(load_registry(tmp_path / "registry.yaml"))
        self.clock = Clock()
        self.output = io.StringIO()
        self.reports: list[Report] = []
        self.looked: list[Any] = []
        self.found: tuple[Hop | None, Evidence | None] = (None, None)
        self.ident = ""
        self.registry = CollectorRegistry()
        self.pool, self.policyd, self.quarantine = FakePool(), FakePolicyd(), FakeQuarantine()
        self.backends = Backends(
            self.settings,
            self.pool,  # type: ignore[arg-type]
            [clamd] if clamd is not None else [],
            self.policyd,
            self.quarantine,  # type: ignore[arg-type]
            self,
            self,
        )
        log = Log("test", stream=self.output)
        self.inspector = MailInspector(
            self.clock,
            self.backends,
            log,
            metrics := Metrics(self.registry),
            lambda: 1795312800.0,
            recall=Recall(self.clock.seconds, 3600.0, metrics),
        )
        self.folder = tmp_path
        self.spool = Spool(tmp_path, 1 << 20)

    async def look(
        self, settings: Settings, envelope: Envelope, head: bytes, ticket_id: str, patience: float
    ) -> tuple[Hop | None, Evidence | None]:
        """See :class:`contentfilter.origin.origin.Investigator`."""
        self.looked.append((head, ticket_id, patience))
        return self.found

    def report(self, report: Report) -> None:
        """See :class:`contentfilter.backends.Reporter`."""
        self.reports.append(report)

    def start(
        self,
        wire: bytes = b"Subject: hi\r\n\r\nbody\r\n",
        client: str = "203.0.113.9",
        listener: ListenerSettings = LISTENER,
        deadline: float = 75.0,
        recipients: tuple[str, ...] = ("r@inst.example",),
        lmtp: bool = False,
        inseparable: bool = False,
    ) -> Deferred[tuple[str, Disposition]]:
        self.spool = Spool(self.folder, 1 << 20)
        self.spool.write(wire)
        envelope = Envelope(
            MailPath("Sender@x.example", b"<Sender@x.example>"),
            Client("c.example", client, ident=self.ident),
            [],
            [MailPath(address, f"<{address}>".encode()) for address in recipients],
            lmtp=lmtp,
            inseparable=inseparable,
        )
        return Deferred.fromCoroutine(self.inspector.inspect(envelope, self.spool, listener, deadline))

    def inspect(self, *args: Any, **kwargs: Any) -> tuple[str, Disposition]:
        results: list[Any] = []
        self.start(*args, **kwargs).addBoth(results.append)
        (result,) = results
        assert isinstance(result, tuple), result
        return result

    def count(self, name: str, /, **labels: str) -> float:
        value = self.registry.get_sample_value(name, labels)
        assert value is not None, name
        return value


def reply(disposition: Disposition) -> tuple[int, str]:
    assert isinstance(disposition, Answer)
    return disposition.reply.code, disposition.reply.status


def codes(disposition: Disposition) -> dict[int, int]:
    return {place: reply.code for place, reply in disposition.apart.items()}
