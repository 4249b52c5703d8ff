"""Asks DNS for the checks: all questions of all checks under way at once, none after the deadline.

The Twisted edge of :mod:`policyd.inquiry`. What is in memory is answered at once, without a Deferred.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, cast

from twisted.internet.defer import Deferred

from mailbase.dns.answers import Answer, Record, TimedOut
from mailbase.dns.resolver import Resolver
from policyd.facts import Evidence
from policyd.inquiry import FAILED, Answers, Collected, EvidenceCheck, Inquiry, Questions, Settled, Subject

MAX_ROUNDS = 8
"""Times that a check may ask, unless it has ``rounds`` of its own; most ask three times at most."""


class Watch(Protocol):
    """Is told how checks fare."""

    def established(self, evidence: Sequence[Evidence], check: str, seconds: float) -> None:
        """A check is done."""

    def late(self) -> None:
        """A request's deadline came before all answers."""

    def check_failed(self, check: str, error: Exception) -> None:
        """A check raised; it has no opinion."""


class Gatherer:
    """Arguments:
    resolver: asked with the check's name as consumer.
    seconds: the clock of the resolver's deadlines.
    watch: told of what counts.
    timer: for measuring, seconds.
    """

    def __init__(
        self, resolver: Resolver, seconds: Callable[[], float], watch: Watch, timer: Callable[[], float]
    ) -> None:
        self.resolver = resolver
        self.seconds = seconds
        self.watch = watch
        self.timer = timer

    def gather(
        self,
        checks: Sequence[EvidenceCheck],
        subject: Subject,
        deadline: float,
        counts: bool,
        settled: Settled | None = None,
    ) -> Collected | Awaitable[Collected]:
        """See :class:`policyd.inquiry.Gather`."""
        return _Gathering(self, checks, deadline, counts).start(subject, settled)


class _Gathering:
    """The checks of one request."""

    __slots__ = (
        "_began",
        "_checks",
        "_counts",
        "_deadline",
        "_done",
        "_evidence",
        "_gatherer",
        "_late",
        "_open",
        "_times",
    )

    def __init__(
        self, gatherer: Gatherer, checks: Sequence[EvidenceCheck], deadline: float, counts: bool
    ) -> None:
        self._gatherer = gatherer
        self._checks = checks
        self._deadline = deadline
        self._counts = counts
        self._began = gatherer.timer()
        self._evidence: list[tuple[Evidence, ...]] = [()] * len(checks)
        self._open = len(checks)
        self._late = False
        self._times: dict[str, float] = {}
        self._done: Deferred[Collected] | None = None

    def start(self, subject: Subject, settled: Settled | None) -> Collected | Awaitable[Collected]:
        asking: list[tuple[int, Inquiry, Questions]] = []
        for position, check in enumerate(self._checks):
            try:
                inquiry = check.inquire(subject)
                asking.append((position, inquiry, next(inquiry)))
            except StopIteration as stop:
                self._finish(position, stop.value)
            except Exception as error:  # noqa: BLE001 - the boundary of a check
                self._failed(position, error)
        if settled is not None and asking and len(asking) < len(self._checks):
            evidence = [fact for facts in self._evidence for fact in facts]
            if settled(evidence, [self._checks[position].name for position, *_ in asking]):
                # Nothing that the others could say would change the answer.
                return self._collected()
        for position, inquiry, questions in asking:
            self._advance(position, inquiry, questions, 1)
        if not self._open:
            return self._collected()
        self._done = Deferred()
        return cast("Awaitable[Collected]", self._done)

    def _advance(self, position: int, inquiry: Inquiry, questions: Questions, rounds: int) -> None:
        """Ask for a check, and go on with it until it has to wait, or is done."""
        consumer = self._checks[position].name
        ask = self._gatherer.resolver.ask
        while True:
            try:
                if rounds > getattr(self._checks[position], "rounds", MAX_ROUNDS):
                    raise RuntimeError("asks without end")
                asked: list[Any] = [
                    ask(*question, consumer=consumer, deadline=self._deadline)
                    if isinstance(question, tuple)
                    else Deferred.fromCoroutine(_outcome(question))
                    for question in questions
                ]
                waiting = [place for place, answer in enumerate(asked) if isinstance(answer, Deferred)]
                if waiting:
                    _Round(self, position, inquiry, rounds, asked, waiting)
                    return
                answers = tuple(asked)
                self._note(answers)
                questions = inquiry.send(answers)
                rounds += 1
            except StopIteration as stop:
                self._finish(position, stop.value)
                return
            except Exception as error:  # noqa: BLE001 - the boundary of a check
                self._failed(position, error)
                return

    def go_on(self, position: int, inquiry: Inquiry, rounds: int, answers: Answers) -> None:
        """The answers are there that a check waited for."""
        self._note(answers)
        try:
            questions = inquiry.send(answers)
        except StopIteration as stop:
            self._finish(position, stop.value)
        except Exception as error:  # noqa: BLE001 - the boundary of a check
            self._failed(position, error)
        else:
            self._advance(position, inquiry, questions, rounds + 1)

    def _note(self, answers: Answers) -> None:
        # A millisecond: timers may fire a little before their time.
        if self._gatherer.seconds() >= self._deadline - 0.001:
            self._late = self._late or any(isinstance(answer, TimedOut) for answer in answers)

    def _failed(self, position: int, error: Exception) -> None:
        check = self._checks[position].name
        self._gatherer.watch.check_failed(check, error)
        self._finish(position, (Evidence(check, FAILED),))

    def _finish(self, position: int, evidence: tuple[Evidence, ...]) -> None:
        self._evidence[position] = evidence
        self._open -= 1
        gatherer, check = self._gatherer, self._checks[position].name
        self._times[check] = seconds = gatherer.timer() - self._began
        if self._counts:
            gatherer.watch.established(evidence, check, seconds)
        if not self._open and self._done is not None:
            self._done.callback(self._collected())

    def _collected(self) -> Collected:
        if self._late and self._counts:
            self._gatherer.watch.late()
        return Collected(tuple(fact for facts in self._evidence for fact in facts), self._late, self._times)


async def _outcome(waiting: Awaitable[Any]) -> Any:
    """What it comes to; an exception is an outcome like any other, for the check to judge."""
    try:
        return await waiting
    except Exception as error:  # noqa: BLE001 - handed to the check
        return error


class _Round:
    """The questions that one check waits for."""

    __slots__ = ("_answers", "_gathering", "_inquiry", "_open", "_position", "_rounds")

    def __init__(
        self,
        gathering: _Gathering,
        position: int,
        inquiry: Inquiry,
        rounds: int,
        asked: list[Any],
        waiting: list[int],
    ) -> None:
        self._gathering = gathering
        self._position = position
        self._inquiry = inquiry
        self._rounds = rounds
        self._answers = asked
        self._open = len(waiting)
        for place in waiting:
            asked[place].addCallback(self._got, place)

    def _got(self, answer: Answer[Record], place: int) -> None:
        self._answers[place] = answer
        self._open -= 1
        if not self._open:
            self._gathering.go_on(self._position, self._inquiry, self._rounds, tuple(self._answers))
