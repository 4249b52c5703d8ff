"""What greylisting remembers, in the store of this node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from functools import lru_cache
from itertools import islice
from typing import Literal, Protocol, TypeAlias

from mailbase.networks import NetworkTable
from mailbase.store import NEVER, Store, StoreError, Table
from mailbase.store.tables import Row
from policyd.facts import Grey, GreylistFact
from policyd.greylist.keys import normal_recipient, normal_sender, triplet_key
from policyd.greylist.tables import ALLOWED, CLIENTS, TRIPLETS
from policyd.greylist.terms import (
    Client,
    Entry,
    Outcome,
    Terms,
    expiry,
    good_retry,
    is_allowed,
    judge,
    seen_again,
)

MAX_TEXT = 320
"""Characters of an address that are kept for listings; the key covers all of it."""
MAX_ALLOWED = 100_000
"""Networks allowed by command."""
MAX_UNWRITTEN = 10_000
"""Deletions under way before forgetting waits for the disk."""
PAGE = 200
"""Entries looked at before Postfix's requests get their turn."""

Kind: TypeAlias = Literal["triplets", "clients", "allowed"]
KINDS: tuple[Kind, ...] = ("triplets", "clients", "allowed")
Page: TypeAlias = "list[tuple[bytes, Row]]"

_GREY = {outcome: Grey(outcome.value) for outcome in Outcome}
_EARNED = GreylistFact(Grey.CLIENT_EARNED)
_ALLOWED = GreylistFact(Grey.CLIENT_ALLOWED)
_UNAVAILABLE = GreylistFact(Grey.UNAVAILABLE)


@lru_cache(maxsize=1024)
def _fact(outcome: Outcome, wait: int) -> GreylistFact:
    return GreylistFact(_GREY[outcome], wait)


class Ledger(Protocol):
    """Remembers triplets; the answer may come at once or, from another machine, later."""

    def attempt(
        self, network: bytes, address: bytes, sender: str, recipient: str, now: float, *, trace: bool = True
    ) -> GreylistFact | Awaitable[GreylistFact]:
        """One attempt to deliver.

        Arguments:
            network: of :func:`policyd.greylist.keys.client_network`.
            address: of the client, 4 or 16 octets.
            sender: as in the envelope.
            recipient: as in the envelope.
            now: seconds since the epoch.
            trace: False to answer without remembering.
        """


class Records(Ledger, Protocol):
    """A ledger with its books open: what policyd's operator asks of it.

    Raises (all methods, at once or when awaited):
        StoreError: cannot be done at the moment.
    """

    terms: Terms
    """In force; replaced at a reload."""
    on_error: Literal["pass", "defer"]
    """``store.on_error``, likewise."""

    def allow(self, network: str, comment: str, now: float, until: float = NEVER) -> Awaitable[None] | None:
        """Spare a network from now on.

        Arguments:
            network: as :func:`mailbase.networks.parse_network` takes it.
            until: seconds since the epoch.
        """

    def forget(self, kind: Kind, key: bytes, now: float) -> Awaitable[None] | None:
        """Delete one entry."""

    @property
    def crowded(self) -> bool:
        """Whether so much waits to be written that forgetting more should wait."""

    def pages(self, kind: Kind, now: float) -> AsyncIterator[Page]:
        """All entries of one kind, as key and columns, some at a time."""


class StoreLedger:
    """:class:`Records` in :class:`mailbase.store.Store`.

    Arguments:
        store: has the tables of :mod:`policyd.greylist.tables`.
        terms: in force; may be replaced at a reload.
        on_error: ``pass`` spares new triplets while the store is broken, since nothing could be remembered of
            them for certain; ``defer`` makes them wait, as long as memory lasts by the usual terms.
    """

    def __init__(self, store: Store, terms: Terms, on_error: Literal["pass", "defer"]) -> None:
        self.terms = terms
        self.on_error = on_error
        self._store = store
        self._status = store.status
        self.triplets: Table = store.table(TRIPLETS.name)
        self.clients: Table = store.table(CLIENTS.name)
        self.allowed: Table = store.table(ALLOWED.name)
        self._networks: NetworkTable[int] | None = None
        """Allowed by command, until when; None if there are none."""

    def attempt(
        self, network: bytes, address: bytes, sender: str, recipient: str, now: float, *, trace: bool = True
    ) -> GreylistFact:
        """See :class:`Ledger`."""
        try:
            if self._networks is not None and self._is_allowed(address, now):
                return _ALLOWED
            return self._attempt(network, sender, recipient, now, trace)
        except StoreError:
            return _UNAVAILABLE

    def _attempt(self, network: bytes, sender: str, recipient: str, now: float, trace: bool) -> GreylistFact:
        terms = self.terms
        client: Client | None = None
        if terms.auto_allow_after:
            row = self.clients.get(network, now)
            if row is not None:
                client = Client(row[0], row[1])  # type: ignore[arg-type]
                if is_allowed(client, now, terms):
                    if trace and (again := seen_again(client, now)):
                        self._put_client(network, again)
                    return _EARNED
        sender, recipient = normal_sender(sender), normal_recipient(recipient)
        key = triplet_key(network, sender, recipient)
        found = self.triplets.get(key, now)
        entry = None if found is None else Entry(found[0], found[1], found[2])  # type: ignore[arg-type]
        changed, answer = judge(entry, now, terms)
        outcome = answer.outcome
        if changed is not None and trace:
            if outcome is Outcome.NEW and self._status.broken and self.on_error == "pass":
                return _UNAVAILABLE
            expires = expiry(changed, terms)
            self.triplets.put(key, (*changed, network, sender[:MAX_TEXT], recipient[:MAX_TEXT], expires))
            if outcome is Outcome.PASSED and terms.auto_allow_after:
                self._put_client(network, good_retry(client, now))
        return _fact(outcome, answer.wait)

    def _is_allowed(self, address: bytes, now: float) -> bool:
        """Whether a client is allowed by command; whose time is over leaves the table."""
        until = self._networks.lookup(address) if self._networks is not None else None
        if until is not None and until <= now:
            # A network around it may still be allowed.
            self.load_allowed(now)
            return self._is_allowed(address, now)
        return until is not None

    def _put_client(self, network: bytes, client: Client) -> None:
        expires = client.last + int(self.terms.auto_allow_lifetime) + 1
        self.clients.put(network, (*client, expires))

    def load_allowed(self, now: float) -> None:
        """Read the networks that were allowed by command; to be called at start and after each change.

        Raises:
            StoreError: cannot be read now; those known stay in force.
        """
        networks: NetworkTable[int] = NetworkTable()
        for key, (*_, until) in self.allowed.scan(now):
            assert isinstance(until, int)
            networks.add(key.decode("ascii", "replace"), until)
        networks.prepare()
        self._networks = networks if len(networks) else None

    def allow(self, network: str, comment: str, now: float, until: float = NEVER) -> None:
        """Spare a network from now on.

        Arguments:
            network: as :func:`mailbase.networks.parse_network` takes it.
            until: seconds since the epoch.

        Raises:
            StoreError: cannot be remembered.
        """
        if self._networks is not None and len(self._networks) >= MAX_ALLOWED:
            raise StoreError(f"{MAX_ALLOWED} networks are allowed already")
        self.allowed.put(network.encode("ascii"), (int(now), comment[:MAX_TEXT], int(until)))
        self.load_allowed(now)

    def disallow(self, network: str, now: float) -> bool:
        """Take back :meth:`allow`; False if the network was not allowed.

        Raises:
            StoreError: cannot be remembered.
        """
        key = network.encode("ascii")
        if self.allowed.get(key, now) is None:
            return False
        self.allowed.delete(key)
        self.load_allowed(now)
        return True

    async def pages(self, kind: Kind, now: float) -> AsyncIterator[Page]:
        """See :class:`Records`."""
        rows = self._table(kind).scan(now)
        while page := list(islice(rows, PAGE)):
            yield page

    def forget(self, kind: Kind, key: bytes, now: float) -> None:
        """See :class:`Records`."""
        if kind == "allowed":
            self.disallow(key.decode("ascii", "replace"), now)
            return
        self._table(kind).delete(key)

    @property
    def crowded(self) -> bool:
        """See :class:`Records`."""
        return self._store.pending > MAX_UNWRITTEN and not self._status.broken

    def _table(self, kind: Kind) -> Table:
        table: Table = getattr(self, kind)
        return table
