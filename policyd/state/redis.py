"""policyd's state on a Redis or Valkey server, wired."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from mailbase.config import Settings
from mailbase.config.redis import RedisPlace
from mailbase.config.store import StoreSettings
from mailbase.logs import Log
from mailbase.store import Memory
from mailbase.store.redis import roster
from mailbase.store.redis.client import Fixed, RedisClient, Whereabouts
from mailbase.store.redis.connecting import connector, secret
from mailbase.store.redis.roster import Roster
from mailbase.store.redis.sentinel import Sentinels
from mailbase.store.redis.table import RedisTable
from mailbase.wallclock import steady
from policyd.end_of_data.tickets import TICKETS, Tickets
from policyd.engine.policy import terms_of
from policyd.exceptions.book import EXCEPTIONS
from policyd.greylist.tables import ALLOWED, CLIENTS, OTHERS, TRIPLETS
from policyd.learning.lessons import LESSONS
from policyd.limits.ledger import BUCKETS
from policyd.shared.ledger import RedisLedger
from policyd.shared.lessons import LessonShelf
from policyd.shared.limits import RedisLimits
from policyd.shared.scripts import SCRIPTS
from policyd.shared.shelf import RosterShelf
from policyd.state.state import State
from policyd.state.tables import TABLES

ROSTERS = (ALLOWED, EXCEPTIONS, LESSONS)
"""Tables that every node holds whole."""


def in_redis(settings: Settings, place: RedisPlace, reactor: Any, log: Log) -> State:
    """The state on the server at ``place``; not started yet."""
    store = settings.store
    client, watch = connect(store, place, reactor, log)
    tables = {spec.name: RedisTable(client, spec, store.prefix, reactor) for spec in TABLES}
    rosters = {spec.name: Roster(client, spec, store.prefix, reactor) for spec in ROSTERS}
    memories: dict[str, Memory] = {name: table for name, table in tables.items() if name not in rosters}

    def start() -> None:
        # Before the reactor closes its sockets: a connection that ends then is no outage.
        reactor.addSystemEventTrigger("before", "shutdown", client.stop)
        # Not while the daemon is still being put together: that may take longer than a connection should.
        reactor.callWhenRunning(begin)

    def begin() -> None:
        client.start()
        watch()
        for one in rosters.values():
            one.start()

    def close() -> bool:
        for one in rosters.values():
            one.stop()
        client.stop()
        return True

    return State(
        ledger=RedisLedger(
            client,
            tables[TRIPLETS.name],
            tables[OTHERS.name],
            tables[CLIENTS.name],
            rosters[ALLOWED.name],
            terms_of(settings),
            store.on_error,
        ),
        tickets=Tickets(tables[TICKETS.name], Deferred.fromCoroutine),
        limits=RedisLimits(client, tables[BUCKETS.name]),
        shelf=RosterShelf(rosters[EXCEPTIONS.name]),
        lessons=LessonShelf(rosters[LESSONS.name]),
        memory=memories.__getitem__,
        start=start,
        close=close,
        collect=client.metrics.collect,
        pages=lambda name, now: tables[name].pages(now),
        shared=True,
    )


def connect(
    store: StoreSettings, place: RedisPlace, reactor: Any, log: Log
) -> tuple[RedisClient, Callable[[], None]]:
    """The client for ``place``, and what begins to watch the Sentinels, if there are any."""
    # A server that is silent must not seem to be in time because the clock was set back.
    reactor = steady(reactor)
    to_server = connector(reactor, tls=place.tls, ca_file=store.ca_file)
    where: Whereabouts = Fixed(*place.hosts[0])
    sentinels: Sentinels | None = None
    if place.master:
        where = sentinels = Sentinels(
            reactor, to_server, place.hosts, place.master, lambda: secret(store.sentinel_password_file, "")
        )
    client = RedisClient(
        reactor,
        to_server,
        where,
        log,
        credentials=lambda: (place.user, secret(store.password_file, place.password)),
        database=place.database,
        scripts=(*SCRIPTS, *roster.SCRIPTS),
        timeout=store.timeout,
    )
    if sentinels is None:
        return client, lambda: None
    sentinels.moved = client.moved
    return client, sentinels.watch
