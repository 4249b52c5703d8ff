"""clamd as an engine behind a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.engines.answers import judge, signatures_made
from contentfilter.engines.conversation import Conversation, instream, version
from contentfilter.engines.seat import Message, Name


class Settings(Protocol):
    """What of ``contentfilter.clamd`` is read here."""

    @property
    def suspected(self) -> Sequence[str]: ...


class Clamd:
    """See :class:`contentfilter.engines.dialect.Dialect`.

    Arguments:
        settings: ``contentfilter.clamd`` of the configuration.
    """

    name: Name = "clamd"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def connection(self, gone: Callable[[Conversation], None]) -> Conversation:
        return Conversation(gone)

    def about(self, message: Message) -> Iterator[bytes]:
        return instream(message)

    def probe(self) -> Iterator[bytes]:
        return version()

    def judge(self, answer: bytes, seconds: float) -> ScanResult | ScanFailed:
        return judge(answer, seconds, self._settings.suspected)

    def alive(self, answer: bytes) -> float | None:
        return signatures_made(answer)
