"""How an engine behind a socket is spoken to: what differs between engines, for :mod:`.endpoint`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.engines.seat import Name

OTHERWISE = "otherwise"
"""Why there is no answer, where the same question is put in another way from now on, and may be at once."""

Q = TypeVar("Q")
"""A question, as the dialect's connections take it."""
_Asked = TypeVar("_Asked", contravariant=True)


class Talk(Protocol[_Asked]):
    """One connection, a Twisted protocol: one question after the other.

    Attributes:
        lost: whether it is of no more use.
    """

    lost: bool

    def ask(self, question: _Asked) -> Deferred[bytes | ScanFailed]:
        """Put a question; there must be none under way.

        Returns:
            Fires with the answer, or with why there is none. Fails only with what the question itself raises.
        """

    def abandon(self, why: ScanFailed) -> None:
        """Nobody waits any more; the question under way ends with ``why``."""


class Dialect(Protocol[Q]):
    """What is asked, and what is made of the answers.

    Attributes:
        name: of the engine.
    """

    name: Name

    def connection(self, gone: Callable[[Any], None]) -> Talk[Q]:
        """A new connection.

        Arguments:
            gone: told, with the connection, when it is no more, or of no more use.
        """

    def about(self, message: Any) -> Q:
        """The question about ``message``."""

    def probe(self) -> Q:
        """A question that costs nothing; who answers is alive."""

    def judge(self, answer: bytes, seconds: float) -> ScanResult | ScanFailed:
        """What the answer to a question about a message means.

        Arguments:
            seconds: how long it took.
        """

    def alive(self, answer: bytes) -> float | None:
        """What the answer to a probe means.

        Returns:
            When the engine's signatures were made, seconds since the epoch, or 0 where it does not tell.
            None if this is no such answer: something else listens there.
        """
