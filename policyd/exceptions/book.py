"""Where rules outlive the daemon, and how they come into force.

Diagnostics: ``exceptions-not-read`` when the rules cannot be read; those known stay in force, and it is tried
again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from mailbase.logs import Log
from mailbase.networks import parse_network
from mailbase.store import Column, Row, StoreError, Table, TableSpec
from policyd.evidence.facts import Effect, Named
from policyd.exceptions.matching import Rules
from policyd.exceptions.rule import Rule, rule_of

EXCEPTIONS = TableSpec(
    "exceptions",
    (
        Column("effect", "TEXT"),
        Column("added", "INTEGER"),
        Column("who", "TEXT"),
        Column("why", "TEXT"),
    ),
    cached=16,
)
"""Key: :attr:`Rule.key`."""
MAX_RULES = 20_000
"""Reading them all, at the start and when another node has changed one, takes some 0.1 s at this number."""
READ_AGAIN = 5.0
"""Seconds until rules that could not be read are tried again."""


def rule_from_row(key: bytes, row: Row) -> Rule:
    """The rule in a row of :data:`EXCEPTIONS`.

    Raises:
        ValueError: it is none.
    """
    effect, added, who, why, until = row
    named, colon, what = key.decode("utf-8").partition(":")
    if not colon:
        raise ValueError("expected a kind and what it names")
    rule = Rule(Named(named), what, Effect(str(effect)), int(until), int(added), str(who), str(why))
    if rule.named is Named.CLIENT and "/" in what:
        parse_network(what)
    return rule


def rules_in(rows: Iterable[tuple[bytes, Row]]) -> list[Rule]:
    """The rules in these rows; one of a later version, which says what is not known here, hides no others."""
    rules = []
    for key, row in rows:
        with contextlib.suppress(ValueError):
            rules.append(rule_from_row(key, row))
    return rules


def row_of(rule: Rule) -> Row:
    """The columns of a row, and ``expires``."""
    return rule.effect.value, rule.added, rule.by, rule.why, rule.until


class Clock(Protocol):
    """The part of a reactor that the book needs."""

    def seconds(self) -> float: ...
    def callLater(self, delay: float, function: Callable[..., Any], *args: Any) -> Any: ...


class Shelf(Protocol):
    """Keeps rules; this node's own answers at once, one that nodes share later.

    Raises (all methods but :meth:`watch`, at once or when awaited):
        StoreError: neither an answer nor a place to remember at the moment.
    """

    def load(self, now: float) -> Iterable[Rule] | Awaitable[Iterable[Rule]]:
        """Every rule that has not expired."""

    def put(self, rule: Rule) -> Awaitable[None] | None:
        """Keep a rule in place of the one with the same key."""

    def delete(self, key: str) -> Awaitable[None] | None:
        """Forget a rule; nothing happens if there is none."""

    def watch(self, changed: Callable[[], object]) -> None:
        """Call ``changed`` whenever another node has changed a rule."""


class StoreShelf:
    """The :class:`Shelf` in this node's store.

    Arguments:
        table: described by :data:`EXCEPTIONS`.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def load(self, now: float) -> list[Rule]:
        """See :class:`Shelf`."""
        return rules_in(self._table.scan(now))

    def put(self, rule: Rule) -> None:
        """See :class:`Shelf`."""
        self._table.put(rule.key.encode("utf-8"), row_of(rule))

    def delete(self, key: str) -> None:
        """See :class:`Shelf`."""
        self._table.delete(key.encode("utf-8"))

    def watch(self, changed: Callable[[], object]) -> None:
        """See :class:`Shelf`. Nobody else changes it."""


class Book:
    """The rules in force, and where they are kept.

    Arguments:
        shelf: keeps them.
        clock: the reactor; seconds since the epoch.
        log: see the module's diagnostics.
    """

    def __init__(self, shelf: Shelf, clock: Clock, log: Log) -> None:
        self._shelf = shelf
        self._clock = clock
        self._log = log
        self._loading = False
        self._again = False
        self.rules = Rules()

    def start(self) -> None:
        """Read the rules, and follow what other nodes do to them."""
        self._shelf.watch(self.load)
        self.load()

    def load(self) -> None:
        """Read the rules; called again meanwhile, it does so once more."""
        if self._loading:
            self._again = True
            return
        self._loading = True
        Deferred.fromCoroutine(self._load())

    async def _load(self) -> None:
        try:
            rules = self._shelf.load(self._clock.seconds())
            self.rules.reset(await rules if isinstance(rules, Awaitable) else rules)
        except (StoreError, ValueError) as error:
            self._log.warning("exceptions-not-read", error=str(error), next_attempt=READ_AGAIN)
            self._again = False
            self._clock.callLater(READ_AGAIN, self.load)
        self._loading = False
        if self._again:
            self._again = False
            self.load()

    async def put(self, rule: Rule) -> None:
        """Keep ``rule``; it is in force at once.

        Raises:
            StoreError: cannot be remembered, or there are too many.
        """
        if len(self.rules.all) >= MAX_RULES and rule.key not in self.rules.all:
            raise StoreError(f"there are {MAX_RULES} exceptions already")
        waiting = self._shelf.put(rule)
        if waiting is not None:
            await waiting
        self.rules.put(rule)

    def find(self, what: str, named: Named | None) -> list[Rule]:
        """The rules for exactly this, nothing wider or narrower.

        Arguments:
            named: None for any kind.

        Raises:
            ValueError: cannot be understood.
        """
        keys = []
        for kind in Named if named is None else (named,):
            try:
                keys.append(rule_of(what, Effect.NONE, kind).key)
            except ValueError:
                if named is not None:
                    raise
        return [self.rules.all[key] for key in keys if key in self.rules.all]

    async def remove(self, rule: Rule) -> None:
        """Take ``rule`` back; at once.

        Raises:
            StoreError: cannot be remembered.
        """
        waiting = self._shelf.delete(rule.key)
        if waiting is not None:
            await waiting
        self.rules.remove(rule)

    def living(self, effect: Effect | None = None) -> list[Rule]:
        """The rules that have not expired, the newest last."""
        now = self._clock.seconds()
        return [
            rule
            for rule in self.rules.all.values()
            if rule.until > now and (effect is None or rule.effect is effect)
        ]
