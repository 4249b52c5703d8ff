"""What administrators are told: one event in words, as a mail and as JSON. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from mailbase.addresses import split_mailbox
from mailbase.registry import Registry
from mailbase.registry.model import Person, Server
from mailbase.replies import printable
from policyd.outgoing.measures import Kind, Whose

MAX_READERS = 50
"""Who gets one notice by mail at most."""
MAX_LINE = 300


@dataclass(frozen=True, slots=True)
class Notice:
    """One event.

    Arguments:
        event: its name, for programs: ``outgoing-jump``, ``outgoing-suspended``, ``own-address-listed``.
        id: of the entry in the journal; empty where there is none.
        time: seconds since the epoch.
        subject: what a mail's subject says.
        lines: what it says, a line each.
        whose: who it is about; None: the gateway itself.
        data: for programs: JSON types.
    """

    event: str
    id: str
    time: float
    subject: str
    lines: tuple[str, ...]
    whose: Whose | None = None
    data: dict[str, Any] = field(default_factory=dict, hash=False)

    def to_dict(self, gateway: str) -> dict[str, Any]:
        """As JSON types, for a webhook.

        Arguments:
            gateway: host name of the one that tells.
        """
        about = {} if self.whose is None else {"kind": self.whose.kind.value, "name": self.whose.name}
        return {
            "event": self.event,
            "gateway": gateway,
            "id": self.id,
            "time": int(self.time),
            "summary": self.subject,
            **about,
            **self.data,
        }


def readers(notice: Notice, registry: Registry, always: Sequence[str], hostname: str) -> tuple[str, ...]:
    """Mail addresses of those who are told: who is registered for it, and who is told everything.

    A system's are the administrators of the server that it is assigned to, else their deputies; likewise for
    a user whose login name is an address of a registered domain. Where nobody is left: the postmaster.
    """
    registered = _administrators(notice.whose, registry) if notice.whose is not None else ()
    found = dict.fromkeys((*(person.email for person in registered), *always))
    return tuple(found)[:MAX_READERS] or (f"postmaster@{hostname}",)


def _administrators(whose: Whose, registry: Registry) -> Sequence[Person]:
    if whose.kind is Kind.SYSTEM:
        servers = registry.servers.values()
        name = next((server.name for server in servers if whose.name in _systems(server)), "")
    else:
        mailbox = split_mailbox(whose.name) if "@" in whose.name else None
        domain = registry.domain(mailbox.domain) if mailbox is not None and mailbox.domain else None
        name = domain.server if domain is not None else ""
    server = registry.servers.get(name)
    return () if server is None else server.administrators or server.deputies


def _systems(server: Server) -> Iterator[str]:
    """What is registered as systems of a server, as it is written there: its own addresses are, too."""
    yield from server.addresses
    yield from (system.text for system in server.systems)


def compose(notice: Notice, to: Iterable[str], hostname: str, contact: str = "") -> bytes:
    """The message, CRLF as line end; marked so that no program answers.

    Arguments:
        hostname: the gateway's.
        contact: URL or text for those who want to ask; may be empty.
    """
    asked = contact.replace("{id}", notice.id)
    lines = [
        f"From: Mail gateway <postmaster@{hostname}>",
        "To: " + ",\r\n ".join(printable(one, 320) for one in to),
        f"Subject: {printable(notice.subject, 200)}",
        f"Date: {formatdate(notice.time, localtime=True)}",
        f"Message-ID: <{notice.event}.{int(notice.time)}.{notice.id or 'gateway'}@{hostname}>",
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: All",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        *(printable(line, MAX_LINE) if line else "" for line in notice.lines),
        "",
        f"{_moment(notice.time)}, mail gateway {hostname}",
        *([printable(asked, MAX_LINE)] if asked else ()),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii", "replace")


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(seconds))
