"""One look-up on its way: which server is asked when, until one tells or time is up."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mailbase.dns.answers import Answer, Record, Temporary, TimedOut
from mailbase.dns.exchange import Exchange, Heard, Lost
from mailbase.dns.metrics import DnsMetrics
from mailbase.dns.upstreams import Upstream, Upstreams
from mailbase.dns.wire import CODES, FORMERR, NOTIMP, Broken, Failed, Foreign, Question, Settled, Truncated

MAX_TRIES = 10
"""Packets of one look-up."""
MAX_FOREIGN = 8
"""Forged or late packets on one socket until we rather ask over TCP (RFC 5452 9.2)."""

NO_SERVER = "no DNS server answers"


@dataclass(slots=True, eq=False)
class _Try:
    server: Upstream
    number: int
    sent: float
    edns: bool = True
    tcp: bool = False
    foreign: int = 0
    late: bool = False
    exchange: Exchange | None = None


class Lookup:
    """Asks the servers in turn: the next one when one is silent for a try's time, cannot tell, or is gone.

    An earlier try goes on listening, so that a slow answer is not lost by asking again. A server that cannot
    tell (SERVFAIL and the like) is not asked again.

    Arguments:
        question: what is asked.
        upstreams: who can be asked; its clock and network are ours too.
        metrics: counts packets.
        end: clock seconds at which it ends, answered or not.
        done: called once with the answer, the seconds that it holds as the server says (None: it does not),
            and the octets of the packet; 0 for what is no server's word.
    """

    __slots__ = (
        "_done",
        "_failed",
        "_metrics",
        "_problem",
        "_timer",
        "_tries",
        "_upstreams",
        "end",
        "question",
    )

    def __init__(
        self,
        question: Question,
        upstreams: Upstreams,
        metrics: DnsMetrics,
        end: float,
        done: Callable[[Lookup, Answer[Record], float | None, int], None],
    ) -> None:
        self.question = question
        self.end = end
        self._upstreams = upstreams
        self._metrics = metrics
        self._done: Callable[[Lookup, Answer[Record], float | None, int], None] | None = done
        self._tries: list[_Try] = []
        self._failed: list[Upstream] = []
        self._problem = ""
        self._timer: Any = None

    def start(self) -> None:
        """Ask the first server. ``done`` may be called before this returns."""
        if not self._upstreams.usable():
            self._finish(Temporary(NO_SERVER))
        else:
            self._next()

    def cancel(self) -> None:
        """Give it up; ``done`` is not called any more."""
        self._close()

    def _next(self) -> None:
        """Ask the next server; without one wait for those that were asked, or end."""
        clock = self._upstreams.clock
        while True:
            now = clock.seconds()
            left = self.end - now
            if left <= 0:
                self._finish(TimedOut("no DNS server answered in time"))
                return
            server = self._choose() if len(self._tries) < MAX_TRIES else None
            if server is None:
                break
            if self._send(_Try(server, int.from_bytes(os.urandom(2)), now), self._upstreams.timeout):
                self._wait(min(left, self._upstreams.timeout))
                return
        listening = [attempt for attempt in self._tries if attempt.exchange is not None]
        if not listening:
            self._finish(Temporary(self._problem or NO_SERVER))
        elif all(attempt.server.down for attempt in listening):
            self._finish(TimedOut(NO_SERVER))
        else:
            # Those that were asked may be slow; they get the rest of the time.
            self._wait(min(left, self._upstreams.timeout))

    def _choose(self) -> Upstream | None:
        """Of the usable servers the one that was asked least."""
        tried = [attempt.server for attempt in self._tries]
        servers = [server for server in self._upstreams.usable() if server not in self._failed]
        return min(servers, key=tried.count, default=None)

    def _send(self, attempt: _Try, timeout: float) -> bool:
        """Whether it went out."""
        packet = self.question.packet(attempt.number, edns=attempt.edns)
        network, address = self._upstreams.network, attempt.server.address
        # Bound to the try, since several may be listening.
        heard: Heard = lambda data: self._heard(attempt, data)  # noqa: E731
        lost: Lost = lambda why: self._lost(attempt, why)  # noqa: E731
        if self._tries and not attempt.tcp:
            self._metrics.packets["repeated"] += 1
        self._tries.append(attempt)
        try:
            if attempt.tcp:
                attempt.exchange = network.stream(address, packet, heard, lost, timeout)
            else:
                attempt.exchange = network.datagram(address, packet, heard, lost)
        except OSError as error:
            # No descriptor left, no route: says nothing about the server.
            self._metrics.packets["unsent"] += 1
            self._fail(attempt, f"{address}: {error}")
            return False
        self._metrics.packets["sent"] += 1
        return True

    def _heard(self, attempt: _Try, packet: bytes) -> None:
        if attempt.exchange is None:
            return
        reading = self.question.read(packet, attempt.number)
        counts, server = self._metrics.packets, attempt.server
        if isinstance(reading, Foreign):
            counts["foreign"] += 1
            attempt.foreign += 1
            if attempt.tcp:
                self._lost(attempt, "an answer to another question")
            elif attempt.foreign >= MAX_FOREIGN:
                self._again(attempt, tcp=True, edns=attempt.edns)
            return
        self._upstreams.heard(server)
        match reading:
            case Settled(answer, ttl):
                self._finish(answer, ttl, len(packet))
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
        other = _Try(attempt.server, int.from_bytes(os.urandom(2)), now, edns, tcp)
        if tcp:
            self._metrics.packets["over-tcp"] += 1
        if len(self._tries) < MAX_TRIES and self._send(other, max(0.1, self.end - now)):
            self._wait(min(max(0.0, self.end - now), self._upstreams.timeout))
        else:
            self._fail(attempt, self._problem or f"{attempt.server.address}: too many tries")
            self._next()

    def _lost(self, attempt: _Try, why: str) -> None:
        """Nothing more comes of a try: nobody listens there, or the connection broke."""
        if attempt.exchange is not None:
            self._metrics.packets["unanswered"] += 1
            self._fail(attempt, f"{attempt.server.address}: {why}")
            self._upstreams.silent(attempt.server, attempt.sent)
            self._next()

    def _late(self) -> None:
        """Nothing came to the last try in its time."""
        last = self._tries[-1]
        if last.exchange is not None and not last.late:
            last.late = True
            self._metrics.packets["unanswered"] += 1
            if not last.tcp:
                # A connection may be slow for a large answer; it tells itself when it breaks.
                self._upstreams.silent(last.server, last.sent)
        self._next()

    def _fail(self, attempt: _Try, problem: str) -> None:
        self._release(attempt)
        self._failed.append(attempt.server)
        self._problem = problem

    def _release(self, attempt: _Try) -> None:
        exchange, attempt.exchange = attempt.exchange, None
        if exchange is not None:
            exchange.close()

    def _wait(self, seconds: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.reset(seconds)
        else:
            self._timer = self._upstreams.clock.callLater(seconds, self._late)

    def _finish(self, answer: Answer[Record], ttl: float | None = None, octets: int = 0) -> None:
        self._close()
        done, self._done = self._done, None
        # Without the reference back, what is over is freed at once and not by the cycle collector.
        if done is not None:
            done(self, answer, ttl, octets)

    def _close(self) -> None:
        for attempt in self._tries:
            self._release(attempt)
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
