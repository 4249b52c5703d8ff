"""The digest: what the quarantine keeps for a domain, told to the domain's administrators once a day. Pure.

It is the only mail that contentfilter writes. Nobody else is told: senders are forged more often than not.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from contentfilter.quarantine.entry import Entry, came
from contentfilter.session.envelope import Envelope, Path
from mailbase.addresses import domain_of
from mailbase.registry.model import Person, Registry
from mailbase.replies import printable

AHEAD = 3 * 86400.0
"""Seconds before a message's end that it is named once more."""
MAX_LISTED = 200
"""Messages named in one digest; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One message of the quarantine, as a digest names it; times in seconds since the epoch."""

    id: str
    arrived: float
    expires: float
    sender: str
    recipients: tuple[str, ...]
    size: int
    reason: str


@dataclass(slots=True)
class Digest:
    """What is told of one domain.

    Arguments:
        new: messages that were not told before, oldest first.
        ending: messages that were, and will be deleted soon.
    """

    new: list[Kept] = field(default_factory=list)
    ending: list[Kept] = field(default_factory=list)


def worth_telling(arrived: float, keep: float, since: float, until: float) -> bool:
    """Whether a message belongs into a digest, by when it came."""
    return since < arrived <= until or _ending(arrived, keep, since, until)


def _ending(arrived: float, keep: float, since: float, until: float) -> bool:
    return since + AHEAD < arrived + keep <= until + AHEAD


def add(digests: dict[str, Digest], entry: Entry, keep: float, since: float, until: float) -> None:
    """Sort a message into the digests of the domains of its recipients.

    Arguments:
        keep: seconds that a message is kept.
        since: when the digest before was made, in seconds since the epoch.
        until: when this one is.
    """
    arrived = came(entry.path)
    if arrived is None or not worth_telling(arrived, keep, since, until):
        return
    known = entry.metadata
    by_domain: dict[str, list[str]] = {}
    for address in _texts(known.get("recipients")):
        by_domain.setdefault(domain_of(address) or "", []).append(address)
    size = known.get("size")
    for domain, addresses in by_domain.items():
        kept = Kept(
            str(known.get("id", "")),
            arrived,
            arrived + keep,
            str(known.get("sender", "")),
            tuple(addresses),
            size if isinstance(size, int) else 0,
            str(known.get("reason", "")),
        )
        digest = digests.setdefault(domain, Digest())
        (digest.new if since < arrived <= until else digest.ending).append(kept)


def readers(registry: Registry, domain: str) -> tuple[Person, ...]:
    """Who gets a domain's digest: the administrators of its server, else their deputies; empty for nobody."""
    registered = registry.domain(domain) or registry.host_system(domain)
    server = registry.servers.get(registered.server) if registered is not None else None
    if server is None:
        return ()
    return server.administrators or server.deputies


@dataclass(frozen=True, slots=True)
class Gateway:
    """Who writes the digest.

    Arguments:
        hostname: the gateway's.
        sender: for From:.
        contact: URL or text for those who want to ask; may be empty.
    """

    hostname: str
    sender: str
    contact: str = ""


def compose(
    domain: str, digest: Digest, people: Sequence[Person], gateway: Gateway, now: float
) -> tuple[Envelope, bytes]:
    """Envelope and message, CRLF as line end. From the null sender, and marked so that no program answers."""
    total = len(digest.new) + len(digest.ending)
    what = f"{total} message{'s' if total != 1 else ''} for {domain}"
    to = dict.fromkeys(person.email for person in people)
    lines = [
        f"From: Mail gateway <{gateway.sender}>",
        "To: " + ",\r\n ".join(printable(one, 320) for one in to),
        f"Subject: Quarantine of {gateway.hostname}: {what}",
        f"Date: {formatdate(now, localtime=True)}",
        f"Message-ID: <digest.{int(now)}.{domain}@{gateway.hostname}>",
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: All",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"The mail gateway {gateway.hostname} holds back {what}.",
        "Neither senders nor recipients were told. What nobody releases is deleted when its time is over.",
        "",
        f"The postmasters of the gateway release a message by its id{_asked(gateway.contact)}:",
        "    contentfilter quarantine show ID",
        "    contentfilter quarantine release ID",
    ]
    for title, messages in (
        ("New since the last digest", digest.new),
        ("Deleted soon, and named before", digest.ending),
    ):
        if messages:
            lines += ["", f"{title}: {len(messages)}"]
            lines += [line for kept in messages[:MAX_LISTED] for line in _listed(kept)]
            if messages[MAX_LISTED:]:
                lines += ["", f"and {len(messages) - MAX_LISTED} more."]
    envelope = Envelope(
        Path("", b"<>"),
        recipients=[Path(one, f"<{one}>".encode()) for one in to],
        # Whom Postfix does not take keeps nobody else from reading it.
        lmtp=True,
    )
    return envelope, "".join(f"{line}\r\n" for line in lines).encode("ascii", "replace")


def _asked(contact: str) -> str:
    return f" ({printable(contact, 200)})" if contact else ""


def _listed(kept: Kept) -> list[str]:
    return [
        "",
        f"id        {printable(kept.id, 20)}",
        f"came      {_moment(kept.arrived)}, deleted {_moment(kept.expires)}",
        f"from      {printable(kept.sender or '<>', 200)}",
        f"to        {printable(', '.join(kept.recipients), 400)}",
        f"size      {max(1, kept.size >> 10)} KiB",
        f"reason    {printable(kept.reason, 300)}",
    ]


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M %z", time.localtime(seconds))


def _texts(value: Any) -> Iterable[str]:
    return (one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
