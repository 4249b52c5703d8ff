"""Keeps the lists under watch: tests them, hears how look-ups end, and says what changed.

The Twisted edge of :mod:`mailbase.lists.health`. Nothing here waits where a mail is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from mailbase.control.server import Handler
from mailbase.dns.answers import Answer, Record, RecordType
from mailbase.dns.resolver import Resolver
from mailbase.lists import VERB
from mailbase.lists.health import Health, State, Terms
from mailbase.lists.model import DnsList, Trouble
from mailbase.lists.roster import Roster, Watched
from mailbase.logs import Log

CONSUMER = "list-test"
"""Who asks for the test points, in the metrics of DNS."""


class Board:
    """Arguments:
    clock: Twisted's IReactorTime.
    resolver: asked for the test points; :meth:`heard` is to be told of its look-ups.
    log: an error where a list is switched off, a line where it is back.
    roster: what the checks ask; kept up to date.
    date: the time of day, seconds since the epoch, where nobody sets ``clock``; None: that tells both.
    """

    def __init__(
        self,
        clock: Any,
        resolver: Resolver,
        log: Log,
        roster: Roster,
        date: Callable[[], float] | None = None,
    ) -> None:
        self._clock = clock
        self._date = date
        self._resolver = resolver
        self._log = log
        self._roster = roster
        self.watched: dict[str, Watched] = {}
        """All lists by name, in the order of the configuration."""
        self._zones: dict[str, list[Watched]] = {}
        self._kinds: frozenset[str] = frozenset()
        self._timers: dict[str, tuple[float, IDelayedCall]] = {}
        """Of each list, and when it goes off by our clock: a timer may run by another."""
        self._testing: set[Watched] = set()

    def adopt(self, lists: Sequence[DnsList], terms: Terms) -> None:
        """Watch these lists and no others. Returns at once.

        One that has not changed keeps its state. If it is off it is tested at once: whoever changes the
        configuration may have mended what was wrong, as the DNS servers.
        """
        now = self._clock.seconds()
        old, self.watched = self.watched, {}
        for definition in lists:
            known = old.get(definition.name)
            if known is not None and _same(known.definition, definition):
                known.definition = definition
                known.health.terms = terms
                known.health.hurry(now)
            else:
                known = Watched(definition, Health(terms, now))
            self.watched[definition.name] = known
        self._kinds = frozenset(one.kind for one in lists)
        self._zones = {}
        for watched in self.watched.values():
            self._zones.setdefault(watched.definition.zone, []).append(watched)
        for name in [name for name in self._timers if old[name] is not self.watched.get(name)]:
            self._cancel(name)
        self._roster.select(self.watched.values())
        for watched in self.watched.values():
            self._schedule(watched)

    def heard(self, name: str, rdtype: RecordType, answer: Answer[Record], consumers: Set[str]) -> None:
        """A look-up that a server was asked for has ended.

        Arguments:
            consumers: who wanted to know. Only what was asked of a list for a mail says something of it: a
                stranger could make it refuse us, with an odd name below its zone as his HELO for one.
        """
        if rdtype is not RecordType.A or consumers.isdisjoint(self._kinds):
            return
        rest = name
        while rest and rest not in self._zones:
            _label, _dot, rest = rest.partition(".")
        for watched in self._zones.get(rest, ()):
            definition = watched.definition
            if definition.kind not in consumers or name in definition.listed or name in definition.clean:
                continue  # another list's question, or the test's own
            reading = definition.read(answer)
            before = watched.health.state
            watched.health.answered(reading.trouble, reading.detail, self._clock.seconds())
            self._after(watched, before)

    def table(self) -> dict[str, Handler]:
        """The control socket's verb."""
        return {VERB: lambda request: self.rows()}

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every list as JSON types; times are seconds since the epoch."""
        ahead = 0.0 if self._date is None else self._date() - self._clock.seconds()
        for name, watched in self.watched.items():
            definition, health = watched.definition, watched.health
            yield {
                "list": name,
                "kind": str(definition.kind),
                "zone": definition.zone,
                "state": health.state.value,
                "since": int(health.since + ahead),
                "trouble": health.trouble.value if health.trouble is not None else None,
                "detail": health.detail or None,
                "lookups": watched.lookups,
                "hits": watched.hits,
                "switched_off": health.switched_off,
                "tested": None if health.tested_at is None else int(health.tested_at + ahead),
                "next_test": int(health.next_test + ahead),
            }

    def stop(self) -> None:
        """Test no more."""
        for name in list(self._timers):
            self._cancel(name)
        self.watched = {}
        self._zones = {}

    def _schedule(self, watched: Watched) -> None:
        """Let the timer of a list go off when its next test is due."""
        if watched in self._testing:
            return
        name = watched.definition.name
        due = watched.health.next_test
        delay = max(0.0, due - self._clock.seconds())
        self._cancel(name)
        self._timers[name] = due, self._clock.callLater(delay, self._test, watched)

    def _cancel(self, name: str) -> None:
        _due, timer = self._timers.pop(name, (0.0, None))
        if timer is not None and timer.active():
            timer.cancel()

    def _test(self, watched: Watched) -> None:
        self._timers.pop(watched.definition.name, None)
        self._testing.add(watched)
        Deferred.fromCoroutine(self._ask(watched)).addErrback(self._failed, watched)

    async def _ask(self, watched: Watched) -> None:
        definition = watched.definition
        points = (*definition.listed, *definition.clean)
        for name in points:
            self._resolver.forget(name)
        answers = await self._resolver.together([(name, RecordType.A) for name in points], consumer=CONSUMER)
        self._testing.discard(watched)
        if self.watched.get(definition.name) is not watched:
            return  # the configuration has changed meanwhile
        count = len(definition.listed)
        reading = definition.judge(answers[:count], answers[count:])
        now, before = self._clock.seconds(), watched.health.state
        if reading.trouble is Trouble.UNANSWERED and not self._resolver.usable():
            watched.health.postponed(now)
        else:
            watched.health.tested(reading.trouble, reading.detail, now)
        self._after(watched, before)
        self._schedule(watched)

    def _failed(self, failure: Any, watched: Watched) -> None:
        """A fault of ours in a test; without this no list would be tested again."""
        self._log.exception("list-test-failed", failure.value, list=watched.definition.name)
        self._testing.discard(watched)
        if self.watched.get(watched.definition.name) is watched:
            watched.health.postponed(self._clock.seconds())
            self._schedule(watched)

    def _after(self, watched: Watched, before: State) -> None:
        """Act on what has become of a list."""
        health = watched.health
        if health.state is before:
            if health.next_test < self._due(watched):
                self._schedule(watched)
            return
        self._roster.select(self.watched.values())
        name = watched.definition.name
        if health.state is State.OFF:
            retry = round(health.next_test - self._clock.seconds())
            trouble = str(health.trouble)
            self._log.error("list-off", list=name, trouble=trouble, detail=health.detail, retry=retry)
        else:
            self._log.info("list-on", list=name)
        self._schedule(watched)

    def _due(self, watched: Watched) -> float:
        due, _timer = self._timers.get(watched.definition.name, (float("-inf"), None))
        return due


def _same(old: DnsList, new: DnsList) -> bool:
    """Whether what is known of ``old`` holds for ``new``: the same questions, the same test."""
    return (old.kind, old.suffix, old.refused, old.listed, old.clean) == (
        new.kind,
        new.suffix,
        new.refused,
        new.listed,
        new.clean,
    )
