"""Where an engine works, and what it needs of a message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

from contentfilter.content.results import ScanFailed, ScanResult

Name = Literal["clamd", "command", "rspamd", "spamassassin"]
"""An engine in the metrics, the log and :class:`~contentfilter.content.results.ScanFailed`."""
VIRUS: tuple[Name, ...] = ("clamd", "command")
"""Those that look for viruses."""
SPAM: tuple[Name, ...] = ("rspamd", "spamassassin")
"""Those that say how much a mail looks like spam."""
NAMES = VIRUS + SPAM


class Message(Protocol):
    """A spooled message, dot-stuffed; see :class:`contentfilter.spool.spool.Spool`."""

    @property
    def size(self) -> int: ...
    @property
    def digest(self) -> bytes: ...
    def chunks(self) -> Iterator[bytes]: ...


class Seat(Protocol):
    """One place where an engine works: a clamd's socket, or this machine.

    Attributes:
        place: where, for the log.
        blind: whether it missed the test virus; it gets no mail then.
    """

    place: str
    blind: bool

    @property
    def usable(self) -> bool:
        """Whether mail is given to it."""

    @property
    def busy(self) -> int:
        """Messages that it looks at."""

    @property
    def signatures(self) -> float:
        """When its signatures were made, seconds since the epoch; 0 where that is not known."""

    async def look(self, message: Message, seconds: float) -> ScanResult | ScanFailed:
        """What it says of ``message``, within so many seconds.

        After a failure it is either not usable for a while, or the next one may go better.

        Raises:
            OSError: the message cannot be read, or is not what came in.
        """

    def start(self) -> None:
        """Begin to look after it."""

    def close(self) -> None:
        """Let go of what is kept for later; what is under way ends as it will."""
