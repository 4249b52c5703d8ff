"""One look-up on its way: which server is asked when, until one tells or time is up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from mailbase.alarms import Alarms
from mailbase.dns.answers import Answer, Record, Temporary, TimedOut
from mailbase.dns.exchange import Exchange
from mailbase.dns.metrics import DnsMetrics
from mailbase.dns.numbers import draw
from mailbase.dns.upstreams import Upstream, Upstreams
from mailbase.dns.wire import (
    CODES,
    FORMERR,
    NOTIMP,
    Broken,
    Failed,
    Foreign,
    Question,
    Reading,
    Settled,
    Truncated,
)

MAX_TRIES = 10
"""Packets of one look-up."""
MAX_FOREIGN = 8
"""Forged or late packets on one socket until we rather ask over TCP (RFC 5452 9.2)."""

NO_SERVER = "no DNS server answers"


class _Try:
    """A packet that went to a server; listens for its answer."""

    # What few change is the class's: a try is made for each question.
    foreign = 0
    late = False

    def __init__(
        self, lookup: Lookup, server: Upstream, sent: float, edns: bool = True, tcp: bool = False
    ) -> None:
        self.lookup = lookup
        self.server = server
        self.number = draw()
        self.sent = sent
        self.edns = edns
        self.tcp = tcp
        self.exchange: Exchange | None = None
        """What carries it, as long as it listens."""

    def heard(self, packet: bytes) -> None:
        """See :class:`mailbase.dns.exchange.Listener`."""
        if self.exchange is None:
            return
        lookup = self.lookup
        reading = lookup.question.read(packet, self.number)
        if type(reading) is Settled:
            lookup.settled(self.server, reading, len(packet))
        else:
            lookup.unsettled(self, packet, reading)

    def lost(self, why: str) -> None:
        """See :class:`mailbase.dns.exchange.Listener`."""
        self.lookup.lost(self, why)

    def unsent(self, why: str) -> None:
        """See :class:`mailbase.dns.exchange.Listener`."""
        self.lookup.unsent(self, why)


class Lookup(ABC):
    """Asks the servers in turn: the next one when one is silent for a try's time, cannot tell, or is gone.

    An earlier try goes on listening, so that a slow answer is not lost by asking again. A server that cannot
    tell (SERVFAIL and the like) is not asked again.

    Arguments:
        question: what is asked.
        upstreams: who can be asked; its clock, network and alarms are ours too.
        metrics: counts packets.
        end: clock seconds at which it ends, answered or not.
    """

    # What few change is the class's.
    _failed: tuple[Upstream, ...] = ()
    _problem = ""
    _tries: tuple[_Try, ...] = ()
    """Not a list: most have one try."""
    _over = False
    _timer: Any = None
    _alarms: Alarms | None = None
    """Where an alarm is set; the timer stands for waits of another length."""

    def __init__(self, question: Question, upstreams: Upstreams, metrics: DnsMetrics, end: float) -> None:
        self.question = question
        self.end = end
        self._upstreams = upstreams
        self._metrics = metrics

    @abstractmethod
    def finished(self, answer: Answer[Record], ttl: float | None, octets: int, now: float) -> None:
        """Called once at the end, unless it was cancelled.

        Arguments:
            ttl: seconds that the answer holds as the server says; None: it does not.
            octets: of the packet; 0 for what is no server's word.
            now: clock seconds.
        """

    def queue(self, turns: Alarms, now: float) -> None:
        """Wait for its turn; :meth:`wake` is called where that has not come when it has to end.

        Arguments:
            turns: of those that wait for theirs.
            now: clock seconds.
        """
        if turns.set(self, self.end):
            self._alarms = turns
        else:
            self._timer = self._upstreams.clock.callLater(self.end - now, self.wake)

    def start(self, now: float) -> None:
        """Ask the first server. It may be finished before this returns.

        Arguments:
            now: clock seconds.
        """
        upstreams = self._upstreams
        servers, timeout = upstreams.good, upstreams.timeout
        left = self.end - now
        if not servers:
            self._finish(Temporary(NO_SERVER))
        elif left > 0 and self._send(_Try(self, servers[0], now), timeout):
            self._wait(now, timeout if timeout < left else left)
        else:
            self._next()

    def cancel(self) -> None:
        """Give it up."""
        self._over = True
        self._close()

    def _next(self) -> None:
        """Ask the next server; without one wait for those that were asked, or end."""
        upstreams = self._upstreams
        while True:
            now = upstreams.clock.seconds()
            left = self.end - now
            if left <= 0:
                self._finish(TimedOut("no DNS server answered in time"))
                return
            server = self._choose() if len(self._tries) < MAX_TRIES else None
            if server is None:
                break
            if self._send(_Try(self, server, now), upstreams.timeout):
                self._wait(now, min(left, upstreams.timeout))
                return
        listening = [attempt for attempt in self._tries if attempt.exchange is not None]
        if not listening:
            self._finish(Temporary(self._problem or NO_SERVER))
        elif all(attempt.server.down for attempt in listening):
            self._finish(TimedOut(NO_SERVER))
        else:
            # Those that were asked may be slow; they get the rest of the time.
            self._wait(now, min(left, upstreams.timeout))

    def _choose(self) -> Upstream | None:
        """Of the usable servers the one that was asked least."""
        tried = [attempt.server for attempt in self._tries]
        servers = [server for server in self._upstreams.good if server not in self._failed]
        return min(servers, key=tried.count, default=None)

    def _send(self, attempt: _Try, timeout: float) -> bool:
        """Whether it went out."""
        packet = self.question.packet(attempt.number, attempt.edns)
        network, address, counts = self._upstreams.network, attempt.server.address, self._metrics.packets
        tcp = attempt.tcp
        if not self._tries:
            self._tries = (attempt,)
        else:
            self._tries += (attempt,)
            if not tcp:
                counts["repeated"] += 1
        try:
            if tcp:
                attempt.exchange = network.stream(address, packet, attempt, timeout)
            else:
                attempt.exchange = network.datagram(address, packet, attempt)
        except OSError as error:
            self._unsent(attempt, str(error))
            return False
        counts["sent"] += 1
        return True

    def settled(self, server: Upstream, reading: Settled, octets: int) -> None:
        """The answer came to a try.

        Arguments:
            octets: of its packet.
        """
        upstreams = self._upstreams
        now = upstreams.clock.seconds()
        upstreams.heard(server, now)
        self._close()
        if not self._over:
            self._over = True
            self.finished(*reading, octets, now)

    def unsettled(self, attempt: _Try, packet: bytes, reading: Reading) -> None:
        """Something else came to a try."""
        counts, server = self._metrics.packets, attempt.server
        if isinstance(reading, Foreign):
            if packet[:2] != attempt.number and not self.question.is_of(packet):
                return  # a guess at another question that went out from the same port
            counts["foreign"] += 1
            attempt.foreign += 1
            if attempt.tcp:
                self.lost(attempt, "an answer to another question")
            elif attempt.foreign >= MAX_FOREIGN:
                self._again(attempt, tcp=True, edns=attempt.edns)
            return
        self._upstreams.heard(server, self._upstreams.clock.seconds())
        match reading:
            case Truncated() if attempt.tcp:
                counts["broken"] += 1
                self._fail(attempt, f"{server.address}: truncated over TCP")
                self._next()
            case Truncated():
                self._again(attempt, tcp=True, edns=attempt.edns)
            case Failed(code) if code in (FORMERR, NOTIMP) and attempt.edns:
                # A server from before 1999 (RFC 6891 7).
                self._again(attempt, tcp=attempt.tcp, edns=False)
            case Failed(code):
                counts["failed"] += 1
                self._fail(attempt, f"{server.address}: {CODES.get(code, f'response code {code}')}")
                self._next()
            case Broken(why):
                counts["broken"] += 1
                self._fail(attempt, f"{server.address}: {why}")
                self._next()

    def _again(self, attempt: _Try, *, tcp: bool, edns: bool) -> None:
        """Ask the same server in another way."""
        self._release(attempt)
        now = self._upstreams.clock.seconds()
        other = _Try(self, attempt.server, now, edns, tcp)
        if tcp:
            self._metrics.packets["over-tcp"] += 1
        if len(self._tries) < MAX_TRIES and self._send(other, max(0.1, self.end - now)):
            self._wait(now, min(max(0.0, self.end - now), self._upstreams.timeout))
        else:
            self._fail(attempt, self._problem or f"{attempt.server.address}: too many tries")
            self._next()

    def lost(self, attempt: _Try, why: str) -> None:
        """Nothing more comes of a try: nobody listens there, or the connection broke."""
        if attempt.exchange is not None:
            self._metrics.packets["unanswered"] += 1
            self._fail(attempt, f"{attempt.server.address}: {why}")
            self._upstreams.silent(attempt.server, attempt.sent)
            self._next()

    def unsent(self, attempt: _Try, why: str) -> None:
        """A try did not go out."""
        if attempt.exchange is not None:
            self._unsent(attempt, why)
            self._next()

    def wake(self) -> None:
        """Nothing came to the last try in its time."""
        self._alarms = self._timer = None
        if self._over:
            return  # given up by another who was woken at the same time
        last = self._tries[-1]
        if last.exchange is not None and not last.late:
            last.late = True
            self._metrics.packets["unanswered"] += 1
            if not last.tcp:
                # A connection may be slow for a large answer; it tells itself when it breaks.
                self._upstreams.silent(last.server, last.sent)
        self._next()

    def _unsent(self, attempt: _Try, why: str) -> None:
        # No descriptor left, no route: says nothing about the server.
        self._metrics.packets["unsent"] += 1
        self._fail(attempt, f"{attempt.server.address}: {why}")

    def _fail(self, attempt: _Try, problem: str) -> None:
        self._release(attempt)
        self._failed += (attempt.server,)
        self._problem = problem

    def _release(self, attempt: _Try) -> None:
        exchange, attempt.exchange = attempt.exchange, None
        if exchange is not None:
            exchange.leave(attempt.number)

    def _wait(self, now: float, seconds: float) -> None:
        if self._alarms is not None or self._timer is not None:
            self._rest()
        upstreams = self._upstreams
        # Nearly all wait a try's time.
        if seconds == upstreams.timeout and upstreams.alarms.set(self, now + seconds):
            self._alarms = upstreams.alarms
        else:
            self._timer = upstreams.clock.callLater(seconds, self.wake)

    def _rest(self) -> None:
        """Wait for no time any more."""
        alarms = self._alarms
        if alarms is not None:
            self._alarms = None
            alarms.clear(self)
        elif self._timer is not None:
            if self._timer.active():
                self._timer.cancel()
            self._timer = None

    def _finish(self, answer: Answer[Record]) -> None:
        """End without a server's word."""
        self._close()
        if not self._over:
            self._over = True
            self.finished(answer, None, 0, self._upstreams.clock.seconds())

    def _close(self) -> None:
        alarms = self._alarms
        if alarms is not None:
            self._alarms = None
            alarms.clear(self)
        elif self._timer is not None:
            self._rest()
        for attempt in self._tries:
            exchange = attempt.exchange
            if exchange is not None:
                attempt.exchange = None
                exchange.leave(attempt.number)
        # Without the references back, what is over is freed at once and not by the cycle collector.
        self._tries = ()
