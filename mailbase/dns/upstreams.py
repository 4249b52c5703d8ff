"""The DNS servers that we ask, and which of them answer.

A server that was silent to a question is suspected if it has said nothing at all since that question went
out: a name whose own servers are dead, or a lost packet, says nothing about a server that answers others. A
suspected server stands behind the others and gets a probe; if that stays without answer too, the server is
down and nobody waits for it. It is probed on, ever less often, until it answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mailbase.alarms import Alarms
from mailbase.dns.answers import RecordType
from mailbase.dns.exchange import Address, Exchange, Network
from mailbase.dns.numbers import draw
from mailbase.dns.wire import Foreign, Question

FIRST_PROBE = 0.5
"""Seconds from a probe without answer to the next one; doubles each time."""
LAST_PROBE = 10.0
"""Seconds between probes at most."""

_ROOT = Question("", RecordType.NS)


class Upstream:
    """One server.

    Arguments:
        address: where it listens.
    """

    __slots__ = ("address", "down", "heard_at", "interval", "probing", "suspected")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.heard_at = float("-inf")
        """Clock seconds of the last answer to any question."""
        self.suspected = False
        self.down = False
        self.probing: _Probe | None = None
        self.interval = FIRST_PROBE


class Upstreams:
    """Arguments:
    clock: Twisted's IReactorTime.
    network: carries the probes.
    addresses: of the servers, the preferred one first.
    timeout: seconds until a probe counts as unanswered.
    changed: called with a server whose ``down`` has changed.
    """

    def __init__(
        self,
        clock: Any,
        network: Network,
        addresses: Sequence[Address],
        timeout: float,
        changed: Callable[[Upstream], None] = lambda server: None,
    ) -> None:
        self.servers = [Upstream(address) for address in dict.fromkeys(addresses)]
        self.timeout = timeout
        self.changed = changed
        self.clock = clock
        self.network = network
        self.alarms = Alarms(clock)
        """Of look-ups that wait for a try's time."""
        self._stopped = False
        self.good = list(self.servers)
        """Those worth asking, in the order in which to ask them; not to be changed."""

    def heard(self, server: Upstream, now: float) -> None:
        """An answer to one of our questions came from ``server``, whatever it says.

        Arguments:
            now: clock seconds.
        """
        server.heard_at = now
        if server.suspected:
            server.suspected = False
            server.interval = FIRST_PROBE
            was_down, server.down = server.down, False
            if server.probing is not None:
                server.probing.end()
                server.probing = None
            self._sort()
            if was_down:
                self.changed(server)

    def silent(self, server: Upstream, since: float) -> None:
        """No answer came to a question that went out at ``since`` (clock seconds)."""
        if server.heard_at < since and not server.suspected and not self._stopped:
            server.suspected = True
            self._sort()
            server.probing = _Probe(self, server)

    def unanswered(self, server: Upstream) -> None:
        """A probe came to nothing."""
        if not server.down:
            server.down = True
            self._sort()
            self.changed(server)

    def stop(self) -> None:
        """End all probes."""
        self._stopped = True
        for server in self.servers:
            if server.probing is not None:
                server.probing.end()
                server.probing = None

    def _sort(self) -> None:
        up = (server for server in self.servers if not server.down)
        self.good = sorted(up, key=lambda server: server.suspected)


class _Probe:
    """Asks one server for the root's servers, again and again."""

    def __init__(self, upstreams: Upstreams, server: Upstream) -> None:
        self._upstreams = upstreams
        self._server = server
        self._exchange: Exchange | None = None
        self._number = b""
        self._timer = upstreams.clock.callLater(0, self._ask)

    def end(self) -> None:
        self._close()
        if self._timer.active():
            self._timer.cancel()

    def _ask(self) -> None:
        upstreams = self._upstreams
        self._number = draw()
        self._timer = upstreams.clock.callLater(upstreams.timeout, self._fail)
        try:
            self._exchange = upstreams.network.datagram(
                self._server.address, _ROOT.packet(self._number), self
            )
        except OSError:
            self._fail()

    def heard(self, packet: bytes) -> None:
        """See :class:`mailbase.dns.exchange.Listener`."""
        if not isinstance(_ROOT.read(packet, self._number), Foreign):
            self._upstreams.heard(self._server, self._upstreams.clock.seconds())

    def lost(self, why: str) -> None:
        """See :class:`mailbase.dns.exchange.Listener`."""
        self._exchange = None
        self._fail()

    def unsent(self, why: str) -> None:
        """See :class:`mailbase.dns.exchange.Listener`."""
        self._fail()

    def _fail(self) -> None:
        self._close()
        if self._timer.active():
            self._timer.cancel()
        server = self._server
        # The next one stands before anybody hears of it, who may end it.
        self._timer = self._upstreams.clock.callLater(server.interval, self._ask)
        server.interval = min(2 * server.interval, LAST_PROBE)
        self._upstreams.unanswered(server)

    def _close(self) -> None:
        if self._exchange is not None:
            self._exchange.leave(self._number)
            self._exchange = None
