"""The watch over outgoing mail, wired: records, notices, our own addresses, verbs and metrics."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from prometheus_client.core import Metric
from twisted.internet.defer import Deferred

from mailbase.config import Settings
from mailbase.dns import Resolver
from mailbase.logs import Log
from policyd.exceptions.book import Book
from policyd.outgoing.books import OUTGOING, Books
from policyd.outgoing.counts import Result, Way
from policyd.outgoing.courier import Courier
from policyd.outgoing.judging import terms_of
from policyd.outgoing.own_addresses import OwnAddresses
from policyd.outgoing.verbs import OutgoingVerbs
from policyd.outgoing.watch import Watch
from policyd.outgoing.ways import Mailer, Poster

if TYPE_CHECKING:
    from policyd.state.state import State


class Outgoing:
    """Arguments:
    settings: in force at the start; whether recipients are hashed with a secret stays as it is then.
    state: where records are kept.
    rules: where suspensions are put.
    resolver: asks DNS lists for our own addresses.
    reactor: Twisted's.
    log: for all of it.

    Attributes:
        watch: is told of users' and registered systems' mail.
        courier: brings notices.
        addresses: our own, and on which lists they are.
        verbs: of the control socket.
    """

    def __init__(
        self, settings: Settings, state: State, rules: Book, resolver: Resolver, reactor: Any, log: Log
    ) -> None:
        self._mailer = Mailer(reactor, settings.identity.hostname)
        self.courier = Courier(
            reactor, lambda: self._settings, log, self._noticed, self._mailer, Poster(reactor)
        )
        self.watch = Watch(
            reactor,
            Books(
                state.memory(OUTGOING.name),
                partial(state.pages, OUTGOING.name),
                Deferred.fromCoroutine,
                reactor.seconds,
                shared=state.shared,
            ),
            rules,
            None,
            log,
            self.courier.tell,
            Deferred.fromCoroutine,
            _secret(settings),
        )
        self.addresses = OwnAddresses(reactor, resolver, log, self.courier.tell)
        self.verbs = OutgoingVerbs(self.watch, rules, reactor)
        self._take(settings)

    def start(self) -> None:
        """Look our own addresses up in the lists, now and then."""
        self.addresses.configure(self._settings)

    def configure(self, settings: Settings) -> None:
        """Put other settings in force."""
        self._take(settings)
        self.addresses.configure(settings)

    def _take(self, settings: Settings) -> None:
        self._settings = settings
        outgoing = settings.policyd.outgoing
        self.watch.terms = terms_of(outgoing) if outgoing.enabled else None
        self._mailer.hostname = settings.identity.hostname

    async def finish(self) -> None:
        """Count and save what is there; return when the store has it."""
        await self.watch.finish()

    def stop(self) -> None:
        """Look nothing up any more, and send nothing again."""
        self.addresses.stop()
        self.courier.stop()

    def collect(self) -> Iterable[Metric]:
        """Metrics."""
        return chain(self.watch.collect(), self.addresses.collect())

    def _noticed(self, way: Way, result: Result) -> None:
        self.watch.counts.noticed(way, result)


def _secret(settings: Settings) -> bytes:
    """By what recipients are hashed: a secret that outlives the daemon, or none."""
    privacy = settings.privacy
    if not privacy.pseudonymise or privacy.key_file is None:
        return b""
    return privacy.key_file.read_bytes().strip()[:64]
