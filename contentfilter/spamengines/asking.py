"""A connection to a spam engine: one question after the other, if the engine lets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from contentfilter.content.results import ScanFailed
from contentfilter.engines.exchange import Exchange
from contentfilter.engines.seat import Name
from contentfilter.spamengines.question import Nonsense, Question


class Asking(Exchange):
    """See :class:`contentfilter.engines.exchange.Exchange`."""

    def __init__(self, name: Name, gone: Callable[[Asking], None]) -> None:
        super().__init__(name, gone)
        self._question: Question | None = None

    def ask(self, question: Question) -> Deferred[bytes | ScanFailed]:
        """See :class:`contentfilter.engines.dialect.Talk`."""
        self._question = question
        return self._put(question.frames())

    # The transport's

    def dataReceived(self, data: bytes) -> None:
        if self.lost:
            return
        if self._question is None:
            self._fail("an answer that was not asked for")
            return
        self._read(lambda question: question.receive(data))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.lost and self._question is not None:
            self._read(lambda question: question.ended())
        self._end(ScanFailed(self._name, "crashed", f"{self._name} closed the connection"))

    def _sent(self) -> None:
        if self._question is not None and self._question.closing:
            cast(Any, self.transport).loseWriteConnection()

    def _read(self, take: Callable[[Question], bytes | None]) -> None:
        question = self._question
        assert question is not None
        try:
            answer = take(question)
        except Nonsense as problem:
            self._fail(str(problem), "timed-out" if problem.late else "protocol")
            return
        if answer is None:
            return
        if self._sending:
            self._fail("an answer before the end of the message")
        elif not question.reusable:
            self._end(answer)
        else:
            self._question = None
            self._answered(answer)

    def _end(self, outcome: bytes | ScanFailed | Failure) -> None:
        self._question = None
        super()._end(outcome)
