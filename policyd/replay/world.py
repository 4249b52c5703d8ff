"""A simulated policyd: the real engine and the real checks, over a memory and a clock of their own.

The one place where a simulation is put together. What a check needs of the network it does not get here: what
DNS and recipients' servers said is taken from the recording, and who was not asked then is not asked now.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Coroutine, Generator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from mailbase.config import Settings
from mailbase.logs import Log
from mailbase.store import NEVER
from mailbase.store.recent import Recent
from mailbase.ticket import Ticket
from mailbase.vocabulary import Action
from policyd.checks.rate import Limiting
from policyd.decision import Decision
from policyd.engine import Engine
from policyd.exceptions.matching import Rules
from policyd.facts import Fact
from policyd.greylist.tables import CLIENTS, OTHERS, TRIPLETS
from policyd.limits.charges import CHARGES, Charges
from policyd.limits.seen import Seen
from policyd.policy import build_policy
from policyd.replay.answers import RecordedCallouts, RecordedEvidence
from policyd.replay.clock import InlineWorker, SimulatedClock
from policyd.replay.recording import Allowed, Line, Outcome, Recorded, Ruled
from policyd.replay.seeds import SeededLedger
from policyd.replay.watch import Watch
from policyd.request import Stage
from policyd.state import open_state
from policyd.tickets import TICKETS, Tickets
from policyd.transactions import Transactions

HOUSEKEEPING = 2_000
"""Requests after which the store writes and forgets."""
MAX_TICKETS = 20_000
"""Tickets, in one of two generations, of which is known what they were in the recording."""

T = TypeVar("T")


class World:
    """Decides recorded requests, one after another.

    Arguments:
        settings: the configuration to try.
        folder: for its memory; empty.
        log: told of what goes wrong.
        seeded: whether what greylisting must have known before is taken from the recorded answers.

    Raises:
        ConfigError: an allowlist that cannot be read.
    """

    def __init__(self, settings: Settings, folder: Path, log: Log, *, seeded: bool = True) -> None:
        self._path = folder / "state.sqlite"
        store = settings.store.model_copy(update={"url": f"sqlite:{self._path}"})
        self.settings = settings.model_copy(update={"store": store})
        self.clock = SimulatedClock()
        self.watch = Watch()
        self._evidence = RecordedEvidence(self.watch)
        self._callouts = RecordedCallouts()
        self._rules = Rules()
        self._tickets: Recent[str, str] = Recent(MAX_TICKETS)
        self._count = 0
        state = self._state = open_state(self.settings, self.clock, log, InlineWorker())
        self._seeds = SeededLedger(state.ledger) if seeded else None
        transactions = Transactions()
        self._charges = Charges(state.memory(CHARGES.name), state.limits, at_once, lambda name: None)
        self.engine = Engine(
            build_policy(
                self.settings,
                self._seeds or state.ledger,
                self._evidence.gather,
                self._rules,
                limiting=Limiting(state.limits, Seen(), transactions.accepted, self.watch),
                callout=self._callouts,
            ),
            _NoTickets(state.memory(TICKETS.name), at_once),
            self.clock.seconds,
            self.watch,
            _wait,
            transactions=transactions,
            charges=self._charges,
        )
        state.start()

    def decide(self, recorded: Recorded) -> Decision:
        """The answer that this world gives."""
        self.clock.advance(recorded.time)
        self._evidence.recorded = recorded.evidence or ()
        self._callouts.recorded = recorded.callout
        if self._seeds is not None:
            self._seeds.answer = recorded.answer
        decision = self.engine.decide(recorded.request)
        if not isinstance(decision, Decision):
            decision = at_once(decision)
        if recorded.request.stage is Stage.DATA and recorded.answer is not None:
            self._tickets.put(recorded.answer.id, decision.id)
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
            case Outcome(ticket=ticket, action=action):
                ours = self._tickets.get(ticket, "")
                if ours and action is not Action.DEFER:
                    at_once(self._charges.close(ours, action is Action.REJECT, self.clock.seconds()))
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


class _NoTickets(Tickets):
    """No contentfilter asks for a simulation's tickets."""

    def keep(self, ticket: Ticket, now: float) -> None:
        pass


async def _wait(waiting: Awaitable[Fact], deadline: float) -> Fact | None:
    """A check that has its answer gives it; one that would have to wait has no opinion: nothing will come."""
    steps: Generator[Any, None, Fact] = waiting.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        fact: Fact = stop.value
        return fact
    return None


def at_once(work: Awaitable[T] | Coroutine[Any, Any, T]) -> T:
    """The result of what waits for nothing."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise RuntimeError("something in a simulation waits")
