"""Greylisting that several nodes share."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Literal

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailbase.networks import NetworkTable
from mailbase.store import NEVER, Row, StoreError
from mailbase.store.redis.client import RedisClient
from mailbase.store.redis.roster import Roster
from mailbase.store.redis.rows import text_in_row
from mailbase.store.redis.table import RedisTable
from mailbase.store.redis.wire import bulk
from policyd.evidence.facts import Grey, GreylistFact
from policyd.greylist.identity import MAX_TOGETHER, Caller, client_key
from policyd.greylist.keys import normal_recipient, normal_sender, own_key, pair_key, pair_text
from policyd.greylist.ledger import MAX_TEXT, PAGE, Kind, Page
from policyd.greylist.terms import Terms
from policyd.shared.scripts import GREYLIST

_GREY = (Grey.NEW, Grey.EARLY, Grey.PASSED, Grey.KNOWN, Grey.CLIENT_EARNED)
"""Outcomes by the number that the script has for them."""
REMEMBERED = 4_000
"""Identities of which is remembered how the script wants them."""

_TRACE, _NO_TRACE = bulk(1), bulk(0)
_ALLOWED = GreylistFact(Grey.CLIENT_ALLOWED)
_UNAVAILABLE = GreylistFact(Grey.UNAVAILABLE)


@lru_cache(maxsize=1024)
def _fact(outcome: int, wait: int) -> GreylistFact:
    return GreylistFact(_GREY[outcome], wait)


class RedisLedger:
    """:class:`policyd.greylist.ledger.Records` on a server.

    Arguments:
        client: the server.
        triplets: the table of :data:`policyd.greylist.tables.TRIPLETS`.
        others: of :data:`policyd.greylist.tables.OTHERS`.
        clients: of :data:`policyd.greylist.tables.CLIENTS`.
        allowed: of :data:`policyd.greylist.tables.ALLOWED`.
        terms: in force; may be replaced at a reload.
        on_error: not used here: nothing is greylisted without the server, and the verdict says what then.
    """

    crowded = False
    """Redis tells each deletion when it is done."""

    def __init__(
        self,
        client: RedisClient,
        triplets: RedisTable,
        others: RedisTable,
        clients: RedisTable,
        allowed: Roster,
        terms: Terms,
        on_error: Literal["pass", "defer"],
    ) -> None:
        self.terms = terms
        self.on_error = on_error
        self._client = client
        self._triplets = triplets
        self._others = others
        self._clients = clients
        self._allowed = allowed
        self._networks: NetworkTable[int] | None = None
        allowed.changed = self._index
        self._identity = lru_cache(maxsize=REMEMBERED)(self._describe)

    def attempt(
        self,
        caller: Caller,
        sender: str,
        recipient: str,
        now: float,
        *,
        trace: bool = True,
        terms: Terms | None = None,
    ) -> GreylistFact | Deferred[GreylistFact]:
        """See :class:`policyd.greylist.ledger.Ledger`."""
        if self._networks is not None and self._is_allowed(caller.address, now):
            return _ALLOWED
        terms = terms or self.terms
        sender, recipient = normal_sender(sender), normal_recipient(recipient)
        pair = pair_text(sender, recipient)
        keys = [bulk(self._triplets.naming.name(pair_key(pair)))]
        rest = f"{quoted(sender[:MAX_TEXT])},{quoted(recipient[:MAX_TEXT])}"
        words = [bulk(b"%d" % now), _TRACE if trace else _NO_TRACE, _arguments(terms), bulk(rest)]
        clients = []
        other = self._others.naming
        counted = caller.counted_keys
        for identity, octets in zip(caller.identities, caller.keys, strict=True):
            keys.append(bulk(other.name(own_key(identity, pair))))
            name, marked, key_in_row = self._identity(identity)
            clients.append(name)
            words += (marked[caller.proves(identity) + (octets in counted)], key_in_row)
        try:
            reply = self._client.ask(GREYLIST, 1 + 2 * len(clients), keys + clients + words)
        except StoreError:
            return _UNAVAILABLE
        return reply.addCallbacks(_answer, _no_answer)

    def _describe(self, identity: str) -> tuple[bytes, tuple[bytes, bytes, bytes], bytes]:
        """Its client row's name; for the script: not proven, proven, counted as well; and the row's key."""
        octets, naming = client_key(identity), self._clients.naming
        text = text_in_row(identity).encode("ascii")
        name, key = naming.name(octets), naming.key_in_row(octets)
        return bulk(name), (bulk(b"0" + text), bulk(b"1" + text), bulk(b"2" + text)), bulk(key)

    def _is_allowed(self, address: bytes, now: float) -> bool:
        until = self._networks.lookup(address) if self._networks is not None else None
        if until is not None and until <= now:
            # A network around it may still be allowed.
            self._index({key: row for key, row in self._allowed.rows.items() if _end(row) > now})
            return self._is_allowed(address, now)
        return until is not None

    def _index(self, rows: dict[bytes, Row]) -> None:
        networks: NetworkTable[int] = NetworkTable()
        for key, row in rows.items():
            with contextlib.suppress(ValueError):  # not ours: one bad row must not hide the others
                networks.add(key.decode("ascii", "replace"), _end(row))
        networks.prepare()
        self._networks = networks if len(networks) else None

    async def allow(self, network: str, comment: str, now: float, until: float = NEVER) -> None:
        """See :class:`policyd.greylist.ledger.Records`."""
        await self._allowed.put(network.encode("ascii"), (int(now), comment[:MAX_TEXT], int(until)))

    async def forget(self, kind: Kind, key: bytes, now: float) -> None:
        """See :class:`policyd.greylist.ledger.Records`."""
        if kind == "allowed":
            await self._allowed.delete(key)
        for table in self._tables(kind):
            await table.delete(key)

    async def pages(self, kind: Kind, now: float) -> AsyncIterator[Page]:
        """See :class:`policyd.greylist.ledger.Records`."""
        for table in self._tables(kind):
            async for page in table.pages(now):
                yield page
        if kind == "allowed":
            rows = [(key, row) for key, row in self._allowed.rows.items() if _end(row) > now]
            for start in range(0, len(rows), PAGE):
                yield rows[start : start + PAGE]

    def _tables(self, kind: Kind) -> tuple[RedisTable, ...]:
        match kind:
            case "triplets":
                return self._triplets, self._others
            case "clients":
                return (self._clients,)
            case "allowed":
                return ()


@lru_cache(maxsize=8)
def _arguments(terms: Terms) -> bytes:
    earned = (terms.auto_allow_after, terms.auto_allow_lifetime)
    numbers = (terms.delay, terms.retry_window, terms.lifetime, *earned, MAX_TOGETHER)
    return bulk(" ".join(map(repr, numbers)))


def _answer(reply: int) -> GreylistFact:
    return _fact(reply & 7, reply >> 3)


def _no_answer(failure: Failure) -> GreylistFact | Failure:
    return _UNAVAILABLE if isinstance(failure.value, StoreError) else failure


def _end(row: Row) -> int:
    return int(row[-1])
