"""What greylisting remembers, in the store of this node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from itertools import chain, islice
from typing import Literal, Protocol, TypeAlias

from mailbase.networks import NetworkTable
from mailbase.remembered import Remembered
from mailbase.store import NEVER, Store, StoreError, Table
from mailbase.store.tables import Row
from policyd.evidence.facts import Grey, GreylistFact
from policyd.greylist.histories import FIRSTS, Histories, history
from policyd.greylist.identity import Caller, extended, together
from policyd.greylist.keys import normal_recipient, normal_sender, own_key, pair_key, pair_text
from policyd.greylist.standing import Standing
from policyd.greylist.tables import ALLOWED, CLIENTS, OTHERS, TRIPLETS
from policyd.greylist.terms import (
    Client,
    Entry,
    Outcome,
    Terms,
    expiry,
    is_allowed,
    is_current,
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
_KNOWN = GreylistFact(Grey.KNOWN)
_EARNED = GreylistFact(Grey.CLIENT_EARNED)
_ALLOWED = GreylistFact(Grey.CLIENT_ALLOWED)
_UNAVAILABLE = GreylistFact(Grey.UNAVAILABLE)


# Names of their own: reaching an enum's member through its class costs as much as a look-up.
_NEW, _EARLY, _FIRST_PASSED = Outcome.NEW, Outcome.EARLY, Outcome.PASSED


_Place: TypeAlias = tuple[Table, bytes, str]
"""A table, a key, and whose entry it is there: of :func:`policyd.greylist.identity.together`."""


_Held: TypeAlias = tuple[Entry | None, tuple[_Place, ...], bool]
"""What is remembered; where it is to be kept; whether it does not stand in all those places yet. A plain
tuple: making a named one costs as much as looking for the entry."""


_tuple = tuple.__new__
"""Makes a named tuple of a row, at a sixth of the price of its own constructor, which is Python code."""


def _entry(row: Row) -> Entry:
    return _tuple(Entry, row[:3])


def _standing(entry: Entry) -> tuple[bool, int]:
    """What counts more is larger: passed before waiting, waiting longer before shorter."""
    return entry.passed > 0, -entry.first


def _make_fact(outcome_and_wait: tuple[Outcome, int]) -> GreylistFact:
    outcome, wait = outcome_and_wait
    return GreylistFact(_GREY[outcome], wait)


_fact = Remembered(_make_fact, 1024).__getitem__
"""The fact, always the same object for the same outcome and seconds to wait."""


class Ledger(Protocol):
    """Remembers triplets; the answer may come at once or, from another machine, later."""

    def attempt(
        self,
        caller: Caller,
        sender: str,
        recipient: str,
        now: float,
        *,
        trace: bool = True,
        terms: Terms | None = None,
    ) -> GreylistFact | Awaitable[GreylistFact]:
        """One attempt to deliver: one atomic decision, whatever the number of rows that it looks at.

        Arguments:
            caller: who brings the mail; known again by any of its identities.
            sender: as in the envelope.
            recipient: as in the envelope.
            now: seconds since the epoch.
            trace: False to answer without remembering.
            terms: other ones than those in force.
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
        firsts: as for :class:`policyd.greylist.histories.Histories`.
    """

    def __init__(
        self, store: Store, terms: Terms, on_error: Literal["pass", "defer"], firsts: int = FIRSTS
    ) -> None:
        self.terms = terms
        self.on_error = on_error
        self._store = store
        self._status = store.status
        self.triplets: Table = store.table(TRIPLETS.name)
        self.others: Table = store.table(OTHERS.name)
        self.clients: Table = store.table(CLIENTS.name)
        self._histories = Histories(self.clients, firsts)
        self.allowed: Table = store.table(ALLOWED.name)
        self._standing = Standing()
        self._networks: NetworkTable[int] | None = None
        """Allowed by command, until when; None if there are none."""

    def attempt(
        self,
        caller: Caller,
        sender: str,
        recipient: str,
        now: float,
        *,
        trace: bool = True,
        terms: Terms | None = None,
    ) -> GreylistFact:
        """See :class:`Ledger`."""
        try:
            if self._networks is not None and self._is_allowed(caller.address, now):
                return _ALLOWED
            return self._attempt(caller, sender, recipient, now, trace, terms or self.terms)
        except StoreError:
            return _UNAVAILABLE

    def _attempt(
        self, caller: Caller, sender: str, recipient: str, now: float, trace: bool, terms: Terms
    ) -> GreylistFact:
        if terms.auto_allow_after:
            # Most have no history, so that nothing needs to be proved.
            client = self.clients.get(caller.keys[caller.main], now)
            if client is not None and self._has_earned(caller.main, client, caller, now, trace):
                return _EARNED
        sender, recipient = normal_sender(sender), normal_recipient(recipient)
        pair = pair_text(sender, recipient)
        key = pair_key(pair)
        noted = caller.noted
        seen = self._standing.of(key, noted)
        if seen < 0 and is_current(-seen, -seen, now, terms):
            # What most mail is that need not wait.
            return _KNOWN
        # After that its row is gone.
        if seen > 0 and now < int(seen + terms.retry_window) + 1:
            held: Entry | None = _tuple(Entry, (seen, 0, seen))
            places: tuple[_Place, ...] = ((self.triplets, key, noted),)
            incomplete = False
        else:
            row = self.triplets.get(key, now)
            if row is not None and row[3] == noted and is_current(row[1], row[2], now, terms):  # type: ignore[arg-type]
                self._standing.note(key, noted, _entry(row), row[-1], asked=True)  # type: ignore[arg-type]
                return _KNOWN
            held, places, incomplete = self._held(pair, key, row, caller, now)
        entry, (outcome, wait) = judge(held, now, terms)
        if (outcome is _NEW or outcome is _EARLY) and terms.auto_allow_after:
            for number, its in enumerate(caller.keys):
                if number == caller.main:
                    continue
                known = self.clients.get(its, now)
                if known is not None and self._has_earned(number, known, caller, now, trace):
                    return _EARNED
        if entry is None and incomplete:
            entry = held
        if entry is not None and trace:
            if outcome is _NEW and self._status.broken and self.on_error == "pass":
                return _UNAVAILABLE
            expires = expiry(entry, terms)
            table, at, whose = places[0]
            if held is not None and entry.first == held.first and not incomplete and table is self.triplets:
                # Nothing of its row changes but when it passed and was last seen.
                table.amend(at, (entry.passed, entry.last, expires))
                self._standing.note(at, whose, entry, expires)
            else:
                self._put(places, entry, sender[:MAX_TEXT], recipient[:MAX_TEXT], expires)
            if outcome is _FIRST_PASSED and terms.auto_allow_after:
                self._histories.count(caller, now, terms)
        return _fact((outcome, wait))

    def _put(
        self,
        places: tuple[_Place, ...],
        entry: Entry,
        sender: str,
        recipient: str,
        expires: int,
    ) -> None:
        """Keep an entry at its places."""
        for table, key, whose in places:
            # Two tuples are quicker put together than one unpacked.
            row = entry + (whose, sender, recipient, expires)  # noqa: RUF005
            if table is self.triplets:
                # What is needed of it soon is what stands.
                table.put(key, row, keep=False)
                self._standing.note(key, whose, entry, expires)
            else:
                table.put(key, row)

    def _held(self, pair: bytes, key: bytes, row: Row | None, caller: Caller, now: float) -> _Held:
        """What is remembered of the caller and this pair, and where it stands or is to stand.

        A pair has one row as long as one caller brings its mail, whatever its identities. Others who bring
        mail of the same pair, such as those who forge its sender, have a row for each identity.

        Arguments:
            key: of the pair.
            row: that stands there.
        """
        if row is not None and caller.is_one_of(noted := str(row[3])):
            # Further networks of a caller that is known by its name are not noted: there may be very many.
            whose = extended(noted, caller.identities[1:])
            return _entry(row), ((self.triplets, key, whose),), whose != noted
        others = self.others
        if row is None and others.is_empty():
            return None, ((self.triplets, key, caller.noted),), False
        owns = [(identity, own_key(identity, pair)) for identity in caller.identities]
        entries: dict[str, Entry] = {}
        for identity, own in owns:
            found = others.get(own, now)
            if found is not None and caller.proves(identity):
                entries[identity] = _entry(found)
        if row is None and not entries:
            return None, ((self.triplets, key, caller.noted),), False
        # As above: a network that has no row gets none, unless it is all new.
        places = tuple(
            (others, own, together((identity,)))
            for number, (identity, own) in enumerate(owns)
            if identity in entries or (caller.proves(identity) and (number or not entries))
        )
        return max(entries.values(), key=_standing, default=None), places, len(entries) < len(places)

    def _has_earned(self, number: int, row: Row, caller: Caller, now: float, trace: bool) -> bool:
        """Whether a caller is spared for its good retries.

        Arguments:
            number: of the identity by which it is known.
            row: of that identity.
        """
        if row[0] < self.terms.auto_allow_after:  # type: ignore[operator]
            # Most of those with history: of them nothing more is asked.
            return False
        client, identity = _tuple(Client, row[:2]), caller.identities[number]
        if not is_allowed(client, now, self.terms) or not caller.proves(identity):
            return False
        if trace and (again := seen_again(client, now)):
            self.clients.put(caller.keys[number], history(again, self.terms.auto_allow_lifetime))
        return True

    def _is_allowed(self, address: bytes, now: float) -> bool:
        """Whether a client is allowed by command; whose time is over leaves the table."""
        until = self._networks.lookup(address) if self._networks is not None else None
        if until is not None and until <= now:
            # A network around it may still be allowed.
            self.load_allowed(now)
            return self._is_allowed(address, now)
        return until is not None

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
        rows = chain.from_iterable(table.scan(now) for table in self._tables(kind))
        while page := list(islice(rows, PAGE)):
            yield page

    def forget(self, kind: Kind, key: bytes, now: float) -> None:
        """See :class:`Records`."""
        if kind == "allowed":
            self.disallow(key.decode("ascii", "replace"), now)
            return
        if kind == "clients":
            self._histories.forget(key)
            return
        for table in self._tables(kind):
            table.delete(key)
        if kind == "triplets":
            self._standing.drop(key)

    @property
    def crowded(self) -> bool:
        """See :class:`Records`."""
        return self._store.pending > MAX_UNWRITTEN and not self._status.broken

    def _tables(self, kind: Kind) -> tuple[Table, ...]:
        match kind:
            case "triplets":
                return self.triplets, self.others
            case "clients":
                return (self.clients,)
            case "allowed":
                return (self.allowed,)
