"""Rspamd and spamd as engines behind a socket: from questions and answers to clues with points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.engines.seat import Name
from contentfilter.spamengines import rspamd, spamd
from contentfilter.spamengines.asking import Asking
from contentfilter.spamengines.http import HttpQuestion
from contentfilter.spamengines.opinion import Opinion
from contentfilter.spamengines.question import Asked, Nonsense
from contentfilter.spamengines.spamd import SpamdQuestion


class Worth(Protocol):
    """What an engine's score is worth to us, as ``contentfilter.rspamd`` says it.

    Attributes:
        factor: points for each of its own.
        at_least: points that it takes away at most; negative.
        at_most: points that it adds at most.
    """

    @property
    def factor(self) -> float: ...
    @property
    def at_least(self) -> float: ...
    @property
    def at_most(self) -> float: ...


class SpamdWorth(Worth, Protocol):
    """Likewise ``contentfilter.spamassassin``.

    Attributes:
        user: whose preferences count.
    """

    @property
    def user(self) -> str: ...


class Rspamd:
    """See :class:`contentfilter.engines.dialect.Dialect`.

    Arguments:
        worth: of its score.
    """

    name: Name = "rspamd"

    def __init__(self, worth: Worth) -> None:
        self._worth = worth

    def connection(self, gone: Callable[[Asking], None]) -> Asking:
        return Asking(self.name, gone)

    def about(self, message: Asked) -> HttpQuestion:
        return rspamd.check(message)

    def probe(self) -> HttpQuestion:
        return rspamd.ping()

    def judge(self, answer: bytes, seconds: float) -> ScanResult | ScanFailed:
        return _judge(self.name, rspamd.opinion, answer, self._worth, seconds)

    def alive(self, answer: bytes) -> float | None:
        return 0.0 if rspamd.pong(answer) else None


class Spamd:
    """See :class:`contentfilter.engines.dialect.Dialect`.

    Arguments:
        worth: of its score, and who asks.
    """

    name: Name = "spamassassin"

    def __init__(self, worth: SpamdWorth) -> None:
        self._worth = worth

    def connection(self, gone: Callable[[Asking], None]) -> Asking:
        return Asking(self.name, gone)

    def about(self, message: Asked) -> SpamdQuestion:
        return spamd.symbols(message, self._worth.user)

    def probe(self) -> SpamdQuestion:
        return spamd.ping()

    def judge(self, answer: bytes, seconds: float) -> ScanResult | ScanFailed:
        return _judge(self.name, spamd.opinion, answer, self._worth, seconds)

    def alive(self, answer: bytes) -> float | None:
        return 0.0 if spamd.pong(answer) else None


def points(opinion: Opinion, worth: Worth) -> float:
    """What an opinion is worth."""
    return round(max(worth.at_least, min(worth.at_most, opinion.score * worth.factor)), 2)


def _judge(
    name: Name, read: Callable[[bytes], Opinion], answer: bytes, worth: Worth, seconds: float
) -> ScanResult | ScanFailed:
    try:
        opinion = read(answer)
    except Nonsense as problem:
        return ScanFailed(name, "protocol", str(problem))
    clue = Clue(f"{name}.score", str(opinion), points(opinion, worth))
    return ScanResult(clues=(clue,), seconds=seconds)
