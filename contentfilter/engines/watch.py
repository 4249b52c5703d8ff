"""Whether engines find what they should, and how old their signatures are.

Each is given the test virus at the start and every hour, on the way that mail goes. One that misses it is
blind: it gets no mail until it finds it again, for to ask it would be to pass all mail unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

from twisted.internet.defer import Deferred

from contentfilter.content.results import ScanFailed
from contentfilter.engines.engine import Engine
from contentfilter.engines.seat import Name, Seat
from contentfilter.engines.specimen import Specimen
from mailbase.logs import Log

EVERY = 3600.0
"""Seconds between two self-tests."""
AGAIN = 60.0
"""Seconds until the next one where one was not passed."""
PATIENCE = 60.0
"""Seconds for an engine to answer: right after its start it may still be loading signatures."""

Outcome = Literal["passed", "missed", "failed"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
"""The test virus was found; it was not; there was no answer."""


class SelfTest:
    """Tests one engine, where ever it works.

    Arguments:
        clock: the reactor's.
        engine: to be tested.
        log: for an engine that is blind, and sees again.
        ended: told of each test.
    """

    def __init__(self, clock: Any, engine: Engine, log: Log, ended: Callable[[Name, Outcome], None]) -> None:
        self._clock = clock
        self._engine = engine
        self._log = log
        self._ended = ended
        self._timers: dict[int, Any] = {}
        self._running: set[Deferred[Any]] = set()
        self._stopped = False

    def start(self) -> None:
        """Test now, and from time to time."""
        for number, seat in enumerate(self._engine.seats):
            self._begin(number, seat)

    def stop(self) -> None:
        """Test no more."""
        self._stopped = True
        for timer in self._timers.values():
            if timer.active():
                timer.cancel()
        for running in list(self._running):
            running.cancel()

    def _begin(self, number: int, seat: Seat) -> None:
        running = Deferred.fromCoroutine(self._test(seat))
        self._running.add(running)

        def over(outcome: Outcome | None) -> None:
            self._running.discard(running)
            if not self._stopped:
                pause = EVERY if outcome == "passed" else AGAIN
                self._timers[number] = self._clock.callLater(pause, self._begin, number, seat)

        running.addErrback(self._broken).addCallback(over)

    async def _test(self, seat: Seat) -> Outcome:
        outcome, detail = await self._outcome(seat)
        self._ended(self._engine.name, outcome)
        if outcome == "missed" and not seat.blind:
            self._log.error("engine-blind", engine=self._engine.name, place=seat.place, detail=detail)
        elif outcome == "failed":
            self._log.error("self-test-failed", engine=self._engine.name, place=seat.place, detail=detail)
        elif outcome == "passed" and seat.blind:
            self._log.info("engine-sees", engine=self._engine.name, place=seat.place)
        if outcome != "failed" and seat.blind != (outcome == "missed"):
            seat.blind = outcome == "missed"
            self._engine.reseat()
        return outcome

    async def _outcome(self, seat: Seat) -> tuple[Outcome, str]:
        result = await seat.look(Specimen(), PATIENCE)
        if isinstance(result, ScanFailed):
            return "failed", result.detail or result.reason
        if any(finding.name == "virus" for finding in result.findings):
            return "passed", ""
        gaps = ", ".join(f"{gap.reason} ({gap.detail})" for gap in result.unscanned)
        return "missed", gaps or "it says that the test virus is clean"

    def _broken(self, failure: Any) -> None:
        if not self._stopped:
            self._log.exception("self-test-broken", failure.value)
