"""What became of mail: spam or not, by client network and by sender domain, fading with time.

A network's mail counts whoever it claims to be from. A domain's counts only where SPF passed for it: else
anybody could ruin it, or borrow its good name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

from mailbase.addresses import domain_of, pack
from mailbase.report import Report
from mailbase.store import Column, Memory, Row, StoreError, TableSpec
from mailbase.ticket import Ticket
from mailbase.vocabulary import Action, Flow
from policyd.greylist.keys import client_network

OUTCOMES = TableSpec(
    "outcomes",
    (
        Column("spam", "REAL"),
        Column("ham", "REAL"),
        Column("at", "INTEGER"),
        Column("since", "INTEGER"),
    ),
    cached=4_000,
    mostly_absent=True,
)
"""Key: ``n`` and a network (:func:`~policyd.greylist.keys.client_network`), or ``d`` and a domain."""

HALF_LIFE = 14 * 86400.0
"""Seconds in which a mail counts half."""
EXPIRES = 90 * 86400
"""Seconds after the last mail that a history is forgotten."""
SPAM_POINTS, HAM_POINTS = 5.0, 2.5
"""A mail's total from which on it is spam, and below which it is none. What lies between says nothing."""
ENOUGH_SPAM, SPAM_SHARE = 4.5, 0.8
"""So many, and so much of all, make a history bad: five, faded for two days."""
ENOUGH_HAM, HAM_SHARE, LONG = 18.0, 0.99, 14 * 86400
"""So many (twenty, likewise), so much of all, and so many seconds make it good."""


class History(NamedTuple):
    """What became of somebody's mail.

    Arguments:
        spam: mails that were spam, faded.
        ham: mails that were none, likewise.
        at: when they were counted so, in seconds since the epoch.
        since: when the first one that was none came, since the last bad time.
    """

    spam: float = 0.0
    ham: float = 0.0
    at: int = 0
    since: int = 0

    def faded(self, now: float) -> History:
        """What is left of it; by a clock that was set back since, as if it had gone on."""
        share = 0.5 ** (abs(now - self.at) / HALF_LIFE)
        return self._replace(spam=self.spam * share, ham=self.ham * share, at=int(now))

    def bad(self, now: float) -> bool:
        """Whether nearly all of it was spam."""
        if self.spam < ENOUGH_SPAM:
            return False  # nor is there more of it when it has faded
        spam, ham, *_ = self.faded(now)
        return spam >= ENOUGH_SPAM and spam >= SPAM_SHARE * (spam + ham)

    def good(self, now: float) -> bool:
        """Whether there was no spam for a long time."""
        if self.ham < ENOUGH_HAM:
            return False
        spam, ham, *_ = self.faded(now)
        return ham >= ENOUGH_HAM and ham >= HAM_SHARE * (spam + ham) and now - self.since >= LONG

    def after(self, spam: float, now: float) -> History:
        """With one more mail.

        Arguments:
            spam: how much of it is: 0 to 1.
        """
        old = self.faded(now)
        new = old._replace(spam=old.spam + spam, ham=old.ham + (0.0 if spam else 1.0))
        if not new.since or new.since > now or new.bad(now):
            return new._replace(since=int(now))
        return new


class Outcomes:
    """Arguments:
    table: described by :data:`OUTCOMES`; several nodes may share it.
    behind: runs a coroutine that nobody waits for.
    seconds: the clock, seconds since the epoch.

    Attributes:
        prefixes: lengths of a client network, IPv4 and IPv6; replaced at a reload.
    """

    def __init__(
        self,
        table: Memory,
        behind: Callable[[Coroutine[Any, Any, None]], object],
        seconds: Callable[[], float],
        prefixes: tuple[int, int] = (24, 64),
    ) -> None:
        self._table = table
        self._behind = behind
        self.seconds = seconds
        self.prefixes = prefixes

    def of_network(self, address: bytes) -> History | Awaitable[History]:
        """The history of a client's network.

        Raises:
            StoreError: the store cannot say (at once or when awaited).
        """
        return self._of(self._network(address))

    def of_domain(self, domain: str) -> History | Awaitable[History]:
        """The history of a sender domain, as :func:`mailbase.addresses.domain_of` gives it; likewise."""
        return self._of(_domain(domain))

    def _of(self, key: bytes) -> History | Awaitable[History]:
        row = self._table.get(key, self.seconds())
        return _history(row) if row is None or isinstance(row, tuple) else _later(row)

    def reported(self, ticket: Ticket, report: Report, first: bool) -> None:
        """See :data:`policyd.end_of_data.reports.Hook`. Only strangers' mail counts."""
        address = _stranger(ticket, report)
        spam = spam_in(report)
        if not first or address is None or spam is None:
            return
        keys = [self._network(address)]
        domain = domain_of(ticket.sender) if ticket.sender else None
        if domain is not None and any(one.name == "spf.pass" for one in ticket.findings):
            keys.append(_domain(domain))
        for key in keys:
            self._count(key, spam)

    def _count(self, key: bytes, spam: float) -> None:
        # At each mail from outside: without a coroutine where the answer is in memory.
        try:
            found = self._table.get(key, self.seconds())
            if found is None or isinstance(found, tuple):
                written = self._put(key, found, spam)
                if written is not None:
                    self._behind(_done(written))
            else:
                self._behind(self._count_later(key, found, spam))
        except StoreError:
            # It does not count then; the store's own metrics tell.
            return

    async def _count_later(self, key: bytes, waiting: Awaitable[Row | None], spam: float) -> None:
        # Two nodes may do so at once; then one of the mails does not count.
        with contextlib.suppress(StoreError):
            written = self._put(key, await waiting, spam)
            if written is not None:
                await written

    def _put(self, key: bytes, row: Row | None, spam: float) -> Awaitable[None] | None:
        now = self.seconds()
        return self._table.put(key, (*_history(row).after(spam, now), int(now) + EXPIRES))

    def _network(self, address: bytes) -> bytes:
        return b"n" + client_network(address, *self.prefixes, exact=False).encode("ascii")


def spam_in(report: Report) -> float | None:
    """How much of a mail is spam, 0 to 1; None where nobody can say.

    What was refused for its content alone (a macro) counts half: honest people send that too.
    """
    score = score_of(report)
    if report.action is Action.REJECT or report.action is Action.QUARANTINE:
        return 1.0 if score is not None and score >= SPAM_POINTS else 0.5
    if score is None or report.action not in (Action.ACCEPT, Action.TAG):
        return None
    return 1.0 if score >= SPAM_POINTS else 0.0 if score < HAM_POINTS else None


def score_of(report: Report) -> float | None:
    """A mail's total; None where contentfilter did not tell."""
    content: Any = report.content
    score = None if content is None else content.get("score")
    return None if score is None else float(score)


def _stranger(ticket: Ticket, report: Report) -> bytes | None:
    """The address of who brought it from outside."""
    if ticket.flow is Flow.INBOUND:
        return pack(ticket.client)
    return pack(report.origin) if ticket.flow is Flow.UPSTREAM else None


def _domain(domain: str) -> bytes:
    return b"d" + domain.encode("utf-8", "replace")


async def _done(written: Awaitable[None]) -> None:
    with contextlib.suppress(StoreError):
        await written


async def _later(waiting: Awaitable[Row | None]) -> History:
    return _history(await waiting)


def _history(row: Row | None) -> History:
    return History() if row is None else History(float(row[0]), float(row[1]), int(row[2]), int(row[3]))
