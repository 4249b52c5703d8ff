"""A simulated policyd: the real engine and the real checks, over a memory and a clock of their own.

The one place where a simulation is put together. What a check needs of the network it does not get here: what
DNS and recipients' servers said is taken from the recording, and who was not asked then is not asked now.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Coroutine, Generator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol, TypeVar

from mailbase.config import Settings
from mailbase.logs import Log
from mailbase.report import Report
from mailbase.store import NEVER
from mailbase.store.recent import Recent
from mailbase.ticket import Ticket
from mailbase.vocabulary import Action
from policyd.checks.rate import Limiting
from policyd.end_of_data.tickets import TICKETS, Tickets
from policyd.engine.decision import Decision
from policyd.engine.engine import Engine
from policyd.engine.policy import build_policy
from policyd.engine.transactions import Transactions
from policyd.evidence.facts import Fact
from policyd.evidence.inquiry import Gather
from policyd.exceptions.matching import Rules
from policyd.greylist.tables import CLIENTS, OTHERS, TRIPLETS
from policyd.limits.charges import CHARGES, Charges
from policyd.limits.seen import Seen
from policyd.replay.answers import AskedEvidence, RecordedCallouts, RecordedEvidence
from policyd.replay.clock import InlineWorker, SimulatedClock
from policyd.replay.past import Allowed, Line, Outcome, Recorded, Ruled
from policyd.replay.seeds import SeededLedger
from policyd.replay.watch import Watch
from policyd.reputation.networks import REPUTATION, Reputation
from policyd.reputation.traps import Traps
from policyd.state.opening import open_state

HOUSEKEEPING = 2_000
"""Requests after which the store writes and forgets."""
MAX_TICKETS = 20_000
"""Tickets, in one of two generations, of which is known what they were in the recording."""

T = TypeVar("T")


class Dns(Protocol):
    """Asks DNS."""

    @property
    def gather(self) -> Gather:
        """Asks for the checks."""

    def seconds(self) -> float:
        """Its clock."""


class World:
    """Decides recorded requests, one after another.

    Arguments:
        settings: the configuration to try.
        folder: for its memory; empty.
        log: told of what goes wrong.
        seeded: whether what greylisting must have known before is taken from the recorded answers.
        dns: asks DNS anew; None: what was recorded stands. With it :meth:`decide_later` is to be used.

    Raises:
        ConfigError: an allowlist that cannot be read.
    """

    def __init__(
        self, settings: Settings, folder: Path, log: Log, *, seeded: bool = True, dns: Dns | None = None
    ) -> None:
        self._path = folder / "state.sqlite"
        store = settings.store.model_copy(update={"url": f"sqlite:{self._path}"})
        self.settings = settings.model_copy(update={"store": store})
        self.clock = SimulatedClock()
        self.watch = Watch()
        self._evidence = RecordedEvidence(self.watch)
        self._callouts = RecordedCallouts()
        self._rules = Rules()
        self._tickets: Recent[str, Ticket | None] = Recent(MAX_TICKETS)
        """Those of this world by the ids that they had in the recording."""
        self._count = 0
        state = self._state = open_state(self.settings, self.clock, log, InlineWorker())
        self._seeds = SeededLedger(state.ledger) if seeded else None
        transactions = Transactions()
        self._charges = Charges(state.memory(CHARGES.name), state.limits, at_once, lambda name: None)
        greylist = self.settings.policyd.greylist
        reputation = Reputation(
            state.memory(REPUTATION.name),
            at_once,
            self.clock.seconds,
            self.settings.spamtraps.remember,
            (greylist.network_v4, greylist.network_v6),
        )
        self._traps = Traps(reputation, lambda ticket: None)
        self._given = _Tickets(state.memory(TICKETS.name), at_once)
        self.engine = Engine(
            build_policy(
                self.settings,
                self._seeds or state.ledger,
                self._evidence.gather
                if dns is None
                else AskedEvidence(
                    self._evidence, dns.gather, dns.seconds, self.settings.policyd.deadline
                ).gather,
                self._rules,
                limiting=Limiting(state.limits, Seen(), transactions.accepted, self.watch),
                callout=self._callouts,
                reputation=reputation,
            ),
            self._given,
            self.clock.seconds,
            self.watch,
            _wait if dns is None else _wait_on,
            transactions=transactions,
            charges=self._charges,
            trapped=self._traps.sprung,
        )
        state.start()

    def decide(self, recorded: Recorded) -> Decision:
        """The answer that this world gives."""
        self.clock.advance(recorded.time)
        decision = self._prepare(recorded).decide(recorded.request)
        if not isinstance(decision, Decision):
            decision = at_once(decision)
        return self._decided(recorded, decision)

    async def decide_later(self, recorded: Recorded) -> Decision:
        """The same where DNS has to be waited for."""
        self.clock.advance(recorded.time)
        decision = self._prepare(recorded).decide(recorded.request)
        return self._decided(recorded, decision if isinstance(decision, Decision) else await decision)

    def expect(self, recorded: Recorded) -> Awaitable[object] | None:
        """Let what will be asked for a request be asked now; leaves no trace but in DNS' cache."""
        asked = self._prepare(recorded).query(recorded.request)
        return None if isinstance(asked, Decision) else asked

    def _prepare(self, recorded: Recorded) -> Engine:
        self._evidence.recorded = recorded.evidence or ()
        self._evidence.asked = recorded.asked
        self._callouts.recorded = recorded.callout
        if self._seeds is not None:
            self._seeds.answer = recorded.answer
        return self.engine

    def _decided(self, recorded: Recorded, decision: Decision) -> Decision:
        ticket = self._given.newest()
        if recorded.answer is not None and ticket is not None:
            self._tickets.put(recorded.answer.id, ticket)
        self._count += 1
        if not self._count % HOUSEKEEPING:
            self.clock.keep_house()
        return decision

    def take(self, line: Line) -> None:
        """What else the recording tells: what was set by command, and what became of mails."""
        match line:
            case Allowed(network, until):
                now = self.clock.seconds()
                self._state.ledger.allow(network, "", now, NEVER if until is None else until)
            case Ruled(rule):
                self._rules.put(rule)
            case Outcome(ticket=known_as, action=action):
                ticket = self._tickets.get(known_as, None)
                if ticket is not None and action is not Action.DEFER:
                    self._traps.reported(
                        ticket, Report(ticket.id, ticket.client, ticket.sender, action), True
                    )
                    at_once(self._charges.close(ticket.id, action is Action.REJECT, self.clock.seconds()))
            case _:
                pass

    def entries(self) -> int:
        """How many triplets and callers greylisting remembers now."""
        self.clock.keep_house()
        now = int(self.clock.seconds())
        with closing(sqlite3.connect(self._path)) as connection:
            counts = [
                connection.execute(f"SELECT COUNT(*) FROM {table.name} WHERE expires > ?", (now,))  # noqa: S608
                for table in (TRIPLETS, OTHERS, CLIENTS)
            ]
            return sum(count.fetchone()[0] for count in counts)

    def close(self) -> None:
        """Forget it all."""
        self._state.close()


class _Tickets(Tickets):
    """No contentfilter asks for a simulation's tickets, so only the newest is kept."""

    _newest: Ticket | None = None

    def keep(self, ticket: Ticket, now: float) -> None:
        """See :class:`~policyd.end_of_data.tickets.Tickets`."""
        self._newest = ticket

    def newest(self) -> Ticket | None:
        """The ticket given since the last time; None if there was none."""
        newest, self._newest = self._newest, None
        return newest


async def _wait(waiting: Awaitable[Fact], deadline: float) -> Fact | None:
    """A check that has its answer gives it; one that would have to wait has no opinion: nothing will come."""
    steps: Generator[Any, None, Fact] = waiting.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        fact: Fact = stop.value
        return fact
    return None


async def _wait_on(waiting: Awaitable[Fact], deadline: float) -> Fact | None:
    """The deadline is the simulation's; DNS' own one is kept by who asks it."""
    return await waiting


def at_once(work: Awaitable[T] | Coroutine[Any, Any, T]) -> T:
    """The result of what waits for nothing."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise RuntimeError("something in a simulation waits")
