"""What the proxy counts: the edge calls, the metrics implement."""

from __future__ import annotations

from typing import Protocol

from contentfilter.steps import End


class ProxyMeter(Protocol):
    """Counters of the SMTP side. Every label is one of a small closed set."""

    def connected(self, protocol: str) -> None:
        """A client's connection began; ``protocol`` is ``smtp`` or ``lmtp``."""

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

    def mismatched(self) -> None:
        """The bytes to be sent are not those that came in. Must never happen."""

    def probed(self, ready: bool) -> None:
        """The reinjection port was asked for its extensions; whether it answered."""


class NoMeter:
    """Counts nothing."""

    def connected(self, protocol: str) -> None: ...

    def disconnected(self, protocol: str) -> None: ...

    def turned_away(self, protocol: str) -> None: ...

    def ended(self, protocol: str, end: End, size: int, seconds: float) -> None: ...

    def mismatched(self) -> None: ...

    def probed(self, ready: bool) -> None: ...
