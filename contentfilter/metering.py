"""What the proxy counts: the edge calls, the metrics implement."""

from __future__ import annotations

from typing import Literal, Protocol, get_args

from contentfilter.session.intake import Meter as IntakeMeter
from contentfilter.session.intake import Shortage
from contentfilter.session.steps import End

Stage = Literal[
    "receive",
    "ticket",
    "evidence",
    "wait",
    "workers",
    "clamd",
    "command",
    "preparation",
    "beside",
    "assessment",
    "stamps",
    "greylist",
    "quarantine",
    "total",
    "reinjection",
]
"""What takes time between DATA and our reply. ``workers`` has the ``wait`` for one in it, ``total`` is from
the end of data to the verdict, in which all but the first and the last run side by side."""
STAGES: tuple[Stage, ...] = get_args(Stage)


class ProxyMeter(IntakeMeter, Protocol):
    """Counters of the SMTP side. Every label is one of a small closed set."""

    def connected(self, protocol: str) -> None:
        """A client's connection began; ``protocol`` is the listener's: ``smtp``, ``lmtp`` or ``milter``."""

    def disconnected(self, protocol: str) -> None:
        """It ended."""

    def turned_away(self, protocol: str) -> None:
        """A connection was refused at its begin: too many, not ready, or shutting down."""

    def ended(self, protocol: str, end: End, size: int, seconds: float) -> None:
        """A transaction that reached DATA has ended.

        Arguments:
            size: octets of the message, un-stuffed.
            seconds: from DATA to our reply.
        """

    def took(self, stage: Stage, seconds: float) -> None:
        """A stage of a transaction took so long."""

    def compared(self, same: bool) -> None:
        """The bytes to be sent were compared with those that came in; that they differ must never happen."""

    def probed(self, ready: bool) -> None:
        """The reinjection port was asked for its extensions; whether it answered."""


class NoMeter:
    """Counts nothing."""

    def kept_out(self, shortage: Shortage) -> None: ...

    def connected(self, protocol: str) -> None: ...

    def disconnected(self, protocol: str) -> None: ...

    def turned_away(self, protocol: str) -> None: ...

    def ended(self, protocol: str, end: End, size: int, seconds: float) -> None: ...

    def took(self, stage: Stage, seconds: float) -> None: ...

    def compared(self, same: bool) -> None: ...

    def probed(self, ready: bool) -> None: ...
