"""Tickets: what contentfilter may ask of a mail, kept as long as the mail may lie in a queue."""

from __future__ import annotations

import json

from mailbase.addresses import pack
from mailbase.ids import is_id
from mailbase.store import Column, Store, StoreError, TableSpec
from mailbase.ticket import LIFETIME, Ticket

TICKETS = TableSpec("tickets", (Column("content", "TEXT"),), cached=200)
"""Key: the id. Content: :meth:`Ticket.to_dict` as JSON."""
MAX_CONTENT = 512 * 1024
"""Characters of a ticket; a line of the control socket has 1 MiB."""


class Tickets:
    """Keeps tickets in the store.

    Arguments:
        store: has the table :data:`TICKETS`.
    """

    def __init__(self, store: Store) -> None:
        self._table = store.table(TICKETS.name)
        self.lost = 0
        """Tickets that could not be kept: contentfilter then goes on with what it knows itself."""

    def keep(self, ticket: Ticket, now: float) -> None:
        """Keep ``ticket``; a broken store loses it, and the mail goes on."""
        content = json.dumps(ticket.to_dict(), separators=(",", ":"))
        if len(content) > MAX_CONTENT:
            content = json.dumps({**ticket.to_dict(), "recipients": []}, separators=(",", ":"))
        try:
            self._table.put(ticket.id.encode("ascii"), (content, int(now + LIFETIME)))
        except StoreError:
            self.lost += 1

    def find(self, ticket_id: str, client: str, sender: str, now: float) -> Ticket | None:
        """The ticket, if it was given for that client and sender.

        Arguments:
            client: address in presentation form.
            sender: envelope sender; quotes, case and angle brackets do not count.

        Raises:
            StoreError: the store cannot say.
        """
        if not is_id(ticket_id):
            return None
        row = self._table.get(ticket_id.encode("ascii"), now)
        if row is None:
            return None
        ticket = Ticket.from_dict(json.loads(str(row[0])))
        if plain_sender(ticket.sender) != plain_sender(sender):
            return None
        packed = pack(client)
        return ticket if packed is not None and packed == pack(ticket.client) else None


def plain_sender(sender: str) -> str:
    """An envelope sender without what differs between Postfix's form of it and the wire's.

    A policy request has ``a b@example.org`` for what SMTP has as ``<"a b"@example.org>``.
    """
    text = sender.lower()
    if text[:1] == "<" and text[-1:] == ">":
        text = text[1:-1]
    return text.replace('"', "").replace("\\", "")
