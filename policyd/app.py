"""Wires the daemon together: the only place, beside the command line, that touches the global reactor."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from mailbase.claim import claim
from mailbase.config import Settings, load
from mailbase.config.places import ListenError
from mailbase.config.store import MEMORY, StoreSettings
from mailbase.control.server import ControlServer
from mailbase.dns import build_resolver, servers_of, told_to
from mailbase.lists.board import CONSUMER, Board
from mailbase.lists.metrics import collect as collect_lists
from mailbase.lists.roster import Roster
from mailbase.logs import Log
from mailbase.metrics import new_registry, site
from mailbase.reactor import install
from mailbase.registry import Registry
from mailbase.reloading import Reloading
from mailbase.reloading import Result as Reloaded
from mailbase.service import Service
from mailbase.starting import make_log, raise_descriptor_limit
from mailbase.wallclock import WallClock
from policyd.callout.callouts import Callouts
from policyd.callout.dialling import Dialler
from policyd.callout.results import CALLOUTS, Results
from policyd.checks import EVIDENCE
from policyd.checks.rate import Limiting
from policyd.control.verbs import Verbs
from policyd.end_of_data.greylisting import MailGreylisting
from policyd.end_of_data.reports import Reports
from policyd.end_of_data.upstream import UpstreamVerbs
from policyd.engine.engine import Engine
from policyd.engine.policy import Policy, build_policy
from policyd.engine.transactions import Transactions
from policyd.evidence.deadline import Patience
from policyd.evidence.facts import Effect
from policyd.evidence.gathering import Gatherer
from policyd.exceptions.book import Book
from policyd.exceptions.verbs import ExceptionVerbs
from policyd.journal.assembly import build_journal
from policyd.journal.assembly import terms_of as journal_terms
from policyd.journal.metrics import collect
from policyd.journal.verbs import JournalVerbs
from policyd.learning.assembly import Learning
from policyd.limits.charges import CHARGES, Charges
from policyd.limits.seen import Seen
from policyd.limits.verbs import LimitVerbs
from policyd.observability.metrics import Metrics
from policyd.observability.recorder import Recorder
from policyd.observability.tape import Tape
from policyd.outgoing.assembly import Outgoing
from policyd.outgoing.own_addresses import CONSUMER as OWN_ADDRESS
from policyd.reputation.networks import REPUTATION, Reputation
from policyd.reputation.outcomes import OUTCOMES, Outcomes
from policyd.reputation.traps import Traps
from policyd.server.readers import Readers
from policyd.server.server import PolicyServer
from policyd.socketmap.server import SocketmapServer
from policyd.state.opening import open_state

NEEDS_RESTART = ("listen", "socket_mode", "socketmap", "control", "metrics")
"""Settings of ``policyd`` that a reload does not change."""
STORE_NEEDS_RESTART = tuple(name for name in StoreSettings.model_fields if name != "on_error")
"""The same of ``store``."""
DRAIN = 10.0
"""Seconds that requests in flight have to end."""
T = TypeVar("T")


class Daemon:
    """policyd, wired.

    Arguments:
        reactor: Twisted's.
        path: of the configuration file; read again at a reload.
        overrides: ``key=value``, laid over the file.
        settings: as read from it.
        log: for everything.

    Raises:
        ConfigError: an allowlist that cannot be read.
    """

    def __init__(
        self, reactor: Any, path: Path, overrides: Sequence[str], settings: Settings, log: Log
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._overrides = overrides
        self._settings = settings
        self._log = log
        self.metrics = Metrics()
        recorder = Recorder(log, self.metrics)
        self.state = open_state(settings, reactor, log)
        self.ledger = self.state.ledger
        self.resolver = build_resolver(
            reactor, settings.dns, (*EVIDENCE, CONSUMER, OWN_ADDRESS, "callout"), told_to(log)
        )
        self.metrics.dns = self.resolver.metrics
        self._gatherer = Gatherer(self.resolver, reactor.seconds, recorder, time.perf_counter)
        self.book = Book(self.state.shelf, reactor, log)
        transactions = Transactions()
        self._limiting = Limiting(self.state.limits, Seen(), transactions.accepted, recorder)
        self._roster = Roster()
        self.lists = Board(reactor, self.resolver, log, self._roster)
        self.metrics.lists = lambda: collect_lists(self.lists.watched.values(), "policyd")
        self.callouts = Callouts(
            reactor,
            settings,
            self.resolver,
            Results(self.state.memory(CALLOUTS.name)),
            self.state.limits,
            Dialler(reactor),
            log,
        )
        self.metrics.callouts = self.callouts.metrics
        self.reputation = Reputation(
            self.state.memory(REPUTATION.name), Deferred.fromCoroutine, reactor.seconds
        )
        self.outcomes = Outcomes(self.state.memory(OUTCOMES.name), Deferred.fromCoroutine, reactor.seconds)
        policy = self._policy(settings)
        self._remember(settings)
        self._warn(policy)
        self.metrics.know_limits(policy.limits)
        tickets = self.state.tickets
        charges = Charges(
            self.state.memory(CHARGES.name),
            self.state.limits,
            Deferred.fromCoroutine,
            recorder.limit_refunded,
        )
        traps = Traps(self.reputation, recorder.spamtrap)
        self.outgoing = Outgoing(settings, self.state, self.book, self.resolver, reactor, log)
        self.metrics.outgoing = self.outgoing.collect
        self.engine = Engine(
            policy,
            tickets,
            reactor.seconds,
            recorder,
            Patience(reactor).wait,
            transactions=transactions,
            charges=charges,
            trapped=traps.sprung,
            own=self.outgoing.watch,
        )
        self.limits = LimitVerbs(self.state.limits, lambda: self.engine.policy.limits, reactor)
        self.mails = MailGreylisting(
            tickets, self.ledger, lambda: self.engine.policy.greylist, reactor.seconds
        )
        self.metrics.mails = self.mails.counted
        self.upstream = UpstreamVerbs(
            lambda: self.engine.policy.upstream,
            self._gatherer.gather,
            reactor.seconds,
            lambda: self.engine.policy.deadline,
        )
        self.reports = Reports(tickets, charges, reactor.seconds)
        self.reports.hooks += [traps.reported, self.outcomes.reported, self.outgoing.watch.reported]
        self.learning = Learning(settings.statistics, self.state, reactor, log)
        self.metrics.learning = self.learning.collect
        self.server = PolicyServer(self.engine, recorder)
        self.maps = SocketmapServer(self._registry, self.metrics.socketmap, log)
        self.exceptions = ExceptionVerbs(self.book, reactor.seconds, log)
        self.journal = build_journal(settings, reactor, log)
        if self.journal is not None:
            recorder.journal = self.outgoing.watch.journal = self.journal.note
            self.reports.hooks.append(self.journal.reported)
            self.metrics.journal = partial(collect, self.journal)
        self.tape = Tape(recorder, reactor.seconds, log, pseudonymised=settings.privacy.pseudonymise)
        self.verbs = Verbs(reactor, self.engine, self.ledger, tickets, self.callouts.forget)
        self.metrics.store = self.state.collect
        self.reports.hooks.append(self.tape.report)
        self.metrics.reports = self.reports.counted
        self.reload = Reloading(
            log,
            self._in_thread,
            self._read,
            self._put_in_force,
            lambda: _fixed(self._settings),
            self._reloaded,
        )
        self.metrics.gauges += [
            ("tickets_lost", "Tickets that could not be kept.", lambda: tickets.lost),
            ("upstream_clients", "Clients of upstream relays asked about.", lambda: self.upstream.asked),
            ("tickets_found", "Tickets that contentfilter was given.", lambda: self.verbs.asked["found"]),
            ("tickets_unknown", "Tickets asked for in vain.", lambda: self.verbs.asked["unknown"]),
            ("exceptions_allow", "Rules that allow.", lambda: len(self.book.living(Effect.ALLOW))),
            ("exceptions_deny", "Rules that deny.", lambda: len(self.book.living(Effect.DENY))),
            (
                "registered_domains",
                "Domains in the registry.",
                lambda: len(self.engine.policy.registry.domains),
            ),
            (
                "registered_servers",
                "Servers in the registry.",
                lambda: len(self.engine.policy.registry.servers),
            ),
            ("recording", "Whether a recording is under way.", lambda: int(self.tape.running)),
            ("recorded", "Requests given to a recording.", lambda: self.tape.recorded),
            ("recording_dropped", "Requests a recording is missing.", lambda: self.tape.dropped),
        ]

    def start(self, inherited: Mapping[str, socket.socket] | None = None) -> Service:
        """Open the store and the sockets.

        Raises:
            ListenError: an address cannot be listened on.
        """
        self.state.start()
        self.book.start()
        self._watch_lists()
        self.learning.start()
        self.outgoing.start()
        if self.journal is not None:
            self.journal.start()
        service = Service(
            self._reactor,
            self._log,
            drain=self._drain,
            reload=self.reload,
            drain_timeout=DRAIN,
            inherited=inherited,
        )
        self.server.readers = Readers(self._reactor, self.server.decide, self.server.record)
        settings = self._settings.policyd
        mode = int(settings.socket_mode, 8)
        for place in settings.listen:
            service.listen(place, self.server, mode)
        if settings.socketmap:
            service.listen(settings.socketmap, self.maps, mode)
        service.listen(
            f"unix:{settings.control}",
            ControlServer(
                {
                    **self.verbs.table(),
                    **self.exceptions.table(),
                    **JournalVerbs(self.journal).table(),
                    **self.tape.table(),
                    **self.reports.table(),
                    **self.limits.table(),
                    **self.upstream.table(),
                    **self.mails.table(),
                    **self.lists.table(),
                    **self.learning.verbs.table(),
                    **self.learning.bulk.table(),
                    **self.outgoing.verbs.table(),
                },
                self._reactor,
                self._log,
            ),
            0o660,
        )
        if settings.metrics:
            registry = new_registry("policyd")
            registry.register(self.metrics)
            http: Any = site(registry, lambda: "")
            service.listen(settings.metrics, http)
        return service

    async def _drain(self) -> None:
        self.maps.finish()
        await self.server.drain()
        await self.outgoing.finish()

    def _registry(self) -> Registry | None:
        """The registry in force; None if none is configured."""
        return self.engine.policy.registry if self._settings.registry_path is not None else None

    def _read(self) -> tuple[Settings, Policy]:
        settings = load(self._path, self._overrides)
        return settings, self._policy(settings)

    def _put_in_force(self, read: tuple[Settings, Policy]) -> None:
        settings, policy = read
        self._settings = settings
        self.engine.policy = policy
        self.callouts.configure(settings)
        self.ledger.terms = policy.terms
        self.ledger.on_error = settings.store.on_error
        if self.journal is not None:
            self.journal.terms = journal_terms(settings)
        self.metrics.know_limits(policy.limits)
        self.learning.configure(settings.statistics)
        self._remember(settings)
        self.resolver.reconfigure(servers_of(settings.dns), settings.dns)
        self.outgoing.configure(settings)
        self._watch_lists()
        self._warn(policy)
        self._log.info("reloaded", domains=len(policy.registry.domains), servers=len(policy.registry.servers))

    def _reloaded(self, result: Reloaded) -> None:
        self.metrics.reloads[result] += 1

    def _in_thread(self, work: Callable[[], T]) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)

    def _policy(self, settings: Settings) -> Policy:
        return build_policy(
            settings,
            self.ledger,
            self._gatherer.gather,
            self.book.rules,
            self._limiting,
            self._roster,
            self.callouts,
            self.reputation,
            self._reactor.seconds,
            self.outcomes,
        )

    def _remember(self, settings: Settings) -> None:
        self.reputation.remember = settings.spamtraps.remember
        greylist = settings.policyd.greylist
        self.reputation.prefixes = (greylist.network_v4, greylist.network_v6)
        self.outcomes.prefixes = self.reputation.prefixes

    def stop(self) -> None:
        """End what goes on behind the requests; after the sockets are closed."""
        self.outgoing.stop()
        self.lists.stop()
        if self.server.readers is not None:
            self.server.readers.close()
        self.learning.stop()
        self.resolver.stop()
        if self.journal is not None:
            self.journal.close()

    def _watch_lists(self) -> None:
        """Ask the DNS lists of the policy in force, and hear of no look-ups where there are none."""
        lists = self.engine.policy.dns_lists
        self.metrics.count_facts((one.kind, fact) for one in lists for fact in one.facts)
        self.lists.adopt(lists, self._settings.policyd.list_health)
        self.resolver.looked_up = self.lists.heard if lists else None

    def _warn(self, policy: Policy) -> None:
        for problem in policy.warnings:
            self._log.warning("allowlist", problem=str(problem))


def _fixed(settings: Settings) -> dict[str, Any]:
    """What a reload does not change, by its name in the log."""
    of: tuple[tuple[str, Any, Iterable[str]], ...] = (
        ("policyd.", settings.policyd, NEEDS_RESTART),
        ("privacy.", settings.privacy, ("pseudonymise", "key_file")),
        ("policyd.journal.", settings.policyd.journal, ("enabled", "path")),
        ("store.", settings.store, STORE_NEEDS_RESTART),
        ("statistics.", settings.statistics, ("enabled", "model")),
        ("", settings, ("logging",)),
    )
    return {f"{section}{name}": getattr(values, name) for section, values, names in of for name in names}


def serve(path: Path, overrides: Sequence[str], inherited: Mapping[str, socket.socket]) -> int:
    """Run policyd until it is told to end; returns the exit status.

    Arguments:
        inherited: sockets that systemd handed over, by name.

    Raises:
        ConfigError: the configuration cannot be used.
        ListenError: an address cannot be listened on.
        StoreInUse: another policyd has the store's file.
    """
    reactor = WallClock(install())
    settings = load(path, overrides)
    log = make_log("policyd", settings, reactor)
    if settings.store.redis is None and settings.store.path != MEMORY:
        claim(Path(settings.store.path))
    raise_descriptor_limit()
    daemon = Daemon(reactor, path, overrides, settings, log)
    try:
        service = daemon.start(inherited)
        _spare_the_collector()
        service.run()
        daemon.stop()
    except ListenError:
        daemon.stop()
        daemon.state.close()
        raise
    return 0 if daemon.state.close() else 1


def _spare_the_collector() -> None:
    """Let Python's cycle collector run seldom: its full pass over our caches stops answers for some 30 ms.

    Deciding makes no cycles; what does (a failed Deferred, a traceback) is collected all the same. The first
    generation holds what a thousand mails that wait for DNS have: most of it is gone before it is looked at.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 1, 20)
