"""A connection to a spam engine, in Twisted: one question after the other, if the engine lets it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from contentfilter.engines.seat import Name
from contentfilter.results import ScanFailed
from contentfilter.spamengines.question import Nonsense, Question


@implementer(IPullProducer)
class Exchange(protocol.Protocol):
    """See :class:`contentfilter.engines.dialect.Talk`.

    Arguments:
        name: of the engine.
        gone: told when the connection is no more, or of no more use.

    Attributes:
        lost: whether it is of no more use.
    """

    def __init__(self, name: Name, gone: Callable[[Exchange], None]) -> None:
        self._name = name
        self._gone = gone
        self._question: Question | None = None
        self._frames: Iterator[bytes] | None = None
        self._answer: Deferred[bytes | ScanFailed] | None = None
        self.lost = False

    def ask(self, question: Question) -> Deferred[bytes | ScanFailed]:
        """See there."""
        self._question = question
        self._frames = question.frames()
        answer: Deferred[bytes | ScanFailed] = Deferred()
        self._answer = answer
        cast(Any, self.transport).registerProducer(self, False)
        return answer

    def abandon(self, why: ScanFailed) -> None:
        """See there."""
        self._end(why)

    # The transport's

    def resumeProducing(self) -> None:
        if self._frames is None:
            return
        transport = cast(Any, self.transport)
        try:
            frame = next(self._frames, None)
        except (OSError, ValueError) as problem:
            # The spool broke, or was closed since nobody waits any more.
            self._end(Failure(problem))  # type: ignore[no-untyped-call]
            return
        if frame is not None:
            transport.write(frame)
            return
        # The transport asks again when all has gone out.
        self._frames = None
        transport.unregisterProducer()
        if self._question is not None and self._question.closing:
            transport.loseWriteConnection()

    def stopProducing(self) -> None:
        """The transport is gone; ``connectionLost`` follows."""

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
        if self._frames is not None:
            self._fail("an answer before the end of the message")
        elif not question.reusable:
            self._end(answer)
        else:
            asked, self._answer, self._question = self._answer, None, None
            if asked is not None:
                asked.callback(answer)

    def _fail(self, detail: str, reason: str = "protocol") -> None:
        self._end(ScanFailed(self._name, reason, detail))

    def _end(self, outcome: bytes | ScanFailed | Failure) -> None:
        """This connection is of no more use; the question under way, if any, ends with ``outcome``."""
        answer, self._answer = self._answer, None
        self._question = self._frames = None
        if not self.lost:
            self.lost = True
            cast(Any, self.transport).abortConnection()
            self._gone(self)
        if answer is not None:
            answer.callback(outcome)
