"""A listener for SMTP or LMTP in memory: its clients, its inspector and the port behind it are the test's."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from contentfilter.disposition.disposition import Deliver, Disposition
from contentfilter.metering import NoMeter, Stage
from contentfilter.reinjection.reinjection import ReinjectionPort
from contentfilter.session.envelope import Envelope
from contentfilter.session.intake import Intake, Shortage
from contentfilter.session.server import ProxyFactory, Shared
from contentfilter.session.steps import End
from contentfilter.spool.spool import Spool
from mailbase.config import ContentfilterSettings, ListenerSettings, SpoolSettings
from mailbase.config.contentfilter import WorkerSettings
from mailbase.logs import Log
from mailbase.replies import Reply

EHLO = b"250-back\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE\r\n250 XFORWARD NAME ADDR HELO\r\n"
HELLO = b"EHLO c.example\r\n"
ENVELOPE = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"
MESSAGE = ENVELOPE + b"DATA\r\nSubject: x\r\n\r\nHi\r\n.\r\n"
NO = Reply(554, "5.7.1", "Macros [abc]")


class Line(StringTransport):
    """A transport that asks a pull producer for more as soon as it has written, and writes when told to."""

    stalled = False
    """Whether the peer takes nothing."""
    no_delay = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        super().registerProducer(producer, streaming)
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        self.producer = None

    def flush(self) -> None:
        """The peer takes what is written, again and again until nothing more comes."""
        while self.producer is not None and not (self.streaming or self.stalled or self.disconnecting):
            before = len(self.value())
            self.producer.resumeProducing()
            if len(self.value()) == before:
                break

    def take(self) -> bytes:
        """What was written since the last call."""
        data = self.value()
        self.clear()
        return data


class Inspector:
    """Answers at once, or when told to."""

    def __init__(self) -> None:
        self.disposition: Disposition | Exception | Deferred[Disposition] = Deliver(b"X-Ours: y\r\n")
        self.seen: list[tuple[Envelope, bytes, float]] = []

    async def inspect(
        self, envelope: Envelope, spool: Spool, listener: ListenerSettings, deadline: float
    ) -> tuple[str, Disposition]:
        self.seen.append((envelope, b"".join(spool.chunks()), deadline))
        answer = self.disposition
        if isinstance(answer, Deferred):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return "id1", answer


class Meter(NoMeter):
    def __init__(self) -> None:
        self.open = 0
        self.away = 0
        self.ends: list[End] = []
        self.lasted: list[float] = []
        self.stages: dict[str, float] = {}
        self.shortages: list[Shortage] = []

    def kept_out(self, shortage: Shortage) -> None:
        self.shortages.append(shortage)

    def connected(self, protocol: str) -> None:
        self.open += 1

    def disconnected(self, protocol: str) -> None:
        self.open -= 1

    def turned_away(self, protocol: str) -> None:
        self.away += 1

    def ended(self, protocol: str, end: End, size: int, seconds: float) -> None:
        self.ends.append(end)
        self.lasted.append(seconds)

    def took(self, stage: Stage, seconds: float) -> None:
        self.stages[stage] = seconds


class Rig:
    def __init__(
        self, folder: Path, protocol: str = "smtp", ready: bool = True, connections: int = 5, **settings: Any
    ) -> None:
        self.reactor = MemoryReactorClock()
        self.stream = io.StringIO()
        self.inspector = Inspector()
        self.meter = Meter()
        self.waiting = 0
        self.intake = Intake(lambda: self.waiting, WorkerSettings(backlog=3), 100_000, self.meter)
        log = Log("test", stream=self.stream)
        listener = ListenerSettings(listen="127.0.0.1:10024", protocol=protocol, reinject="127.0.0.1:10025")
        content = ContentfilterSettings(
            listeners=(listener,), spool=SpoolSettings(folder=folder, memory=1000), **settings
        )
        self.port = ReinjectionPort(self.reactor, listener.reinject, "filter.mx.example", log)
        self.factory = ProxyFactory(
            self.reactor,
            content,
            listener,
            "mx.example",
            self.port,
            Shared(self.inspector, self.intake, log, self.meter, max_connections=connections),
        )
        if ready:
            self.port.start()
            self.back().say(b"220 hi\r\n", EHLO, b"221 bye\r\n").lose()
            self.port.stop()

    def client(self) -> Client:
        return Client(self)

    def back(self) -> Back:
        """The latest connection to the reinjection port, accepted."""
        return Back(self)

    def settle(self, final: bytes = b"250 2.0.0 queued\r\n") -> Back:
        """A delivery that goes well up to the last reply."""
        back = self.back().say(b"220 hi\r\n", EHLO, b"250 ok\r\n250 ok\r\n", b"354 go\r\n")
        back.line.flush()
        back.say(final)
        if not back.line.disconnecting:
            back.say(b"221 bye\r\n")
        back.lose()
        return back

    @property
    def deliveries(self) -> int:
        return len(self.reactor.tcpClients) - 1

    @property
    def log(self) -> str:
        return self.stream.getvalue()


class Back:
    def __init__(self, rig: Rig) -> None:
        self.protocol = rig.reactor.tcpClients[-1][2].buildProtocol(None)
        self.line = Line()
        self.protocol.makeConnection(self.line)

    def say(self, *replies: bytes) -> Back:
        for reply in replies:
            self.protocol.dataReceived(reply)
        return self

    def lose(self) -> Back:
        self.protocol.connectionLost(Failure(ConnectionDone()))
        return self


class Client:
    def __init__(self, rig: Rig) -> None:
        self.line = Line()
        self.protocol = rig.factory.buildProtocol(None)
        self.protocol.makeConnection(self.line)

    def say(self, *pieces: bytes) -> bytes:
        """Send; returns the replies."""
        for piece in pieces:
            self.protocol.dataReceived(piece)
        return self.line.take()

    def lose(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


def codes(replies: bytes) -> list[int]:
    return [int(line[:3]) for line in replies.split(b"\r\n") if line and line[3:4] != b"-"]
