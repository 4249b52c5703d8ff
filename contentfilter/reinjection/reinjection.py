"""The way back to Postfix: a transaction on the reinjection port for each mail, begun after the verdict.

The end of data leaves us in time or not at all, and never for bytes other than those that came in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IConnector
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure

from contentfilter.metering import NoMeter, ProxyMeter
from contentfilter.reinjection.idle import IdleConnections
from contentfilter.smtp.client import (
    ClientAction,
    ClientEngine,
    Finished,
    Job,
    Offered,
    Outcome,
    Result,
    SendContent,
    Stale,
    Write,
)
from contentfilter.smtp.offer import Offer
from contentfilter.spool.seal import Seal
from contentfilter.spool.spool import Spool
from mailbase.config.places import Tcp, Unix, parse_place
from mailbase.logs import Log
from mailbase.prompt import Prompt

FINAL_REPLY = 300.0
"""Seconds for the answer to the end of data. Our client may have given up by then, but the log should tell
what became of the mail."""
GOODBYE = 5.0
"""Seconds for the answer to QUIT; the server closes first, so that no port of ours lingers in TIME_WAIT."""
PROBE = 20.0
"""Seconds for one question for extensions."""
REFRESH = 60.0
"""Seconds between two questions while all is well."""
RETRY = 1.0
"""Seconds until the next question after a failure, doubled up to ``MAX_RETRY``."""
MAX_RETRY = 15.0
COMBINED = 256 * 1024
"""Content up to this size goes out in one write with its end: an idle socket takes it at once."""
REPLY_READ = 4 * 1024
"""Octets read at once: room for some replies."""
LAST = 64 * 1024
"""What waits for the kernel is given the end only if it is no more than this, so that the clock is looked at
when hardly anything stands before it."""

END = b".\r\n"
_HEADER = re.compile(rb"(?:[!-9;-~]+:[\t\x20-\x7e]*\r\n(?:[\t ][\t\x20-\x7e]*\r\n)*)+")
"""Header lines (RFC 5322 2.2), folded or not."""


class Delivery(Protocol):
    """One use of a connection to the reinjection port: a delivery, or a question for extensions.

    Arguments:
        port: whose connection.
        job: what to deliver; None only asks.
        header: our header lines.
        spool: the message; open until ``outcome`` fires.
        not_after: clock seconds after which the end of data must not go out.

    Attributes:
        outcome: fires once with an :class:`~contentfilter.smtp.client.Outcome`; never fails.
    """

    transport: Any

    def __init__(
        self, port: ReinjectionPort, job: Job | None, header: bytes, spool: Spool | None, not_after: float
    ) -> None:
        self.outcome: Deferred[Outcome] = Deferred()
        self._port = port
        self._reactor = port.reactor
        self._job = job
        self._engine = ClientEngine(port.hello, job)
        self._opened = 0.0
        self._header = header
        self._spool = spool
        self._not_after = not_after
        self._chunks: Iterator[bytes] = iter(())
        self._seal = Seal()
        self._left = 0
        self._prompt: Prompt
        self._rest = b""
        """What the kernel did not take at once, of content that went out with its end."""
        self._producing = False
        self._end_written = False
        self._end_flushed = False
        self._over = False
        self._connector: IConnector | None = None
        self._timer = self._reactor.callLater(max(0.0, not_after - self._reactor.seconds()), self._timed_out)

    def begin(self) -> None:
        """Use a connection that waits, or open one."""
        idle = self._port.idle.take(self._job.needs) if self._job is not None else None
        if idle is None:
            self.connect()
            return
        self._opened = idle.opened
        self.transport = idle.leave()
        self.transport.protocol = self
        self._prompt = Prompt(self.transport)
        self._perform(self._engine.resume(idle.offer))

    def connect(self) -> None:
        """Open the connection."""
        factory = _Factory(self)
        # The deadline above covers connecting too.
        timeout = max(1.0, self._not_after - self._reactor.seconds() + 1.0)
        try:
            match self._port.place:
                case Tcp(host=host, port=number):
                    self._connector = self._reactor.connectTCP(host, number, factory, timeout=timeout)
                case Unix(path=path):
                    self._connector = self._reactor.connectUNIX(path, factory, timeout=timeout)
        except OSError as error:
            # No descriptor is left; for TCP Twisted reports that as a failed connection.
            self._perform(self._engine.fail(f"cannot connect: {error.strerror}"))

    def abandon(self) -> None:
        """Nobody waits for the outcome: stop, unless the end of data has gone out."""
        if not self._end_flushed:
            self._perform(self._engine.fail("client gone", Result.ABANDONED))

    def connectionMade(self) -> None:
        self._opened = self._reactor.seconds()
        self.transport.bufferSize = REPLY_READ
        self._prompt = Prompt(self.transport)
        if self._over:
            self.transport.abortConnection()
        elif isinstance(self._port.place, Tcp):
            self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        if self._over:
            # The answer to QUIT.
            self.transport.loseConnection()
            return
        self._perform(self._engine.receive(data))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._perform(self._engine.lost(f"connection lost: {reason.getErrorMessage()}"))
        if self._over:
            self._stop_timer()

    def connection_failed(self, reason: Failure) -> None:
        """The connection could not be made."""
        self._perform(self._engine.fail(f"cannot connect: {reason.getErrorMessage()}"))
        self._stop_timer()

    # Pull producer: the transport asks for more each time its buffer is empty.

    def resumeProducing(self) -> None:
        if self._over:
            return
        if self._rest:
            self._write_rest()
        elif self._end_written:
            self._flushed()
        else:
            self._produce()

    def _produce(self) -> None:
        try:
            chunk = next(self._chunks, b"") if self._left else b""
        except (OSError, ValueError) as error:
            self._perform(self._engine.fail(f"cannot read the spool: {error}"))
            return
        self._seal.update(chunk)
        self._left -= len(chunk)
        pieces, self._header = [self._header, chunk], b""
        if self._left > 0 or (self._producing and len(chunk) > LAST):
            self.transport.writeSequence(pieces)
        else:
            self._write_end(pieces)

    def stopProducing(self) -> None:
        """The transport is gone; ``connectionLost`` follows."""

    def _start_content(self) -> None:
        if self._spool is None:
            raise RuntimeError("nothing to send")
        self._left = self._spool.wire_size
        self._chunks = self._spool.chunks()
        if len(self._header) + self._left > COMBINED:
            self._begin_producing()
        else:
            self._produce()

    def _begin_producing(self) -> None:
        self._producing = True
        self.transport.registerProducer(self, False)

    def _write_end(self, pieces: list[bytes]) -> None:
        """Write ``pieces``, the last of the content, and the end of data, if it is right and in time."""
        same = self._spool is not None and self._seal.digest == self._spool.digest
        self._port.meter.compared(same)
        if not same:
            self._perform(self._engine.fail("spooled bytes differ from received bytes", Result.MISMATCH))
        elif self._reactor.seconds() >= self._not_after:
            self._timed_out()
        else:
            self._end_written = True
            if self._producing:
                self.transport.writeSequence([*pieces, END])
                return
            self._rest = self._prompt.send(b"".join([*pieces, END]))
            if self._rest:
                self._begin_producing()
            else:
                self._flushed()

    def _write_rest(self) -> None:
        """Write what the kernel did not take, if there still is time: it ends with the end of data."""
        if self._reactor.seconds() >= self._not_after:
            self._timed_out()
            return
        rest, self._rest = self._rest, b""
        if len(rest) > LAST:
            rest, self._rest = rest[: -len(END)], END
        self.transport.write(rest)

    def _flushed(self) -> None:
        """The end of data has left our buffer: from now on the mail may be delivered."""
        self._end_flushed = True
        if self._producing:
            self.transport.unregisterProducer()
        self._engine.content_sent()
        self._restart_timer(FINAL_REPLY)

    def _perform(self, actions: list[ClientAction]) -> None:
        for action in actions:
            match action:
                case Write(data=data):
                    self._prompt.write(data)
                case SendContent():
                    self._start_content()
                case Offered(offer=offer):
                    self._port.learn(offer)
                case Finished(outcome=outcome, polite=polite):
                    self._finish(outcome, polite)
                case Stale():
                    self._begin_anew()

    def _begin_anew(self) -> None:
        """The connection was given up by the server while it waited."""
        transport, self.transport = self.transport, None
        # What is still to come from it is nobody's business.
        transport.protocol = Protocol()
        transport.abortConnection()
        self._engine = ClientEngine(self._port.hello, self._job)
        self.connect()

    def _finish(self, outcome: Outcome, polite: bool) -> None:
        self._over = True
        if (
            outcome.result is Result.DELIVERED
            and self._job is not None
            and self._port.idle.keep(self.transport, self._engine.offer, self._opened)
        ):
            self._stop_timer()
        elif polite:
            self.transport.write(b"QUIT\r\n")
            self._restart_timer(GOODBYE)
        else:
            self._stop_timer()
            self._cut()
        self.outcome.callback(outcome)

    def _cut(self) -> None:
        """End the connection at once; what stands in its buffer does not go out."""
        if self.transport is not None:
            self.transport.abortConnection()
        elif self._connector is not None:
            self._connector.disconnect()

    def _timed_out(self) -> None:
        if self._over:
            self._cut()
            return
        late = self._engine.stage in ("content", "final")
        self._perform(self._engine.fail("timed out", Result.LATE if late else Result.FAILED))

    def _restart_timer(self, seconds: float) -> None:
        if self._timer.active():
            self._timer.reset(seconds)
        else:
            self._timer = self._reactor.callLater(seconds, self._timed_out)

    def _stop_timer(self) -> None:
        if self._timer.active():
            self._timer.cancel()


class _Factory(ClientFactory):
    noisy = False

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def buildProtocol(self, addr: IAddress | None) -> Delivery:
        return self._delivery

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        self._delivery.connection_failed(reason)


class ReinjectionPort:
    """Postfix's port behind us, and what it offers.

    Arguments:
        reactor: Twisted's.
        address: ``host:port``, ``[v6]:port`` or ``unix:/path``.
        hello: our name for EHLO, see :func:`contentfilter.session.server.filter_name`.
        log: for its becoming unreachable and reachable.
        meter: counts probes and mismatches.

    Attributes:
        offer: the extensions it last announced.
        ready: whether it ever announced any. Until then no mail is taken: a client that is not
            offered 8BITMIME would convert its mail, and bounce one that needs SMTPUTF8.
    """

    def __init__(
        self, reactor: Any, address: str, hello: str, log: Log, meter: ProxyMeter | None = None
    ) -> None:
        self.reactor = reactor
        self.address = address
        self.place = parse_place(address)
        self.hello = hello
        self.meter: ProxyMeter = meter if meter is not None else NoMeter()
        self.offer = Offer()
        self.ready = False
        self.idle = IdleConnections(reactor)
        self._log = log
        self._reachable: bool | None = None
        self._wait = REFRESH
        self._timer: Any = None
        self._probe: Delivery | None = None
        self._stopped = False

    def deliver(self, job: Job, header: bytes, spool: Spool, not_after: float) -> Delivery:
        """Start handing a mail over.

        Arguments:
            header: our header lines, each with CRLF.
            spool: stays open until the outcome fires.
            not_after: clock seconds; the end of data goes out before, or not at all.

        Raises:
            ValueError: ``header`` is not made of whole lines, or one of them could end the data.
        """
        if header and not _HEADER.fullmatch(header):
            raise ValueError("header lines must be printable and end with CRLF")
        delivery = Delivery(self, job, header, spool, not_after)
        delivery.begin()
        return delivery

    def start(self) -> Deferred[Outcome]:
        """Ask for the extensions now and from time to time; fires when the first answer is there, or none."""
        return self._ask()

    def stop(self) -> None:
        """Ask no more, and let no connection wait."""
        self._stopped = True
        self.idle.close()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._probe is not None:
            self._probe.abandon()

    def learn(self, offer: Offer) -> None:
        """The port has announced ``offer``."""
        if offer != self.offer:
            self._log.info("reinjection-offer", port=self.address, offer=" ".join(sorted(offer.keywords)))
        self.offer = offer
        self.ready = True

    def _ask(self) -> Deferred[Outcome]:
        self._probe = Delivery(self, None, b"", None, self.reactor.seconds() + PROBE)
        answer = self._probe.outcome.addCallback(self._answered)
        self._probe.connect()
        return answer

    def _answered(self, outcome: Outcome) -> Outcome:
        self._probe = None
        reachable = outcome.result is Result.DELIVERED
        self.meter.probed(reachable)
        if self._stopped:
            return outcome
        if reachable != self._reachable:
            self._reachable = reachable
            if reachable:
                self._log.info("reinjection-port-answers", port=self.address)
            else:
                self._log.error("reinjection-port-fails", port=self.address, detail=outcome.detail)
        self._wait = (
            REFRESH if reachable else RETRY if self._wait == REFRESH else min(2 * self._wait, MAX_RETRY)
        )
        self._timer = self.reactor.callLater(self._wait, self._ask)
        return outcome
