"""The resolver of the daemons: one memory, one look-up for all who ask the same, and bounds on everything."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence, Set
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailbase.alarms import Alarms
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
# Negative answers differ in nothing but their time.
_no_name, _no_data = lru_cache(maxsize=1024)(NxDomain), lru_cache(maxsize=1024)(NoData)
_OVERLOAD = Temporary("too many look-ups wait for their turn")
_NOBODY: frozenset[str] = frozenset()
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
    """An asker of one question, who leaves where he is cancelled."""

    def __init__(self) -> None:
        super().__init__(_leave)
        self.job: _Job | None = None

    def told(self, place: int, answer: Answer[Record]) -> None:
        """See :class:`~mailbase.dns.resolver.Asker`."""
        # Without the reference back both are freed at once, and not by the cycle collector.
        self.job = None
        self.callback(answer)


def _leave(waiter: Deferred[Answer[Record]]) -> None:
    assert isinstance(waiter, _Waiter)
    job, waiter.job = waiter.job, None
    if job is not None:
        job.leave(waiter)


_Seat: TypeAlias = tuple[Asker, int, str, Any]
"""Who waits for a look-up: asker, place of the answer, consumer, and the timer of an earlier deadline. A
plain tuple, since each question has one."""


class _Job(Lookup):
    """A look-up and those who wait for it."""

    queued = False
    """Whether its turn has not come."""
    result: Answer[Record] | None = None

    def __init__(
        self, resolver: CachingResolver, key: tuple[str, RecordType], now: float, end: float
    ) -> None:
        Lookup.__init__(self, Question(*key), resolver.upstreams, resolver.metrics, end)
        self.resolver = resolver
        self.key = key
        self.began = now
        self.seats: list[_Seat] = []
        self.consumers: Set[str] = _NOBODY

    def wake(self) -> None:
        """See :class:`~mailbase.alarms.Sleeper`."""
        if self.queued:
            self.resolver.expire(self)
        else:
            super().wake()

    def finished(self, answer: Answer[Record], ttl: float | None, octets: int, now: float) -> None:
        """See :class:`~mailbase.dns.lookup.Lookup`."""
        self.resolver.finished(self, answer, ttl, octets, now)

    def leave(self, asker: Asker) -> None:
        """``asker`` waits no more."""
        for seat in self.seats:
            if seat[0] is asker:
                self.seats.remove(seat)
                if seat[3] is not None:
                    seat[3].cancel()
                return


class CachingResolver(Resolver):
    """Arguments:
    clock: Twisted's IReactorTime.
    network: carries packets (:class:`mailbase.dns.sockets.Sockets`).
    servers: whom to ask, the preferred one first; at least one.
    terms: the configuration's ``dns``.
    metrics: knows the consumers.
    changed: called with a server that went down or came back.
    seconds: the clock of those who ask, by which their deadlines are; None: ``clock``.
    """

    def __init__(
        self,
        clock: Any,
        network: Network,
        servers: Sequence[Address],
        terms: Terms,
        metrics: DnsMetrics,
        changed: Callable[[Upstream], None] = lambda server: None,
        seconds: Callable[[], float] | None = None,
    ) -> None:
        self._clock = clock
        self._seconds: Callable[[], float] = clock.seconds
        self._askers_seconds = seconds or clock.seconds
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
        self._turns = Alarms(clock)
        """Of those that wait."""
        self._alone = {consumer: frozenset((consumer,)) for consumer, _result in self._counts}
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
        waiter = _Waiter()
        answer = self.ask_for(waiter, 0, (name, rdtype), consumer, deadline)
        if answer is not None:
            return answer
        own = normal(name)
        assert own is not None
        waiter.job = self._jobs[own, rdtype]
        return waiter

    def ask_for(
        self,
        asker: Asker,
        place: int,
        question: tuple[str, RecordType],
        consumer: str,
        deadline: float | None = None,
    ) -> Answer[Record] | None:
        """See :class:`Resolver`."""
        now = self._seconds()
        answer = self._cache.get(question, now)
        if answer is not None:
            self.metrics.hits += 1
        else:
            name = question[0]
            own = normal(name)
            if own is None:
                answer = _BAD_NAME
            elif own != name:
                return self.ask_for(asker, place, (own, question[1]), consumer, deadline)
            else:
                # Who is no consumer fails here, and not when the answer has come.
                alone = self._alone[consumer]
                job = self._jobs.get(question)
                answer = self._begin(question, now) if job is None else self._join(job)
                if answer is None:
                    return self._seat(self._jobs[question], asker, place, consumer, alone, now, deadline)
        self._counts[consumer, answer.result] += 1
        return answer

    def forget(self, name: str) -> int:
        """See :class:`Resolver`."""
        own = normal(name)
        return 0 if own is None else self._cache.forget(own)

    def usable(self) -> bool:
        """See :class:`Resolver`."""
        return bool(self.upstreams.good)

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
            job.queued = False
            job.cancel()
            self._end(job, _STOPPED)

    def _join(self, job: _Job) -> Answer[Record] | None:
        """Wait with others, unless too many do."""
        if len(job.seats) > self._terms.backlog:
            self.metrics.overloads += 1
            return _OVERLOAD
        self.metrics.joined += 1
        return None

    def _begin(self, key: tuple[str, RecordType], now: float) -> Answer[Record] | None:
        """Begin a look-up; an answer where it ended at once."""
        if self._stopped:
            return _STOPPED
        terms = self._terms
        full = self._in_flight >= terms.in_flight
        if full and len(self._waiting) >= terms.backlog:
            self.metrics.overloads += 1
            return _OVERLOAD
        self._jobs[key] = job = _Job(self, key, now, now + terms.deadline)
        self.metrics.lookups += 1
        if full:
            self._waiting.append(job)
            job.queued = True
            job.queue(self._turns, now)
        else:
            self._in_flight += 1
            job.start(now)
        return job.result

    def _seat(
        self,
        job: _Job,
        asker: Asker,
        place: int,
        consumer: str,
        alone: Set[str],
        now: float,
        deadline: float | None,
    ) -> TimedOut | None:
        """Let ``asker`` wait, unless his deadline has passed."""
        if not job.consumers:
            job.consumers = alone
        elif consumer not in job.consumers:
            job.consumers |= alone
        timer = None
        if deadline is not None and (left := deadline - self._askers_seconds()) < job.end - now:
            if left <= 0:
                self._counts[consumer, TimedOut.result] += 1
                return TimedOut("the deadline has passed")
            timer = self._clock.callLater(left, self._overdue, job, asker, place)
        job.seats.append((asker, place, consumer, timer))
        return None

    def _overdue(self, job: _Job, asker: Asker, place: int) -> None:
        for seat in job.seats:
            if seat[0] is asker and seat[1] == place:
                job.seats.remove(seat)
                self._counts[seat[2], TimedOut.result] += 1
                _tell(asker, place, TimedOut("no answer by the deadline"))
                return

    def expire(self, job: _Job) -> None:
        """The turn of a look-up did not come in time; for its own use."""
        self._waiting.remove(job)
        self._end(job, TimedOut("its turn did not come in time"))

    def finished(self, job: _Job, answer: Answer[Record], ttl: float | None, octets: int, now: float) -> None:
        """A look-up is over; for its own use."""
        terms = self._terms
        if type(answer) is Found and ttl is not None and terms.min_ttl <= ttl <= terms.max_ttl:
            keep = ttl
        else:
            answer, keep = self._aged(answer, ttl)
        # With all servers down a failure says nothing about the name: whoever comes first after that
        # is to have an answer.
        if octets or self.upstreams.good:
            if keep > 0:
                self._cache.put(job.key, answer, now + keep, octets)
            if self.looked_up is not None:
                self.looked_up(*job.key, answer, job.consumers)
        self.metrics.observe(now - job.began)
        self._in_flight -= 1
        self._end(job, answer)
        if self._waiting:
            self._go_on()

    def _aged(self, answer: Answer[Record], ttl: float | None) -> tuple[Answer[Record], float]:
        """The answer with its time to live, within our bounds, and that time."""
        terms = self._terms
        keep = ttl or 0.0
        if type(answer) is Found:
            keep = max(terms.min_ttl, min(keep, terms.max_ttl))
            return answer if keep == answer.ttl else Found(answer.records, keep, answer.name), keep
        if type(answer) is NxDomain or type(answer) is NoData:
            keep = max(terms.min_ttl, min(keep, terms.negative_ttl))
            return (_no_name if type(answer) is NxDomain else _no_data)(keep), keep
        return answer, terms.failure_ttl

    def _end(self, job: _Job, answer: Answer[Record]) -> None:
        """Tell who waits, and nobody else from now on."""
        if self._jobs.get(job.key) is job:
            del self._jobs[job.key]
        job.result = answer
        seats, job.seats = job.seats, []
        counts, result = self._counts, answer.result
        for asker, place, consumer, timer in seats:
            counts[consumer, result] += 1
            if timer is not None and timer.active():
                timer.cancel()
            _tell(asker, place, answer)

    def _go_on(self) -> None:
        """Let those begin whose turn it is."""
        if self._beginning:
            return  # one of them ended at once; the loop below goes on
        self._beginning = True
        while self._waiting and self._in_flight < self._terms.in_flight:
            job = self._waiting.popleft()
            job.queued = False
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


def _tell(asker: Asker, place: int, answer: Answer[Record]) -> None:
    """Hand the answer over."""
    try:
        asker.told(place, answer)
    except Exception:  # noqa: BLE001 - the boundary of who asked: others wait for the same answer
        _LOG.failure("an answer of DNS could not be used")
