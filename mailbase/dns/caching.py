"""The resolver of the daemons: one memory, one look-up for all who ask the same, and bounds on everything."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailbase.dns.answers import (
    Answer,
    BadName,
    Found,
    NoData,
    NxDomain,
    Record,
    RecordType,
    Temporary,
    TimedOut,
)
from mailbase.dns.cache import Cache
from mailbase.dns.exchange import Address, Network
from mailbase.dns.lookup import Lookup
from mailbase.dns.metrics import DnsMetrics, Now
from mailbase.dns.names import normal
from mailbase.dns.resolver import Asker, Resolver
from mailbase.dns.upstreams import Upstream, Upstreams
from mailbase.dns.wire import Question

_LOG = Logger()
_BAD_NAME = BadName()
_OVERLOAD = Temporary("too many look-ups wait for their turn")
_STOPPED = Temporary("the resolver was stopped")


class Terms(Protocol):
    """What of the configuration's ``dns`` is read here; seconds and octets."""

    @property
    def timeout(self) -> float: ...
    @property
    def deadline(self) -> float: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def backlog(self) -> int: ...
    @property
    def cache_size(self) -> int: ...
    @property
    def min_ttl(self) -> float: ...
    @property
    def max_ttl(self) -> float: ...
    @property
    def negative_ttl(self) -> float: ...
    @property
    def failure_ttl(self) -> float: ...


class _Waiter(Deferred[Answer[Record]]):
    """Somebody who waits for a look-up; who cancels it leaves."""

    def __init__(self, job: _Job, consumer: str) -> None:
        super().__init__(_leave)
        self.job = job
        self.consumer = consumer
        self.timer: Any = None


class _Told:
    """The same for who has a place for the answer: a third of the price."""

    __slots__ = ("asker", "consumer", "job", "place", "timer")

    def __init__(self, job: _Job, consumer: str, asker: Asker, place: int) -> None:
        self.job = job
        self.consumer = consumer
        self.asker = asker
        self.place = place
        self.timer: Any = None

    def callback(self, answer: Answer[Record]) -> None:
        try:
            self.asker.told(self.place, answer)
        except Exception:  # noqa: BLE001 - the boundary of who asked: others wait for the same answer
            _LOG.failure("an answer of DNS could not be used")


class _Job(Lookup):
    """A look-up and those who wait for it."""

    __slots__ = ("began", "consumers", "key", "resolver", "result", "timer", "waiters")

    def __init__(
        self, resolver: CachingResolver, key: tuple[str, RecordType], now: float, end: float
    ) -> None:
        super().__init__(Question(*key), resolver.upstreams, resolver.metrics, end)
        self.resolver = resolver
        self.key = key
        self.began = now
        self.timer: Any = None
        self.result: Answer[Record] | None = None
        self.waiters: list[_Waiter | _Told] = []
        self.consumers: set[str] = set()

    def finished(self, answer: Answer[Record], ttl: float | None, octets: int) -> None:
        """See :class:`~mailbase.dns.lookup.Lookup`."""
        self.resolver.finished(self, answer, ttl, octets)


def _leave(waiter: Deferred[Answer[Record]]) -> None:
    assert isinstance(waiter, _Waiter)
    if waiter in waiter.job.waiters:
        waiter.job.waiters.remove(waiter)
    if waiter.timer is not None and waiter.timer.active():
        waiter.timer.cancel()


class CachingResolver(Resolver):
    """Arguments:
    clock: Twisted's IReactorTime.
    network: carries packets (:class:`mailbase.dns.exchange.Sockets`).
    servers: whom to ask, the preferred one first; at least one.
    terms: the configuration's ``dns``.
    metrics: knows the consumers.
    changed: called with a server that went down or came back.
    """

    def __init__(
        self,
        clock: Any,
        network: Network,
        servers: Sequence[Address],
        terms: Terms,
        metrics: DnsMetrics,
        changed: Callable[[Upstream], None] = lambda server: None,
    ) -> None:
        self._clock = clock
        self._seconds: Callable[[], float] = clock.seconds
        self._network = network
        self._terms = terms
        self._cache = Cache(terms.cache_size)
        self.metrics = metrics
        metrics.now = self._now
        self._counts = metrics.answers
        self._changed = changed
        self.looked_up: Callable[[str, RecordType, Answer[Record], Set[str]], None] | None = None
        """Told of each look-up that a server was asked for, once, and of all consumers who wanted it; not of
        failures while all servers are down, which say nothing of the name."""
        self.upstreams = Upstreams(clock, network, servers, terms.timeout, changed)
        self._jobs: dict[tuple[str, RecordType], _Job] = {}
        self._waiting: deque[_Job] = deque()
        self._in_flight = 0
        self._stopped = False
        self._beginning = False

    def cached(self, name: str, rdtype: RecordType) -> Answer[Record] | None:
        """See :class:`Resolver`."""
        answer = self._cache.get((name, rdtype), self._seconds())
        if answer is None:
            own = normal(name)
            if own is None:
                return _BAD_NAME
            if own != name:
                return self._cache.get((own, rdtype), self._seconds())
        return answer

    def ask(
        self, name: str, rdtype: RecordType, *, consumer: str, deadline: float | None = None
    ) -> Answer[Record] | Deferred[Answer[Record]]:
        """See :class:`Resolver`."""
        answer = self._ask(name, rdtype, consumer, deadline, None, 0)
        assert not isinstance(answer, _Told)
        return answer

    def ask_for(
        self,
        asker: Asker,
        place: int,
        name: str,
        rdtype: RecordType,
        *,
        consumer: str,
        deadline: float | None = None,
    ) -> Answer[Record] | None:
        """See :class:`Resolver`."""
        answer = self._ask(name, rdtype, consumer, deadline, asker, place)
        if type(answer) is _Told:
            return None
        assert not isinstance(answer, Deferred | _Told)
        return answer

    def _ask(
        self,
        name: str,
        rdtype: RecordType,
        consumer: str,
        deadline: float | None,
        asker: Asker | None,
        place: int,
    ) -> Answer[Record] | _Waiter | _Told:
        now = self._seconds()
        answer = self._cache.get((name, rdtype), now)
        if answer is not None:
            self.metrics.hits += 1
        else:
            own = normal(name)
            if own is None:
                answer = _BAD_NAME
            elif own != name:
                return self._ask(own, rdtype, consumer, deadline, asker, place)
            else:
                job = self._job((name, rdtype), now)
                if isinstance(job, _Job):
                    return self._wait(job, consumer, now, deadline, asker, place)
                answer = job
        self._counts[consumer, answer.result] += 1
        return answer

    def forget(self, name: str) -> int:
        """See :class:`Resolver`."""
        own = normal(name)
        return 0 if own is None else self._cache.forget(own)

    def usable(self) -> bool:
        """See :class:`Resolver`."""
        return bool(self.upstreams.usable())

    def reconfigure(self, servers: Sequence[Address], terms: Terms) -> None:
        """Put other settings in force; look-ups under way end as they began."""
        if terms.timeout != self._terms.timeout or list(servers) != [
            server.address for server in self.upstreams.servers
        ]:
            self.upstreams.stop()
            self.upstreams = Upstreams(self._clock, self._network, servers, terms.timeout, self._changed)
        self._terms = terms
        self._cache.resize(terms.cache_size)

    def stop(self) -> None:
        """End everything; who still waits is told, and who asks from now on too."""
        self._stopped = True
        self.upstreams.stop()
        jobs, self._jobs = list(self._jobs.values()), {}
        self._waiting.clear()
        self._in_flight = 0
        for job in jobs:
            job.cancel()
            self._tell(job, _STOPPED)

    def _job(self, key: tuple[str, RecordType], now: float) -> _Job | Answer[Record]:
        """The look-up for ``key``; an answer where it ended at once."""
        terms = self._terms
        job = self._jobs.get(key)
        if job is not None:
            if len(job.waiters) > terms.backlog:
                self.metrics.overloads += 1
                return _OVERLOAD
            self.metrics.joined += 1
            return job
        if self._stopped:
            return _STOPPED
        full = self._in_flight >= terms.in_flight
        if full and len(self._waiting) >= terms.backlog:
            self.metrics.overloads += 1
            return _OVERLOAD
        job = _Job(self, key, now, now + terms.deadline)
        self._jobs[key] = job
        self.metrics.lookups += 1
        if full:
            self._waiting.append(job)
            job.timer = self._clock.callLater(terms.deadline, self._expire, job)
        else:
            self._in_flight += 1
            job.start(now)
        return job if job.result is None else job.result

    def _wait(
        self,
        job: _Job,
        consumer: str,
        now: float,
        deadline: float | None,
        asker: Asker | None,
        place: int,
    ) -> TimedOut | _Waiter | _Told:
        if (consumer, TimedOut.result) not in self._counts:
            # Fails here, and not when the answer has come.
            raise KeyError(consumer)
        job.consumers.add(consumer)
        if deadline is not None and deadline <= now:
            self._counts[consumer, TimedOut.result] += 1
            return TimedOut("the deadline has passed")
        waiter = _Waiter(job, consumer) if asker is None else _Told(job, consumer, asker, place)
        job.waiters.append(waiter)
        if deadline is not None and deadline < job.end:
            waiter.timer = self._clock.callLater(deadline - now, self._overdue, waiter)
        return waiter

    def _overdue(self, waiter: _Waiter | _Told) -> None:
        waiter.job.waiters.remove(waiter)
        self._counts[waiter.consumer, TimedOut.result] += 1
        waiter.callback(TimedOut("no answer by the deadline"))

    def _expire(self, job: _Job) -> None:
        """Its turn did not come in time."""
        self._waiting.remove(job)
        self._settle(job, TimedOut("its turn did not come in time"))

    def finished(self, job: _Job, answer: Answer[Record], ttl: float | None, octets: int) -> None:
        """A look-up is over; for its own use."""
        now = self._seconds()
        answer, keep = self._aged(answer, ttl)
        # With all servers down a failure says nothing about the name: whoever comes first after that
        # is to have an answer.
        if octets or self.upstreams.usable():
            if keep > 0:
                self._cache.put(job.key, answer, now + keep, octets)
            if self.looked_up is not None:
                self.looked_up(*job.key, answer, job.consumers)
        self.metrics.observe(now - job.began)
        self._in_flight -= 1
        self._settle(job, answer)
        if self._waiting:
            self._begin()

    def _aged(self, answer: Answer[Record], ttl: float | None) -> tuple[Answer[Record], float]:
        """The answer with its time to live, within our bounds, and that time."""
        terms = self._terms
        match answer:
            case Found():
                keep = max(terms.min_ttl, min(ttl or 0.0, terms.max_ttl))
                return answer if keep == answer.ttl else replace(answer, ttl=keep), keep
            case NxDomain() | NoData():
                keep = max(terms.min_ttl, min(ttl or 0.0, terms.negative_ttl))
                return type(answer)(keep), keep
            case _:
                return answer, terms.failure_ttl

    def _settle(self, job: _Job, answer: Answer[Record]) -> None:
        if self._jobs.get(job.key) is job:
            del self._jobs[job.key]
        self._tell(job, answer)

    def _tell(self, job: _Job, answer: Answer[Record]) -> None:
        job.result = answer
        if job.timer is not None and job.timer.active():
            job.timer.cancel()
        waiters, job.waiters = job.waiters, []
        counts, result = self._counts, answer.result
        for waiter in waiters:
            if waiter.timer is not None and waiter.timer.active():
                waiter.timer.cancel()
            counts[waiter.consumer, result] += 1
            waiter.callback(answer)

    def _begin(self) -> None:
        """Let those begin whose turn it is."""
        if self._beginning:
            return  # one of them ended at once; the loop below goes on
        self._beginning = True
        while self._waiting and self._in_flight < self._terms.in_flight:
            job = self._waiting.popleft()
            job.timer.cancel()
            self._in_flight += 1
            job.start(self._seconds())
        self._beginning = False

    def _now(self) -> Now:
        servers = self.upstreams.servers
        return Now(
            self._in_flight,
            len(self._waiting),
            len(self._cache),
            self._cache.octets,
            self._cache.evicted,
            len(servers),
            sum(server.down for server in servers),
        )
