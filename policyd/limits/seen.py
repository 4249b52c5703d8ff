"""What was counted already, so that nothing counts twice. Bounded; a restart forgets it."""

from __future__ import annotations

import re

from mailbase.store.recent import Recent
from policyd.protocol.request import MAX_ADDRESS, Request

MAX_SEEN = 20_000
"""Connections, transactions and warned subjects that are remembered, of each in one of two generations."""

_INSTANCE = re.compile(r"([0-9a-f]{1,16})(?:\.[0-9a-f]{1,16}){2}\.([0-9a-f]{1,16})")
"""Number of the smtpd's process, seconds, microseconds, and number of the transaction in its connection."""


class Seen:
    """One for the daemon; it outlives a reload."""

    def __init__(self, size: int = MAX_SEEN) -> None:
        self._connections: Recent[str, str | None] = Recent(size)
        """The last transaction of each that is known."""
        self._transactions: Recent[str, bool] = Recent(size)
        self._told: Recent[tuple[bytes, str], float] = Recent(size)

    @staticmethod
    def connection(request: Request) -> str:
        """The connection that a request belongs to; empty if Postfix (before 3.0) does not say."""
        port = request.get("client_port")
        return f"{request.client_address} {port}" if 0 < len(port) < 6 else ""

    def has_connection(self, connection: str, request: Request) -> bool:
        """Whether the connection was counted, and not another from the same port: clients choose theirs."""
        last = self._connections.get(connection, None)
        return last is not None and _may_follow(request.instance, last)

    def note_connection(self, connection: str, request: Request) -> None:
        """The connection is counted, and has come as far as this request."""
        instance = request.instance if len(request.instance) <= MAX_ADDRESS else ""
        self._connections.put(connection, instance or self._connections.get(connection, ""))

    def has_counted(self, request: Request) -> bool:
        """Whether this mail was counted at this stage, at whichever place Postfix asked."""
        return self._transactions.get(f"{request.instance} {request.stage}", False)

    def note_counted(self, request: Request) -> None:
        """This mail is counted at this stage; outside of a transaction nothing can be noted."""
        if request.instance and len(request.instance) <= MAX_ADDRESS:
            self._transactions.put(f"{request.instance} {request.stage}", True)

    def tell(self, key: bytes, what: str, within: float, now: float) -> bool:
        """Whether the log is to say so of this bucket: once in the time that the limit is set for."""
        last = self._told.get((key, what), float("-inf"))
        if last <= now < last + within:
            return False
        self._told.put((key, what), now)
        return True


def _may_follow(instance: str, last: str) -> bool:
    """Whether a transaction may come after another in one connection, or there is nothing that tells."""
    if not instance or instance == last:
        return True
    this, before = _INSTANCE.fullmatch(instance), _INSTANCE.fullmatch(last)
    if this is None or before is None:
        return True
    return this[1] == before[1] and int(this[2], 16) > int(before[2], 16)
