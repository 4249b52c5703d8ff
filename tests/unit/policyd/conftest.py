"""policyd without sockets, threads and sleeping: the clock and the store do nothing by themselves."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbase.config import loads
from mailbase.dns import TableResolver
from mailbase.lists.board import Board
from mailbase.lists.roster import Roster
from mailbase.logs import Log
from mailbase.store import Store
from mailbase.store.database import Database
from policyd.checks.rate import Limiting
from policyd.end_of_data.tickets import TICKETS, Tickets
from policyd.engine.decision import Decision
from policyd.engine.engine import Engine
from policyd.engine.policy import build_policy, terms_of
from policyd.engine.transactions import Transactions
from policyd.evidence.deadline import Patience
from policyd.evidence.gathering import Gatherer
from policyd.exceptions.book import EXCEPTIONS, Book, StoreShelf
from policyd.greylist.ledger import StoreLedger
from policyd.limits.charges import CHARGES, Charges
from policyd.limits.ledger import StoreLimits
from policyd.limits.seen import Seen
from policyd.observability.metrics import Metrics
from policyd.observability.recorder import Recorder
from policyd.protocol.request import Request, request_of
from policyd.reputation.networks import REPUTATION, Reputation
from policyd.reputation.outcomes import OUTCOMES, Outcomes
from policyd.reputation.traps import Traps
from policyd.state.tables import TABLES
from tests.unit.workers import ManualWorker

START = 1_800_000_000.0

REGISTRY = """
default_server: mail.inst.example
upstreams: [203.0.113.0/24, "2001:db8:aaaa::/48"]
servers:
  mail.inst.example:
    addresses: [192.0.2.25]
    domains: {inst.example: , quiet.example: {greylisting: false}}
    systems: [198.51.100.0/24, "2001:db8:1::/48", printer.inst.example, 203.0.113.77]
"""


NO_EVIDENCE = "flows: {inbound: {checks: false}}"
"""What most tests are not about."""


class Bench:
    """An engine with everything below it."""

    def __init__(
        self, folder: Path, configuration: str = NO_EVIDENCE, registry: str | None = REGISTRY
    ) -> None:
        text = "identity: {hostname: mx.gate.example}\n" + configuration
        if registry is not None:
            (folder / "registry.yaml").write_text(registry)
            text += "\nregistry: registry.yaml\n"
        self.folder = folder
        self.settings = loads(text, folder=folder)
        self.clock = Clock()
        self.clock.advance(START)
        self.stream = io.StringIO()
        self.log = Log("policyd", stream=self.stream)
        self.failures: list[tuple[str, Exception]] = []
        self.instances = 0
        self.resolver = TableResolver({}, clock=self.clock)
        self.callout: Any = None
        self.metrics = Metrics()
        self.roster = Roster()
        self.open()

    def open(self) -> None:
        """As at the start of the daemon."""
        self.worker = ManualWorker()
        self.store = Store(
            Database(self.folder / "state.sqlite", TABLES),
            self.clock,
            self.log,
            worker=self.worker,
            copier=ManualWorker(),
        )
        self.store.start()
        self.ledger = StoreLedger(self.store, terms_of(self.settings), self.settings.store.on_error)
        self.ledger.load_allowed(self.clock.seconds())
        self.tickets = Tickets(self.store.table(TICKETS.name), Deferred.fromCoroutine)
        self.book = Book(StoreShelf(self.store.table(EXCEPTIONS.name)), self.clock, self.log)
        self.book.start()
        recorder = Recorder(self.log, self.metrics)
        self.limits = StoreLimits(self.store)
        self.charges = Charges(
            self.store.table(CHARGES.name), self.limits, Deferred.fromCoroutine, recorder.limit_refunded
        )
        transactions = Transactions()
        greylist = self.settings.policyd.greylist
        self.reputation = Reputation(
            self.store.table(REPUTATION.name),
            Deferred.fromCoroutine,
            self.clock.seconds,
            self.settings.spamtraps.remember,
            (greylist.network_v4, greylist.network_v6),
        )
        self.outcomes = Outcomes(self.store.table(OUTCOMES.name), Deferred.fromCoroutine, self.clock.seconds)
        policy = build_policy(
            self.settings,
            self.ledger,
            Gatherer(self.resolver, self.clock.seconds, recorder, self.clock.seconds).gather,
            self.book.rules,
            Limiting(self.limits, Seen(), transactions.accepted, recorder),
            self.roster,
            self.callout,
            self.reputation,
            outcomes=self.outcomes,
        )
        self.metrics.know_limits(policy.limits)
        self.engine = Engine(
            policy,
            self.tickets,
            self.clock.seconds,
            self,
            Patience(self.clock).wait,
            transactions=transactions,
            charges=self.charges,
            trapped=Traps(self.reputation, recorder.spamtrap).sprung,
        )
        lists = policy.dns_lists
        self.lists = Board(self.clock, self.resolver, self.log, self.roster)
        self.lists.adopt(lists, self.settings.policyd.list_health)
        self.metrics.count_facts((one.kind, fact) for one in lists for fact in one.facts)

    def check_failed(self, check: str, error: Exception) -> None:
        """See :class:`policyd.engine.engine.Watch`."""
        self.failures.append((check, error))

    def late(self) -> None:
        """Likewise."""
        self.metrics.late += 1

    def restart(self) -> None:
        """End in order and start again."""
        self.store.close()
        self.open()

    def request(self, **attributes: str) -> Request:
        self.instances += 1
        return request_of(
            {
                "request": "smtpd_access_policy",
                "protocol_state": "RCPT",
                "client_address": "192.0.2.1",
                "client_name": "mail.sender.example",
                "reverse_client_name": "mail.sender.example",
                "sender": "someone@sender.example",
                "recipient": "person@inst.example",
                "instance": f"1a.{self.instances}.0",
                **attributes,
            }
        )

    def decide(self, **attributes: str) -> Decision:
        decision = self.engine.decide(self.request(**attributes))
        assert isinstance(decision, Decision)
        return decision

    def reply(self, **attributes: str) -> str:
        return self.decide(**attributes).reply

    def action(self, **attributes: str) -> str:
        """The reply's first word."""
        return self.reply(**attributes).partition(" ")[0]


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(configuration: str = NO_EVIDENCE, registry: str | None = REGISTRY) -> Bench:
        folder = tmp_path / f"bench{len(made)}"
        folder.mkdir()
        made.append(Bench(folder, configuration, registry))
        return made[-1]

    yield make
    for bench in made:
        bench.store.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


@pytest.fixture
def config(tmp_path: Path) -> str:
    """The path of a configuration for whoever calls policyd."""
    path = tmp_path / "postwarden.yaml"
    path.write_text(f"policyd: {{control: {tmp_path}/p.sock}}\n")
    return str(path)
