"""A simulated policyd: the real engine and the real checks, over a memory and a clock of their own.

The one place where a simulation is put together. What a check needs of the network it does not get here: DNS
is replaced by what was recorded, and who else would have to be asked is not.
"""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path

from mailbase.config import Settings
from mailbase.logs import Log
from mailbase.store import NEVER
from mailbase.ticket import Ticket
from policyd.decision import Decision
from policyd.engine import Engine
from policyd.exceptions.matching import Rules
from policyd.facts import Fact
from policyd.policy import build_policy
from policyd.replay.clock import InlineWorker, SimulatedClock
from policyd.replay.evidence import RecordedEvidence
from policyd.replay.recording import Allowed, Line, Recorded, Ruled
from policyd.replay.seeds import SeededLedger
from policyd.state import open_state
from policyd.tickets import Tickets

HOUSEKEEPING = 2_000
"""Requests after which the store writes and forgets."""


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
        self.settings = settings
        self.clock = SimulatedClock()
        self._failures = 0
        self.waits = 0
        """Requests for which a check would have had to wait."""
        self._evidence = RecordedEvidence()
        self._rules = Rules()
        store = settings.store.model_copy(update={"url": f"sqlite:{folder / 'state.sqlite'}"})
        inner = settings.model_copy(update={"store": store})
        self._state = open_state(inner, self.clock, log, InlineWorker())
        self._ledger = SeededLedger(self._state.ledger) if seeded else None
        self.engine = Engine(
            build_policy(inner, self._ledger or self._state.ledger, self._evidence.gather, self._rules),
            _NoTickets(self._state.memory("tickets"), _never),  # nobody will ask for them
            self.clock.seconds,
            self,
            _wait,
        )
        self._state.start()
        self._count = 0

    def decide(self, recorded: Recorded) -> Decision:
        """The answer that this world gives."""
        self.clock.advance(recorded.time)
        self._evidence.recorded = recorded.evidence or ()
        if self._ledger is not None:
            self._ledger.answer = recorded.answer
        decision = self.engine.decide(recorded.request)
        if not isinstance(decision, Decision):
            decision = _at_once(decision)
        self._count += 1
        if not self._count % HOUSEKEEPING:
            self.clock.keep_house()
        return decision

    def take(self, line: Line) -> None:
        """Put in force what was set by command."""
        match line:
            case Allowed(network, until):
                now = self.clock.seconds()
                self._state.ledger.allow(network, "", now, NEVER if until is None else until)
            case Ruled(rule):
                self._rules.put(rule)
            case _:
                pass

    @property
    def failures(self) -> int:
        """How often a check raised."""
        return self._failures + self._evidence.failures

    def close(self) -> None:
        """Forget it all."""
        self._state.close()

    def check_failed(self, check: str, error: Exception) -> None:
        """See :class:`policyd.engine.Watch`."""
        self._failures += 1

    def late(self) -> None:
        """See :class:`policyd.engine.Watch`."""
        self.waits += 1


class _NoTickets(Tickets):
    """No contentfilter asks for a simulation's tickets."""

    def keep(self, ticket: Ticket, now: float) -> None:
        pass


def _never(behind: object) -> None:
    raise AssertionError("a simulation runs nothing behind")


async def _wait(waiting: Awaitable[Fact], deadline: float) -> Fact | None:
    """A check that has to wait has no opinion: nothing will come.

    One that has its answer all the same gives it.
    """
    steps = waiting.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        fact: Fact = stop.value
        return fact
    return None


def _at_once(decision: Awaitable[Decision]) -> Decision:
    steps = decision.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        made: Decision = stop.value
        return made
    raise RuntimeError("a decision of a simulation waits for something")
