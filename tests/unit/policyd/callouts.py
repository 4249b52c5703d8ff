"""Callouts with servers that are a table: what each answers, after how long, and what it was asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred

from mailbase.config import loads
from mailbase.dns import TableResolver
from mailbase.replies import Reply
from mailbase.store import Store
from mailbase.store.database import Database
from policyd.callout.callouts import Callouts
from policyd.callout.conversation import Outcome, Script
from policyd.callout.result import Result, Target
from policyd.callout.results import Results
from policyd.limits.ledger import StoreLimits
from policyd.state.tables import TABLES

REGISTRY = """
servers:
  mail.inst.example:
    addresses: [192.0.2.25, "2001:db8::25"]
    backup: mail2.inst.example
    domains: {inst.example: , other.example: }
    systems: [printer.inst.example]
  mail2.inst.example: {addresses: 192.0.2.26}
  lone.example: {addresses: 192.0.2.40, domains: {lone.example: }}
  sure.example:
    addresses: 192.0.2.41
    domains: {sure.example: {existing: [Ada@sure.example, eve@sure.example]}}
  named.example: {domains: {named.example: }}
  mx.gate.example: {addresses: 198.51.100.1, backup: lone.example, domains: {own.example: }}
  loop.example: {addresses: [127.0.0.1, 198.51.100.2], domains: {loop.example: }}
"""
OWN = bytes((198, 51, 100))
"""Begin of our own addresses."""
KNOWN, UNKNOWN, CATCH_ALL, TEMPORARY = Result.KNOWN, Result.UNKNOWN, Result.CATCH_ALL, Result.TEMPORARY
ADA = "ada@inst.example"
CLIENT = bytes((198, 18, 0, 7))
MADE_UP = "made-up"


class Call(NamedTuple):
    host: str
    port: int
    script: Script
    name: str
    connect: float
    until: float


class World:
    """Callouts with everything below and around them.

    Attributes:
        users: addresses that exist; others get 550.
        answers: what else servers do, by address: an outcome, or one made from the call.
        delay: seconds until a server answers.
        calls: every connection.
    """

    def __init__(self, clock: Any, log: Any, folder: Path, worker: Any, configuration: str = "") -> None:
        self.clock = clock
        self.folder = folder
        (folder / "registry.yaml").write_text(REGISTRY)
        self.settings = self.load(configuration)
        self.store = Store(
            Database(folder / "callouts.sqlite", TABLES), clock, log, worker=worker, copier=worker
        )
        self.store.start()
        self.resolver = TableResolver({("named.example", "A"): "192.0.2.77"}, clock=clock)
        self.users = {"ada@inst.example", "ada@lone.example", "ada@named.example", "ada@other.example"}
        self.answers: dict[str, Outcome | Callable[[Call], Outcome]] = {}
        self.delay = 0.0
        self.calls: list[Call] = []
        self.results = Results(self.store.table("callouts"), iter(range(1, 1000)).__next__)
        self.callouts = Callouts(
            clock,
            self.settings,
            self.resolver,
            self.results,
            StoreLimits(self.store),
            self.dial,
            log,
            made_up=lambda: MADE_UP,
            own=lambda packed: packed[:3] == OWN,
        )
        self.metrics = self.callouts.metrics

    def load(self, configuration: str) -> Any:
        text = f"identity: {{hostname: mx.gate.example}}\nregistry: registry.yaml\n{configuration}"
        return loads(text, folder=self.folder)

    def dial(self, host: str, port: int, script: Script, name: str, *, connect: float, until: float) -> Any:
        call = Call(host, port, script, name, connect, until)
        self.calls.append(call)
        answer = self.answers.get(host, self._usual)
        outcome = answer if isinstance(answer, Outcome) else answer(call)
        done: Deferred[Outcome] = Deferred()
        if self.delay:
            late = self.clock.seconds() + self.delay > until
            told = Outcome(failure="timed out", stage="banner") if late else outcome
            self.clock.callLater(min(self.delay, until - self.clock.seconds()), done.callback, told)
        else:
            done.callback(outcome)
        return done

    def _usual(self, call: Call) -> Outcome:
        replies = [self._reply(path) for path in call.script.recipients]
        if replies[-1].code == 250:
            replies += [self._reply(probe) for probe in (call.script.probe,) if probe]
        else:
            for control in call.script.controls:
                if replies[-1].code == 550:
                    replies.append(self._reply(control))
        return Outcome(tuple(replies), stage="rcpt")

    def _reply(self, path: bytes) -> Reply:
        known = path.decode().strip("<>").lower() in self.users
        return Reply.relayed([b"250 2.1.5 ok" if known else b"550 5.1.1 no such user"])

    def start(
        self,
        address: str,
        server: str = "",
        client: bytes | None = CLIENT,
        seconds: float = 8.0,
        trace: bool = True,
    ) -> list[Result]:
        """Ask; the result is in the list once it is there."""
        local, _, domain = address.rpartition("@")
        registry = self.settings.registry
        entry = registry.domain(domain) or registry.host_system(domain)
        target = Target(local, domain, server or entry.server)
        found = self.callouts.ask(target, client, self.clock.seconds() + seconds, trace=trace)
        if isinstance(found, Result):
            return [found]
        results: list[Result] = []

        async def wait() -> None:
            results.append(await found)

        Deferred.fromCoroutine(wait())
        return results

    def ask(self, address: str, **how: Any) -> Result:
        """Ask, and have the answer at once."""
        (result,) = self.start(address, **how)
        return result

    def forget(self, domain: str, local: str | None = None) -> bool:
        done: list[bool] = []
        Deferred.fromCoroutine(self.callouts.forget(domain, local)).addCallback(done.append)
        return done[0]

    def configure(self, configuration: str) -> None:
        self.settings = self.load(configuration)
        self.callouts.configure(self.settings)


def replies(*lines: str) -> Outcome:
    """An outcome with these replies."""
    return Outcome(tuple(Reply.relayed([line.encode()]) for line in lines), stage="rcpt")


DOWN = Outcome(failure="cannot connect: refused", stage="connect")
ALL = replies("250 ok", "250 ok")
EOF = Outcome(failure="connection lost", stage="ehlo", handshake_failed=True)


def terms(**values: object) -> str:
    return "policyd: {callout: {" + ", ".join(f"{name}: {value}" for name, value in values.items()) + "}}"
