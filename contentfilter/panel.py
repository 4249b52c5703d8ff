"""Asks those of :mod:`contentfilter.assessing`, side by side, and waits no longer than there is time."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from contentfilter.assessing import (
    OF_CONSEQUENCE,
    Assessor,
    FlowOf,
    Mail,
    Name,
    Preparer,
    Stamper,
    StampFailed,
)
from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanFailed
from contentfilter.disposition.recipients import Share
from contentfilter.together import begin, together
from mailbase.logs import Log

PATIENCE = 10.0
"""Seconds at most for one of them."""
T = TypeVar("T")
Said: TypeAlias = tuple[T | None, str]
"""An answer, or None and why there is none."""


class Meter(Protocol):
    """Counts."""

    def asked(self, name: Name, answered: bool, seconds: float) -> None:
        """One of the panel was asked; whether it could say everything, and how long it took."""


class Panel:
    """Those who are asked about each mail.

    Arguments:
        clock: for the time that each may take.
        log: for those who fail.
        meter: counts.
        preparers: asked before the scan.
        beside: asked while it goes on; they need nothing of it.
        after: asked once the workers have answered.
        stampers: asked about a mail that is delivered, in the order in which their lines stand.
    """

    def __init__(
        self,
        clock: IReactorTime,
        log: Log,
        meter: Meter,
        preparers: Sequence[Preparer] = (),
        beside: Sequence[Assessor] = (),
        after: Sequence[Assessor] = (),
        stampers: Sequence[Stamper] = (),
    ) -> None:
        self._clock = clock
        self._log = log
        self._meter = meter
        self.preparers = preparers
        self.beside = beside
        self.after = after
        self.stampers = stampers

    async def prepare(self, head: bytes, flow: FlowOf, seconds: float) -> Mapping[str, Any]:
        """What the preparers found, by their names; nothing of one that failed, or has nothing to do.

        Arguments:
            flow: of the mail.
            seconds: that there are.
        """
        answers = await together(
            [self._ask(one.name, one.prepare(head, flow), seconds) for one in self.preparers]
        )
        return {one.name: found for one, (found, _why) in zip(self.preparers, answers, strict=True) if found}

    def spared(self) -> Mapping[str, Any]:
        """Whom the workers need do nothing for just now: False by their names, as analysers are told."""
        return {one.name: False for one in self.after if hasattr(one, "spares") and one.spares()}

    async def assess(
        self, assessors: Sequence[Assessor], mail: Mail, seconds: float
    ) -> tuple[list[Clue], list[ScanFailed]]:
        """The clues, in the order of the assessors, of ``beside`` or ``after``; and failures that count."""
        assessors = [one for one in assessors if not hasattr(one, "wants") or one.wants(mail)]
        answers = await together(
            [
                self._ask(one.name, one.assess(mail), seconds, getattr(one, "patience", PATIENCE))
                for one in assessors
            ]
        )
        clues: list[Clue] = []
        failures: list[ScanFailed] = []
        for one, (said, why) in zip(assessors, answers, strict=True):
            reason = "timed-out"
            if said is not None:
                clues += said.clues
                why, reason = said.failed, said.reason
                if why and not said.logged:
                    self._log.warning("assessor-failed", assessor=one.name, id=mail.id, error=why)
            if why and one.name in OF_CONSEQUENCE:
                failures.append(ScanFailed(one.name, reason, why))
        return clues, failures

    async def stamp(self, mail: Mail, shares: Sequence[Share], seconds: float) -> bytes:
        """The lines for the top of a mail.

        Raises:
            StampFailed: one cannot be written.
        """
        lines = b""
        for one in self.stampers:
            asked = self._ask(one.name, one.stamp(mail, shares), seconds)
            line, why = await asked if isinstance(asked, Deferred) else asked
            if line is None:
                raise StampFailed(f"{one.name}: {why}")
            lines += line
        return lines

    def _ask(
        self, name: Name, work: Coroutine[Any, Any, T], seconds: float, patience: float = PATIENCE
    ) -> Said[T] | Deferred[Said[T]]:
        """The answer, or None and why there is none; at once, as most have it. It never fails."""
        began = self._clock.seconds()
        working = begin(work)
        # Not isinstance, which takes long to say that something is no Deferred, as most are not.
        if type(working) is not Deferred:
            return self._note(name, began, (cast(T, working), ""))
        answer = _Question(self._clock, working, min(patience, seconds)).answer
        return answer.addCallback(lambda said: self._note(name, began, said))

    def _note(self, name: Name, began: float, answer: Said[T]) -> Said[T]:
        said, why = answer
        if why:
            self._log.warning("not-answered", asked=name, error=why)
        self._meter.asked(name, not why and not getattr(said, "failed", ""), self._clock.seconds() - began)
        return answer


class _Question(Generic[T]):
    """One question, which ends with an answer, a failure, or the time."""

    def __init__(self, clock: IReactorTime, working: Deferred[T], seconds: float) -> None:
        self.answer: Deferred[Said[T]] = Deferred(self._give_up)
        self._over = False
        self._timer: IDelayedCall | None = None
        self._working = working
        working.addCallbacks(self._said, self._failed)
        if not self._over:
            self._timer = clock.callLater(max(0.0, seconds), self._late, seconds)

    def _said(self, said: T) -> None:
        self._end(said, "")

    def _failed(self, failure: Failure) -> None:
        self._end(None, failure.getErrorMessage() or type(failure.value).__name__)

    def _late(self, seconds: float) -> None:
        self._end(None, f"no answer within {seconds:g} s")
        # Only now: whatever stops it must not keep the answer.
        self._working.cancel()

    def _give_up(self, _answer: object) -> None:
        """Nobody waits for the answer any more."""
        self._over = True
        self._stop_timer()
        self._working.cancel()

    def _end(self, said: T | None, why: str) -> None:
        if self._over:
            return
        self._over = True
        self._stop_timer()
        self.answer.callback((said, why))

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
