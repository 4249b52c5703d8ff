"""Whatever the callers' identities and their order: who comes back passes, and strangers stay strangers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from policyd.evidence.facts import Grey
from policyd.greylist.identity import Caller
from policyd.greylist.ledger import StoreLedger
from policyd.greylist.tables import TRIPLETS
from policyd.greylist.terms import Terms

DELAY = 300
START = 1_800_000_000.0


class Table:
    """Rows in a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[bytes, tuple[Any, ...]] = {}

    def is_empty(self) -> bool:
        return not self.rows

    def get(self, key: bytes, now: float) -> tuple[Any, ...] | None:
        row = self.rows.get(key)
        return row if row is not None and row[-1] > now else None

    def put(self, key: bytes, row: tuple[Any, ...], keep: bool = True) -> None:
        self.rows[key] = row

    def amend(self, key: bytes, values: tuple[Any, ...]) -> None:
        if (row := self.rows.get(key)) is not None:
            places = TRIPLETS.amended_columns
            self.rows[key] = row[: places.start] + values[:-1] + row[places.stop : -1] + values[-1:]


class Shelf:
    """As much of a store as a ledger needs."""

    def __init__(self) -> None:
        self.status = SimpleNamespace(broken=False)
        self.tables: dict[str, Table] = {}

    def table(self, name: str) -> Table:
        return self.tables.setdefault(name, Table())


NAMES = ["ptr:a", "ptr:dyn", "spf:s"]
OTHERS = st.lists(st.sampled_from(NAMES), unique=True, max_size=2)
CALLER = st.tuples(st.sampled_from(["n1", "n2", "n3"]), OTHERS)


@given(st.lists(st.tuples(CALLER, st.sampled_from([0, 50, 150, 300])), min_size=1, max_size=25))
@settings(max_examples=300, deadline=None)
def test_who_shares_nothing_is_new_and_who_comes_back_passes(
    attempts: list[tuple[tuple[str, list[str]], int]],
) -> None:
    shelf: Any = Shelf()
    ledger = StoreLedger(shelf, Terms(delay=DELAY, auto_allow_after=0), "pass")
    first: dict[tuple[str, ...], float] = {}
    seen: set[str] = set()
    now = START
    for (network, names), pause in attempts:
        identities = (network, *names)
        # The name stands for all that is told from it.
        caller = Caller(b"", identities, " ".join(names), lambda name, _: "ptr:dyn" not in name)
        grey = ledger.attempt(caller, "a@x.example", "b@y.example", now).grey
        proven = set(caller.proven)
        if proven.isdisjoint(seen):
            assert grey is Grey.NEW
        begun = first.setdefault(identities, now)
        assert (grey in (Grey.PASSED, Grey.KNOWN)) >= (now - begun >= DELAY)
        if now - START < DELAY:
            assert grey in (Grey.NEW, Grey.EARLY)
        seen.update(identities)
        assert all(len(row[3].split()) <= 8 for table in shelf.tables.values() for row in table.rows.values())
        now += pause
    assert len(shelf.tables["greylist_triplets"].rows) == 1
    assert len(shelf.tables["greylist_others"].rows) <= len(seen)
