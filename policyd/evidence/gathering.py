"""Asks DNS for the checks: all questions of all checks under way at once, none after the deadline.

The Twisted edge of :mod:`policyd.evidence.inquiry`. What is in memory is answered at once, without a
Deferred.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, cast

from twisted.internet.defer import Deferred

from mailbase.dns.answers import TimedOut
from mailbase.dns.resolver import Resolver
from policyd.evidence.facts import Evidence
from policyd.evidence.inquiry import FAILED, Collected, EvidenceCheck, Inquiry, Questions, Settled, Subject

MAX_ROUNDS = 8
"""Times that a check may ask, unless it has more ``rounds`` of its own; most ask three times at most."""


class Watch(Protocol):
    """Is told how checks fare."""

    def established(self, evidence: Sequence[Evidence], times: Mapping[str, float]) -> None:
        """The checks of a request are done; see :class:`~policyd.evidence.inquiry.Collected`."""

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
        """See :class:`policyd.evidence.inquiry.Gather`."""
        return _Gathering(self, checks, deadline, counts).start(subject, settled)


class _Gathering:
    """The checks of one request."""

    __slots__ = (
        "_began",
        "_checks",
        "_counts",
        "_done",
        "_evidence",
        "_gatherer",
        "_late",
        "_open",
        "_times",
        "ask_for",
        "deadline",
    )

    def __init__(
        self, gatherer: Gatherer, checks: Sequence[EvidenceCheck], deadline: float, counts: bool
    ) -> None:
        self._gatherer = gatherer
        self._checks = checks
        self.deadline = deadline
        self._counts = counts
        self.ask_for = gatherer.resolver.ask_for
        self._began = gatherer.timer()
        self._evidence: list[tuple[Evidence, ...]] = [()] * len(checks)
        self._open = len(checks)
        self._late = False
        self._times: dict[str, float] = {}
        self._done: Deferred[Collected] | None = None

    def start(self, subject: Subject, settled: Settled | None) -> Collected | Awaitable[Collected]:
        asking: list[tuple[_Asking, Questions]] = []
        for position, check in enumerate(self._checks):
            try:
                inquiry = check.inquire(subject)
                questions = next(inquiry)
                asking.append((_Asking(self, position, check, inquiry), questions))
            except StopIteration as stop:
                self.finish(position, stop.value)
            except Exception as error:  # noqa: BLE001 - the boundary of a check
                self.failed(position, error)
        if settled is not None and asking and len(asking) < len(self._checks):
            evidence = [fact for facts in self._evidence for fact in facts]
            if settled(evidence, [self._checks[one.position].name for one, _ in asking]):
                # Nothing that the others could say would change the answer.
                return self._collected()
        for one, questions in asking:
            one.go_on(questions)
        if not self._open:
            return self._collected()
        self._done = Deferred()
        return cast("Awaitable[Collected]", self._done)

    def timed_out(self) -> None:
        """See whether the deadline came before an answer."""
        # A millisecond: timers may fire a little before their time.
        if self._gatherer.seconds() >= self.deadline - 0.001:
            self._late = True

    def failed(self, position: int, error: Exception) -> None:
        """A check has raised."""
        check = self._checks[position].name
        self._gatherer.watch.check_failed(check, error)
        self.finish(position, (Evidence(check, FAILED),))

    def finish(self, position: int, evidence: tuple[Evidence, ...]) -> None:
        """A check is done."""
        self._evidence[position] = evidence
        self._times[self._checks[position].name] = self._gatherer.timer() - self._began
        self._open -= 1
        if not self._open and self._done is not None:
            self._done.callback(self._collected())

    def _collected(self) -> Collected:
        evidence = tuple([fact for facts in self._evidence for fact in facts])
        if self._counts:
            watch = self._gatherer.watch
            watch.established(evidence, self._times)
            if self._late:
                watch.late()
        return Collected(evidence, self._late, self._times)


async def _outcome(waiting: Awaitable[Any]) -> Any:
    """What it comes to; an exception is an outcome like any other, for the check to judge."""
    try:
        return await waiting
    except Exception as error:  # noqa: BLE001 - handed to the check
        return error


class _Asking:
    """A check that asks; see :class:`mailbase.dns.resolver.Asker`."""

    __slots__ = ("_answers", "_check", "_gathering", "_inquiry", "_open", "_rounds", "position")

    def __init__(self, gathering: _Gathering, position: int, check: EvidenceCheck, inquiry: Inquiry) -> None:
        self._gathering = gathering
        self._check = check
        self._inquiry = inquiry
        self._answers: list[Any] = []
        self._open = 0
        """Answers that are waited for."""
        self._rounds = 0
        self.position = position

    def told(self, place: int, answer: Any) -> None:
        """An answer has come that was waited for."""
        self._answers[place] = answer
        self._open -= 1
        if not self._open:
            self.go_on(None)

    def go_on(self, questions: Questions | None) -> None:
        """Ask ``questions`` (None: all answers are there), until there are some to be waited for."""
        gathering = self._gathering
        try:
            while questions is None or self._ask(questions):
                answers = tuple(self._answers)
                if TimedOut in map(type, answers):
                    gathering.timed_out()
                questions = self._inquiry.send(answers)
        except StopIteration as stop:
            gathering.finish(self.position, stop.value)
        except Exception as error:  # noqa: BLE001 - the boundary of a check
            # Whatever is told from now on, it is never the last.
            self._open = -1
            gathering.failed(self.position, error)

    def _ask(self, questions: Questions) -> bool:
        """Whether all answers are there."""
        check, gathering = self._check, self._gathering
        self._rounds += 1
        if self._rounds > MAX_ROUNDS and self._rounds > getattr(check, "rounds", MAX_ROUNDS):
            raise RuntimeError("asks without end")
        consumer, deadline, ask_for = check.name, gathering.deadline, gathering.ask_for
        count = len(questions)
        answers: list[Any] = [None] * count
        self._answers = answers
        # One more: what is told meanwhile is not the last.
        self._open = count + 1
        for place, question in enumerate(questions):
            if isinstance(question, tuple):
                answer = ask_for(self, place, question, consumer, deadline)
                if answer is not None:
                    answers[place] = answer
                    self._open -= 1
            else:
                Deferred.fromCoroutine(_outcome(question)).addCallback(partial(self.told, place))
        self._open -= 1
        return not self._open
