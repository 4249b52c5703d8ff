"""What is known of a mail before its content: client, envelope and parameters, as they stood on the wire."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Client:
    """The SMTP client as Postfix reported it by XFORWARD (XFORWARD_README), xtext decoded.

    An attribute that was not sent, or came as ``[UNAVAILABLE]``, is empty. ``address`` is in
    presentation form without the ``IPV6:`` prefix.
    """

    name: str = ""
    address: str = ""
    port: str = ""
    helo: str = ""
    protocol: str = ""
    ident: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Path:
    """A reverse-path or forward-path with its ESMTP parameters.

    Arguments:
        address: mailbox without angle brackets; empty for the null reverse-path.
        line: all that followed ``MAIL FROM:`` or ``RCPT TO:`` on the wire, passed on verbatim.
    """

    address: str
    line: bytes


@dataclass(slots=True)
class Envelope:
    """One mail transaction (RFC 5321 3.3).

    Arguments:
        client: who handed the mail to Postfix.
        xforward: the XFORWARD command lines as received, without CRLF, passed on verbatim.
        sender: the reverse-path.
        recipients: the forward-paths in their order.
        lmtp: whether the transaction came over LMTP, so that each recipient gets a reply of its own.
        size: octets that the client claimed before it sent them; None if it did not.
        inseparable: whether the client has shown that it cannot bring the recipients one after another.
    """

    sender: Path
    client: Client = Client()
    xforward: list[bytes] = field(default_factory=list)
    recipients: list[Path] = field(default_factory=list)
    lmtp: bool = False
    size: int | None = None
    inseparable: bool = False

    def without(self, positions: Collection[int]) -> Envelope:
        """The envelope without the recipients at ``positions``."""
        if not positions:
            return self
        staying = [path for place, path in enumerate(self.recipients) if place not in positions]
        return replace(self, recipients=staying)
