"""clamd as an engine behind a socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.engines.answers import judge, signatures_made
from contentfilter.engines.conversation import Conversation, Handing
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
        self._handing = Handing()

    def connection(self, gone: Callable[[Conversation], None]) -> Conversation:
        return Conversation(gone, self._handing)

    def about(self, message: Message) -> Message | None:
        return message

    def probe(self) -> Message | None:
        return None

    def judge(self, answer: bytes, seconds: float) -> ScanResult | ScanFailed:
        return judge(answer, seconds, self._settings.suspected)

    def alive(self, answer: bytes) -> float | None:
        return signatures_made(answer)
