"""What good retries callers have made.

Most who come back do so once. So a history begins with the second good retry by any identity, where memory
still has the first: who never comes again costs no row, and whoever is forgotten meanwhile needs one more to
be spared.
"""

from __future__ import annotations

from mmap import mmap

from mailbase.store import StoreError, Table
from mailbase.store.tables import Row
from policyd.greylist.identity import Caller
from policyd.greylist.terms import Client, Terms, good_retry

FIRSTS = 1 << 16
"""First good retries in memory: half a MiB."""

_tuple = tuple.__new__


def history(client: Client, lifetime: float) -> Row:
    """The row of a history.

    Arguments:
        lifetime: seconds that it is remembered for.
    """
    return client + (client.last + int(lifetime) + 1,)  # noqa: RUF005 - quicker than one unpacked


class Histories:
    """Counts good retries.

    Arguments:
        table: :data:`policyd.greylist.tables.CLIENTS`.
        firsts: first good retries held in memory, a power of two; 0 to begin each history at once.
    """

    __slots__ = ("_firsts", "_last_place", "_table")

    def __init__(self, table: Table, firsts: int = FIRSTS) -> None:
        self._table = table
        # Of these the system gives what is written to. Of a key there stands its hash, which no outsider can
        # choose, at a place that another may take.
        self._firsts = memoryview(mmap(-1, 8 * firsts)).cast("q") if firsts else None
        self._last_place = firsts - 1

    def count(self, caller: Caller, now: float, terms: Terms) -> None:
        """One more good retry. Where the store cannot say how many there were, or takes no more, it is not
        counted, and nobody waits.

        Arguments:
            now: seconds since the epoch.
            terms: in force.
        """
        # Of no other identity is a first one held, either: it would count for its neighbours.
        get, keys = self._table.get, caller.counted_keys
        held: list[bytes] = []
        try:
            firsts, last_place = self._firsts, self._last_place
            if firsts is not None and terms.auto_allow_after > 1:
                begun = False
                for key in keys:
                    mark = hash(key)
                    if firsts[mark & last_place] == mark:
                        held.append(key)
                    elif get(key, now) is not None:
                        begun = True
                if not held and not begun:
                    for key in keys:
                        firsts[hash(key) & last_place] = hash(key)
                    return
            for key in keys:
                row = get(key, now)
                known = None if row is None else _tuple(Client, row[:2])
                if known is None and key in held:
                    known = good_retry(None, now)
                self._table.put(key, history(good_retry(known, now), terms.auto_allow_lifetime))
        except StoreError:
            return
        for key in held:
            self._release(key)

    def forget(self, key: bytes) -> None:
        """Forget a history, also one that has not begun."""
        self._table.delete(key)
        self._release(key)

    def _release(self, key: bytes) -> None:
        """Hold the first of a history in memory no more: it has begun, or is forgotten."""
        if self._firsts is not None and self._firsts[place := hash(key) & self._last_place] == hash(key):
            self._firsts[place] = 0
