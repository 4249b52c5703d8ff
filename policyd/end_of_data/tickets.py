"""Tickets: what contentfilter may ask of a mail, kept as long as the mail may lie in a queue."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from mailbase.addresses import pack, plain_address
from mailbase.ids import is_id
from mailbase.store import Column, Memory, Row, StoreError, TableSpec
from mailbase.ticket import LIFETIME, Ticket

TICKETS = TableSpec("tickets", (Column("content", "TEXT"),), cached=200, opaque=True)
"""Key: the id. Content: :meth:`Ticket.to_dict` as JSON."""
MAX_CONTENT = 512 * 1024
"""Characters of a ticket; a line of the control socket has 1 MiB."""


class Tickets:
    """Keeps tickets.

    Arguments:
        table: described by :data:`TICKETS`.
        behind: runs a coroutine that nobody waits for.
    """

    def __init__(self, table: Memory, behind: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self._table = table
        self._behind = behind
        self.lost = 0
        """Tickets that could not be kept: contentfilter then goes on with what it knows itself."""

    def keep(self, ticket: Ticket, now: float) -> None:
        """Keep ``ticket``; a broken store loses it, and the mail goes on."""
        content = json.dumps(ticket.to_dict(), separators=(",", ":"))
        if len(content) > MAX_CONTENT:
            content = json.dumps(
                {**ticket.to_dict(), "recipients": [], "spamtraps": []}, separators=(",", ":")
            )
        try:
            written = self._table.put(ticket.id.encode("ascii"), (content, int(now + LIFETIME)))
        except StoreError:
            self.lost += 1
            return
        if written is not None:
            self._behind(self._note_loss(written))

    async def _note_loss(self, written: Awaitable[None]) -> None:
        try:
            await written
        except StoreError:
            self.lost += 1

    def find(
        self, ticket_id: str, client: str, sender: str, now: float
    ) -> Ticket | Awaitable[Ticket | None] | None:
        """The ticket, if it was given for that client and sender.

        Arguments:
            client: address in presentation form.
            sender: envelope sender; quotes, case and angle brackets do not count.

        Raises:
            StoreError: the store cannot say (at once or when awaited).
        """
        if not is_id(ticket_id):
            return None
        row = self._table.get(ticket_id.encode("ascii"), now)
        if row is None or isinstance(row, tuple):
            return _if_given_for(row, client, sender)
        return _later(row, client, sender)


async def _later(waiting: Awaitable[Row | None], client: str, sender: str) -> Ticket | None:
    return _if_given_for(await waiting, client, sender)


def _if_given_for(row: Row | None, client: str, sender: str) -> Ticket | None:
    if row is None:
        return None
    ticket = Ticket.from_dict(json.loads(str(row[0])))
    if plain_address(ticket.sender) != plain_address(sender):
        return None
    packed = pack(client)
    return ticket if packed is not None and packed == pack(ticket.client) else None
