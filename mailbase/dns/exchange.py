"""What carries questions to servers; :mod:`mailbase.dns.sockets` is the real one."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Address(NamedTuple):
    """Where a server listens: an IP address in presentation form, and a port."""

    host: str
    port: int = 53

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Listener(Protocol):
    """Who asked, and waits."""

    def heard(self, packet: bytes) -> None:
        """A packet came that may be the answer; over TCP one at most."""

    def lost(self, why: str) -> None:
        """Nothing can come any more; called once."""

    def unsent(self, why: str) -> None:
        """The question did not go out, for trouble of ours, so nothing can come; it is still to be left."""


class Exchange(Protocol):
    """A way that one or more questions have gone."""

    def leave(self, number: bytes) -> None:
        """Hear nothing more of a question.

        Arguments:
            number: the first two octets of its packet. Left once, and not after ``lost``.
        """


class Network(Protocol):
    """What carries questions; tests have one without sockets."""

    def datagram(self, server: Address, packet: bytes, listener: Listener) -> Exchange:
        """Ask over UDP, at the latest when the reactor's turn is over.

        Raises:
            OSError: it cannot be sent. The listener is not called before the return.
        """

    def stream(self, server: Address, packet: bytes, listener: Listener, timeout: float) -> Exchange:
        """Ask over TCP (RFC 7766); ``lost`` tells of any trouble.

        Arguments:
            timeout: seconds, for the connection to come about.
        """
