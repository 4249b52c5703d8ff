"""Looks at the records of all registered domains again and again, so that each signs with a key that others
can see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from contentfilter.signing.public import PublicKey
from contentfilter.signing.record import disagreement, record_name
from contentfilter.signing.standing import Sight, Standings
from mailbase.dns import Answer, Found, Record, RecordType, Resolver, Temporary, TimedOut
from mailbase.logs import Log

AT_ONCE = 20
"""Look-ups under way in a round, so that a registry of thousands is no flood."""
MAX_LOGGED = 100
"""Changes that are logged one by one in a round."""
LOOK_TIMEOUT = 5.0
"""Seconds for the look-ups of a domain."""
CONSUMER = "signing"


class Meter(Protocol):
    """Counts."""

    def looked(self, sight: Sight) -> None:
        """A look at a record."""

    def changed(self, gained: bool) -> None:
        """A domain can sign with a key, or no longer."""


class Watch:
    """Arguments:
    clock: for rounds and deadlines.
    resolver: whom to ask.
    now: seconds since the epoch.
    log: for what changes.
    meter: counts.
    standings: what has been seen; changed here.
    done: called after each round.
    """

    def __init__(
        self,
        clock: IReactorTime,
        resolver: Resolver,
        now: Callable[[], float],
        log: Log,
        meter: Meter,
        standings: Standings,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        self.standings = standings
        self._clock = clock
        self._resolver = resolver
        self._now = now
        self._log = log
        self._meter = meter
        self._done = done
        self._keys: Sequence[PublicKey] = ()
        self._domains: Sequence[str] = ()
        self._every = 0.0
        self._looked: set[str] = set()
        self._looking: dict[str, list[Deferred[None]]] = {}
        self._timer: IDelayedCall | None = None
        self._round: Deferred[None] | None = None
        self._again = False
        self._running = False

    def start(self) -> None:
        """Look at all records now, and again and again from now on."""
        self._running = True
        self._begin()

    def configure(self, keys: Sequence[PublicKey], domains: Iterable[str], every: float) -> None:
        """Watch these keys for these domains; a round begins at once.

        Arguments:
            every: seconds between rounds.
        """
        if [key.name for key in keys] != [key.name for key in self._keys]:
            self._looked.clear()
        self._keys, self._domains, self._every = tuple(keys), tuple(domains), every
        self._looked &= set(self._domains)
        self.standings.keep(frozenset(self._domains), self._keys)
        if self._running:
            self._begin()

    def stop(self) -> None:
        """Look no more."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._round is not None:
            self._round.cancel()

    def counts(self) -> dict[PublicKey, int]:
        """How many domains sign with each key."""
        now, counts = self._now(), dict.fromkeys(self._keys, 0)
        for domain in self._domains:
            for key in self.standings.choose(domain, self._keys, now):
                counts[key] += 1
        return counts

    async def choose(self, domain: str) -> tuple[PublicKey, ...] | None:
        """The keys that a registered domain signs with; none if it is not set up.

        Returns:
            None if nobody can tell: nothing is known of the domain, and DNS does not answer.
        """
        chosen = self.standings.choose(domain, self._keys, self._now())
        if chosen or domain in self._looked:
            return chosen
        if not self._keys:
            return ()
        await self._look_once(domain)
        chosen = self.standings.choose(domain, self._keys, self._now())
        return chosen if chosen or domain in self._looked else None

    async def _look_once(self, domain: str) -> None:
        """Look at a domain; whoever asks meanwhile waits for the same."""
        waiting = self._looking.get(domain)
        if waiting is not None:
            mine: Deferred[None] = Deferred(lambda gone: waiting.remove(gone))
            waiting.append(mine)
            await mine
            return
        self._looking[domain] = []
        try:
            await self._look(domain)
        finally:
            for one in self._looking.pop(domain):
                one.callback(None)

    async def _look(self, domain: str) -> list[tuple[PublicKey, bool]]:
        """Look at all records of a domain; returns the keys that it gained (True) or lost."""
        keys = self._keys
        names = [record_name(key.selector, domain) for key in keys]
        for name in names:
            # What is in memory is what was there last time.
            self._resolver.forget(name)
        answers = await self._resolver.together(
            [(name, RecordType.TXT) for name in names],
            consumer=CONSUMER,
            deadline=self._clock.seconds() + LOOK_TIMEOUT,
        )
        sights = [(key, sight(answer, key)) for key, answer in zip(keys, answers, strict=True)]
        if keys is not self._keys:
            # There are others by now.
            return []
        for _key, one in sights:
            self._meter.looked(one)
        changes = self.standings.note(domain, sights, self._now())
        for _key, gained in changes:
            self._meter.changed(gained)
        if all(one is not Sight.UNKNOWN for _key, one in sights):
            self._looked.add(domain)
        return changes

    # Rounds

    def _begin(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if self._round is not None:
            self._again = True
            return
        self._round = Deferred.fromCoroutine(self._go_round())
        self._round.addErrback(lambda failure: None)
        self._round.addBoth(self._ended)

    def _ended(self, _result: object) -> None:
        self._round = None
        if not self._running:
            return
        again, self._again = self._again, False
        self._timer = self._clock.callLater(0.0 if again else self._every, self._begin)

    async def _go_round(self) -> None:
        domains = iter(self._domains if self._keys else ())
        changes: list[tuple[str, PublicKey, bool]] = []

        async def walk() -> None:
            for domain in domains:
                changes.extend((domain, key, gained) for key, gained in await self._look(domain))

        try:
            await gatherResults([Deferred.fromCoroutine(walk()) for _ in range(AT_ONCE)], consumeErrors=True)
        except Exception as error:  # noqa: BLE001 - the boundary: what was known stays known
            if not self._running:
                return
            self._log.exception("signing-records-not-checked", error)
        for domain, key, gained in changes[:MAX_LOGGED]:
            if gained:
                self._log.info("signing-key-usable", domain=domain, selector=key.selector)
            else:
                self._log.warning("signing-key-lost", domain=domain, selector=key.selector)
        if changes:
            self._log.info("signing-records-checked", domains=len(self._domains), changed=len(changes))
        self._done()


def sight(answer: Answer[Record], key: PublicKey) -> Sight:
    """What the TXT records of a name say of a key."""
    match answer:
        case Found(records=records):
            texts = [record for record in records if isinstance(record, bytes)]
            return Sight.ABSENT if disagreement(texts, key) else Sight.SEEN
        case Temporary() | TimedOut():
            return Sight.UNKNOWN
        case _:
            return Sight.ABSENT
