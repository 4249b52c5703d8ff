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
        get, keys = self._table.get, caller.keys
        held: list[bytes] = []
        try:
            if self._firsts is not None and terms.auto_allow_after > 1:
                held = [key for key in keys if self._holds(self._firsts, key)]
                if not held and not any(get(key, now) for key in keys):
                    return
            for key in caller.counted_keys:
                row = get(key, now)
                client = None if row is None else _tuple(Client, row[:2])
                if client is None and key in held:
                    client = good_retry(None, now)
                self._table.put(key, history(good_retry(client, now), terms.auto_allow_lifetime))
        except StoreError:
            return

    def forget(self, key: bytes) -> None:
        """Forget a history, also one that has not begun."""
        self._table.delete(key)
        if self._firsts is not None and self._firsts[place := hash(key) & self._last_place] == hash(key):
            self._firsts[place] = 0

    def _holds(self, firsts: memoryview, key: bytes) -> bool:
        """Whether memory has an earlier good retry; from now on it has this one."""
        mark = hash(key)
        place = mark & self._last_place
        if firsts[place] == mark:
            return True
        firsts[place] = mark
        return False
