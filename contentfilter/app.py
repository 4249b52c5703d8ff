"""Wires the daemon together: the only place, beside the command line, that touches the global reactor."""

from __future__ import annotations

import gc
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.threads import deferToThreadPool

from contentfilter.analysis.knowledge import sources_of
from contentfilter.authentication.assembly import build_authentication
from contentfilter.authentication.metrics import AuthenticationMetrics
from contentfilter.backends import Backends
from contentfilter.control import Verbs
from contentfilter.disposition.splits import Splits
from contentfilter.engines.assembly import Engines
from contentfilter.inspector import MailInspector
from contentfilter.learning.bulk import BulkAssessor, is_counted
from contentfilter.learning.student import Student
from contentfilter.learning.watch import ModelWatch
from contentfilter.macros.allowlist import Allowlist
from contentfilter.macros.file import AllowlistError
from contentfilter.macros.file import read as read_allowed
from contentfilter.metrics import Metrics
from contentfilter.milter.server import MilterFactory
from contentfilter.panel import Panel
from contentfilter.peer import Peer
from contentfilter.pool.confinement import hide_memory
from contentfilter.pool.heap import keep_memory
from contentfilter.pool.pool import Pool
from contentfilter.pool.process import ProcessLauncher
from contentfilter.pool.worker import Settings as WorkerSettings
from contentfilter.quarantine.entry import QuarantineError
from contentfilter.quarantine.folder import prepare
from contentfilter.quarantine.housekeeping import Housekeeper
from contentfilter.quarantine.keeper import Quarantine
from contentfilter.readiness import Readiness
from contentfilter.recall import Recall
from contentfilter.reinjection.own_mail import OwnMail
from contentfilter.reinjection.reinjection import ReinjectionPort
from contentfilter.rules.own import OwnRules
from contentfilter.session.doors import Doors
from contentfilter.session.intake import Intake
from contentfilter.session.server import Front, ProxyFactory, Shared, filter_name
from contentfilter.signing.public import KeyProblem, PublicKey
from contentfilter.signing.service import Signing, read_keys
from contentfilter.spamengines.assessor import SpamEngine
from contentfilter.urls.assembly import UrlWatch
from mailbase.config import (
    FINDING_NAMES,
    ContentfilterSettings,
    ListenerSettings,
    Settings,
    load,
)
from mailbase.control.server import ControlServer
from mailbase.dns import build_resolver, servers_of, told_to
from mailbase.lists.board import CONSUMER as LIST_TEST
from mailbase.logs import Log
from mailbase.metrics import new_registry, site
from mailbase.reactor import install
from mailbase.reloading import Reloading, Result
from mailbase.replies import Reply
from mailbase.service import Service
from mailbase.spamtraps import Spamtraps
from mailbase.starting import make_log, raise_descriptor_limit

NEEDS_RESTART = ("listeners", "control", "metrics", "message_size_limit", "spool", "timeouts")
"""Settings of ``contentfilter`` that a reload does not change."""
WHO_ASKS_DNS = ("authentication", "signing", "urls", LIST_TEST)
"""Consumers of DNS, in the metrics."""
DRAIN_EXTRA = 15.0
"""Seconds beyond the longest a mail may take that stopping waits for."""
T = TypeVar("T")
_Read: TypeAlias = tuple[Settings, tuple[PublicKey, ...], OwnRules]
"""What a reload reads."""


class Daemon:
    """contentfilter, wired.

    Arguments:
        reactor: Twisted's.
        path: of the configuration file; read again at a reload.
        overrides: ``key=value``, laid over the file.
        settings: as read from it.
        log: for everything.

    Attributes:
        registry: all metrics.

    Raises:
        ConfigError: the rules cannot be used.
        QuarantineError: the quarantine or the spool folder cannot be used.
        KeyProblem: a DKIM key cannot be used.
    """

    def __init__(
        self, reactor: Any, path: Path, overrides: Sequence[str], settings: Settings, log: Log
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._overrides = overrides
        self._log = log
        check_folders(settings.contentfilter)
        self.registry = new_registry("contentfilter")
        self.metrics = Metrics(self.registry)
        content = settings.contentfilter
        self._rules = OwnRules.read(content.rules)
        starter = launcher(reactor, settings, self._rules, log)
        self.pool = Pool(reactor, content.workers, starter, log, self.metrics)
        self.metrics.watch(self.pool)
        self.intake = Intake(lambda: self.pool.waiting, content.workers, content.spool.total, self.metrics)
        self.metrics.watch_intake(self.intake)
        self.engines = Engines(reactor, log, self.metrics.tested)
        self.engines.configure(content)
        self.metrics.watch_engines(lambda: self.engines.all)
        self.resolver = build_resolver(reactor, settings.dns, WHO_ASKS_DNS, told_to(log))
        self.metrics.watch_dns(self.resolver.metrics)
        self.urls = UrlWatch(reactor, self.resolver, log, time.time)
        self.metrics.watch_url_lists(self.urls.collect)
        self._authenticated = AuthenticationMetrics(self.registry)
        self.signing = Signing(reactor, self.resolver, log, self.registry, self._in_thread, time.time)
        self.signing.configure(settings, read_keys(settings))
        self.peer = self._peer(settings)
        self.student = Student(
            reactor,
            self.pool,
            lambda *question: self.peer.reports.request(*question),
            Deferred.fromCoroutine,
            time.time,
            log,
            self.metrics.lesson_read,
        )
        self._school(settings)
        self.models = ModelWatch(reactor, settings.statistics.model, self._start_workers_anew)
        self._allowed = Allowlist(content.allowed_macros, log, time.time)
        # What is wrong with the file is told now, and not with the first macro.
        self._allowed.refresh()
        self.quarantine = Quarantine(content.quarantine, self._in_thread)
        self.metrics.watch_quarantine(lambda: self.quarantine.usage)
        self.splits = Splits(reactor.seconds, self._is_upstream, self.metrics.split)
        self.recall = Recall(reactor.seconds, content.workers.remember, self.metrics)
        self.inspector = MailInspector(
            reactor, self._backends(settings), log, self.metrics, time.time, self.splits, self.recall
        )
        self.ports = [
            ReinjectionPort(
                reactor, listener.reinject, filter_name(settings.identity.hostname), log, self.metrics
            )
            for listener in content.listeners
        ]
        smtp = (listener.protocol != "lmtp" for listener in content.listeners)
        own = OwnMail(
            reactor,
            next(compress(self.ports, smtp), self.ports[0]),
            lambda: self.settings.contentfilter.spool.folder,
            log,
        )
        self.housekeeper = Housekeeper(
            reactor,
            self._in_thread,
            time.time,
            lambda: (self.settings, self.quarantine),
            own.send,
            log,
            self.metrics,
        )
        self.factories = [
            self._front(content, listener, port)
            for listener, port in zip(content.listeners, self.ports, strict=True)
        ]
        proxied = (listener.protocol != "milter" for listener in content.listeners)
        self.readiness = Readiness(
            self.pool,
            self.signing,
            self.engines,
            [*compress(self.ports, proxied)],
            lambda: self.settings,
        )
        self.verbs = Verbs(
            self.pool,
            self.readiness.problem,
            self.inspector.recent,
            log,
            self.metrics.quarantine_removed,
            self._measure,
            lambda *told: self.peer.reporter.unquarantined(*told),
        )
        self.reload = Reloading(
            log,
            self._in_thread,
            self._read,
            self._put_in_force,
            lambda: _fixed(self.settings),
            self._reloaded,
            (QuarantineError, AllowlistError, KeyProblem),
        )

    def _front(
        self, content: ContentfilterSettings, listener: ListenerSettings, port: ReinjectionPort
    ) -> Front:
        def delivered(decision_id: str, reply: Reply) -> None:
            self.peer.reporter.delivered(decision_id, reply)

        shared = Shared(self.inspector, self.intake, self._log, self.metrics, delivered, self.splits)
        if listener.protocol == "milter":
            return MilterFactory(self._reactor, content, listener, shared)
        hostname = self.settings.identity.hostname
        return ProxyFactory(self._reactor, content, listener, hostname, port, shared)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.inspector.backends.settings

    def start(self, inherited: Mapping[str, socket.socket] | None = None) -> Service:
        """Open the sockets; workers start with the reactor.

        Raises:
            ListenError: an address cannot be listened on.
        """
        content = self.settings.contentfilter
        self.urls.configure(self.settings)
        service = Service(
            self._reactor,
            self._log,
            drain=self.drain,
            reload=self.reload,
            drain_timeout=content.timeouts.reinject + DRAIN_EXTRA,
            inherited=inherited,
        )
        self._doors = Doors(
            self._reactor,
            [
                service.listen(listener.listen, factory)
                for listener, factory in zip(content.listeners, self.factories, strict=True)
            ],
        )
        service.listen(
            f"unix:{content.control}",
            ControlServer(
                {**self.verbs.table(), **self.urls.board.table()},
                self._reactor,
                self._log,
            ),
        )
        if content.metrics:
            http: Any = site(self.registry, self.readiness.problem)
            service.listen(content.metrics, http)
        self._reactor.callWhenRunning(self._begin)
        return service

    def _begin(self) -> None:
        self.pool.start()
        self.models.start()
        self.engines.start()
        self.signing.start()
        self._doors.open_after([port.start() for port in self.ports])
        self._measure()
        self.housekeeper.start()

    async def drain(self) -> None:
        """Let the transactions that are running end, then the workers."""
        self.housekeeper.stop()
        self._doors.stop()
        await DeferredList([factory.stop() for factory in self.factories])
        for port in self.ports:
            port.stop()
        self.models.stop()
        self.student.flush()
        await self.pool.stop()
        # What a worker still had in hand.
        self.student.flush()
        self.engines.stop()
        self.urls.stop()
        await self.signing.stop()
        self.resolver.stop()
        self.peer.close()

    def _measure(self) -> None:
        """Find out what is in the quarantine; where that fails, the next round says so."""
        self._in_thread(self.quarantine.measure).addErrback(lambda failure: None)

    # Configuration

    def _school(self, settings: Settings) -> None:
        self.student.settings = settings.statistics.automatic if settings.statistics.enabled else None

    def _start_workers_anew(self) -> None:
        settings = self.settings
        starter = launcher(self._reactor, settings, self._rules, self._log)
        self.pool.reconfigure(settings.contentfilter.workers, starter)

    def _peer(self, settings: Settings) -> Peer:
        return Peer(
            self._reactor,
            settings.policyd.control,
            self._log,
            self.metrics.reported,
            self.metrics.looked_at,
        )

    def _backends(self, settings: Settings) -> Backends:
        content: Any = settings.contentfilter
        authentication = build_authentication(
            settings, self.resolver, self._reactor.seconds, time.time, self._log, self._authenticated
        )
        return Backends(
            settings=settings,
            pool=self.pool,
            engines=self.engines.active,
            policyd=self.peer.questions,
            quarantine=self.quarantine,
            reporter=self.peer.reporter,
            investigator=self.peer.investigator,
            traps=Spamtraps(settings.spamtraps.addresses),
            panel=Panel(
                self._reactor,
                self._log,
                self.metrics,
                preparers=authentication.preparers,
                beside=[SpamEngine(engine, getattr(content, engine.name)) for engine in self.engines.spam],
                after=[*self._bulk(settings), *self.urls.assessors(settings), *authentication.after],
                stampers=[*authentication.stampers, *self.signing.stampers],
            ),
            allowed=self._allowed,
            student=self.student,
        )

    def _bulk(self, settings: Settings) -> list[BulkAssessor]:
        traps = Spamtraps(settings.spamtraps.addresses)
        if not is_counted(settings):
            return []
        return [BulkAssessor(self.peer.questions.request, traps, self._reactor.seconds, self._log)]

    def _is_upstream(self, address: bytes) -> bool:
        return self.settings.registry.is_upstream(address)

    def _read(self) -> _Read:
        settings = load(self._path, self._overrides)
        check_folders(settings.contentfilter)
        read_allowed(settings.contentfilter.allowed_macros)
        return settings, read_keys(settings), OwnRules.read(settings.contentfilter.rules)

    def _put_in_force(self, read: _Read) -> None:
        settings, keys, rules = read
        old, content = self.settings, settings.contentfilter
        if settings.policyd.control != old.policyd.control:
            self.peer.close()
            self.peer = self._peer(settings)
        same = (
            content.workers == old.contentfilter.workers
            and content.analysis == old.contentfilter.analysis
            and rules == self._rules
            and is_counted(settings) == is_counted(old)
        )
        if not same:
            self._rules = rules
            self.pool.reconfigure(content.workers, launcher(self._reactor, settings, rules, self._log))
            self.intake.bounds = content.workers
            self.recall.lifetime = content.workers.remember
            self.recall.clear()
        self._school(settings)
        self.models.path = settings.statistics.model
        self._allowed.path = content.allowed_macros
        self._allowed.refresh()
        self.engines.configure(content)
        self.resolver.reconfigure(servers_of(settings.dns), settings.dns)
        self.urls.configure(settings)
        self.signing.configure(settings, keys)
        if content.quarantine.folder != old.contentfilter.quarantine.folder:
            self.quarantine = Quarantine(content.quarantine, self._in_thread)
            self._measure()
        self.quarantine.settings = content.quarantine
        self.inspector.backends = self._backends(settings)
        self._log.info("reloaded", servers=len(settings.registry.servers))

    def _reloaded(self, result: Result) -> None:
        self.metrics.reloads.labels(result).inc()

    def _in_thread(self, work: Callable[[], T]) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)


def launcher(reactor: Any, settings: Settings, rules: OwnRules, log: Log) -> ProcessLauncher:
    """Starts scan workers with the limits that ``settings`` give them, and with ``rules``."""
    limits = settings.contentfilter.workers
    worker = WorkerSettings(
        os.getpid(),
        limits.memory,
        limits.cpu_time,
        knowledge=sources_of(settings, rules, is_counted(settings)),
    )
    return ProcessLauncher(reactor, worker, FINDING_NAMES, log)


def check_folders(content: ContentfilterSettings) -> None:
    """Make and check the folders for spooled and for quarantined mail.

    Raises:
        QuarantineError: one cannot be used.
    """
    spool = content.spool.folder
    try:
        spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise QuarantineError(f"{spool} cannot be used as spool: {error.strerror}") from error
    if not os.access(spool, os.W_OK | os.X_OK):
        raise QuarantineError(f"{spool} cannot be used as spool: it cannot be written to")
    prepare(content.quarantine.folder, time.time())


def _fixed(settings: Settings) -> dict[str, Any]:
    """What a reload does not change, by its name in the log."""
    return {
        **{f"contentfilter.{name}": getattr(settings.contentfilter, name) for name in NEEDS_RESTART},
        "privacy": settings.privacy,
        "logging": settings.logging,
        "identity.hostname": settings.identity.hostname,
    }


def serve(path: Path, overrides: Sequence[str], inherited: Mapping[str, socket.socket]) -> int:
    """Run contentfilter until it is told to end; returns the exit status.

    Arguments:
        inherited: sockets that systemd handed over, by name.

    Raises:
        ConfigError: the configuration cannot be used.
        QuarantineError: a folder cannot be used.
        KeyProblem: a DKIM key cannot be used.
        ListenError: an address cannot be listened on.
    """
    reactor = install()
    # By the wall clock, Twisted's default, a clock set back would let an end of data out too late, after our
    # client has given up: the mail would arrive twice.
    reactor.seconds = time.monotonic
    settings = load(path, overrides)
    log = make_log("contentfilter", settings, reactor)
    raise_descriptor_limit()
    hide_memory()
    keep_memory()
    daemon = Daemon(reactor, path, overrides, settings, log)
    service = daemon.start(inherited)
    # What is here now stays: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    service.run()
    return 0
