"""A reinjection port on a reactor in memory, and mail for it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock

from contentfilter.metering import NoMeter
from contentfilter.reinjection.reinjection import Delivery, ReinjectionPort
from contentfilter.session.envelope import Envelope
from contentfilter.session.envelope import Path as Mailbox
from contentfilter.smtp.client import Job, Outcome
from contentfilter.spool.spool import Spool
from mailbase.logs import Log

from ..proxied import Line

EHLO = b"250-back\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE\r\n"
HEADER = b"X-Ours: y\r\n"


class Meter(NoMeter):
    def __init__(self) -> None:
        self.mismatches = 0
        self.compared_bodies = 0
        self.probes: list[bool] = []

    def compared(self, same: bool) -> None:
        self.compared_bodies += 1
        self.mismatches += not same

    def probed(self, ready: bool) -> None:
        self.probes.append(ready)


class Rig:
    """A reinjection port on a reactor of memory."""

    def __init__(self, address: str = "127.0.0.1:10025") -> None:
        self.reactor = MemoryReactorClock()
        self.stream = io.StringIO()
        self.meter = Meter()
        log = Log("test", stream=self.stream)
        self.port = ReinjectionPort(self.reactor, address, "filter.example", log, self.meter)
        self.outcomes: list[Outcome] = []
        self.delivery: Delivery
        self.line = Line()

    def deliver(self, spool: Spool, header: bytes = HEADER, within: float = 75.0, lmtp: bool = False) -> Rig:
        envelope = Envelope(Mailbox("a@x", b"<a@x>"), recipients=[Mailbox("b@y", b"<b@y>")], lmtp=lmtp)
        self.delivery = self.port.deliver(Job(envelope), header, spool, self.reactor.seconds() + within)
        self.delivery.outcome.addCallback(self.outcomes.append)
        return self

    def connect(self, line: Line | None = None) -> Rig:
        factory = self.reactor.tcpClients[-1][2]
        self.line = line or Line()
        factory.buildProtocol(None).makeConnection(self.line)
        return self

    def say(self, *replies: bytes) -> Rig:
        for reply in replies:
            self.protocol.dataReceived(reply)
        return self

    def to_content(self, line: Line | None = None) -> Rig:
        return self.connect(line).say(b"220 hi\r\n", EHLO, b"250 ok\r\n250 ok\r\n", b"354 go\r\n")

    @property
    def protocol(self) -> Any:
        return self.reactor.tcpClients[-1][2].buildProtocol(None)

    @property
    def sent(self) -> bytes:
        return self.line.value()

    @property
    def content(self) -> bytes:
        """What was sent after DATA."""
        return self.sent.partition(b"DATA\r\n")[2]

    @property
    def outcome(self) -> Outcome:
        (outcome,) = self.outcomes
        return outcome

    def idle(self) -> bool:
        """No timer is left."""
        return not self.reactor.getDelayedCalls()


def spooled(folder: Path, data: bytes, memory: int = 1 << 20) -> Spool:
    spool = Spool(folder, memory)
    spool.write(data)
    return spool
