"""A connection to an engine, in Twisted: one question goes out, its answer comes, then the next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, cast

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from contentfilter.content.results import ScanFailed
from contentfilter.engines.seat import Name


@implementer(IPullProducer)
class Exchange(ABC, protocol.Protocol):
    """What all connections have in common; what is an answer, those below know. See
    :class:`contentfilter.engines.dialect.Talk`.

    Arguments:
        name: of the engine.
        gone: told when the connection is no more, or of no more use.

    Attributes:
        lost: whether it is of no more use.
    """

    def __init__(self, name: Name, gone: Callable[[Any], None]) -> None:
        self._name = name
        self._gone = gone
        self._frames: Iterator[bytes] | None = None
        self._answer: Deferred[bytes | ScanFailed] | None = None
        self.lost = False

    def abandon(self, why: ScanFailed) -> None:
        """See there."""
        self._end(why)

    @abstractmethod
    def dataReceived(self, data: bytes) -> None:
        """Something of an answer has come."""

    @property
    def _sending(self) -> bool:
        """Whether the question has not gone out yet, so that nothing can be an answer to it."""
        return self._frames is not None

    def _put(self, frames: Iterator[bytes]) -> Deferred[bytes | ScanFailed]:
        """Put a question; there must be none under way."""
        self._frames = frames
        answer: Deferred[bytes | ScanFailed] = Deferred()
        self._answer = answer
        cast(Any, self.transport).registerProducer(self, False)
        return answer

    def _sent(self) -> None:
        """The question has gone out."""

    def _answered(self, answer: bytes) -> None:
        """The answer is there; another question may be put."""
        asked, self._answer = self._answer, None
        if asked is not None:
            asked.callback(answer)

    def _fail(self, detail: str, reason: str = "protocol") -> None:
        self._end(ScanFailed(self._name, reason, detail))

    def _end(self, outcome: bytes | ScanFailed | Failure) -> None:
        """This connection is of no more use; the question under way, if any, ends with ``outcome``."""
        answer, self._answer = self._answer, None
        self._frames = None
        if not self.lost:
            self.lost = True
            cast(Any, self.transport).abortConnection()
            self._gone(self)
        if answer is not None:
            answer.callback(outcome)

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
        self._sent()

    def stopProducing(self) -> None:
        """The transport is gone; ``connectionLost`` follows."""
