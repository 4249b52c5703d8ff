"""The Twisted edge: a client, an inspector and a back end around the session, on a reactor of memory."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from contentfilter import connection, served
from contentfilter.disposition import Answer, Deliver, Disposition
from contentfilter.envelope import Envelope
from contentfilter.intake import Intake, Shortage
from contentfilter.metering import NoMeter, Stage
from contentfilter.reinjection import ReinjectionPort
from contentfilter.server import ProxyFactory, Shared, filter_name
from contentfilter.spool import Spool
from contentfilter.steps import End
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
    """A transport that asks a pull producer for more as soon as it has written."""

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
        while self.producer is not None and not self.streaming and not self.disconnecting:
            self.producer.resumeProducing()

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


def test_server_carries_a_mail(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    assert client.line.no_delay
    assert client.say(HELLO + b"XFORWARD NAME=n ADDR=192.0.2.9\r\n").startswith(
        b"220 filter.mx.example ESMTP\r\n250-"
    )
    assert codes(client.say(MESSAGE)) == [250, 250, 354]
    back = rig.back().say(b"220 hi\r\n", EHLO, b"250 ok\r\n" * 3, b"354 go\r\n")
    back.line.flush()
    rig.reactor.advance(2)
    back.say(b"250-2.0.0 Ok\r\n250 2.0.0 queued as 4711\r\n", b"221 bye\r\n").lose()
    assert rig.meter.stages == {"receive": 0, "reinjection": 2}
    assert "seconds_receive=0 seconds_reinjection=2" in rig.log
    assert b"\r\nXFORWARD NAME=n ADDR=192.0.2.9\r\nMAIL FROM:" in back.line.value()
    assert client.line.take() == b"250-2.0.0 Ok\r\n250 2.0.0 queued as 4711\r\n"
    ((envelope, wire, deadline),) = rig.inspector.seen
    assert envelope.client.address == "192.0.2.9"
    assert wire == b"Subject: x\r\n\r\nHi\r\n"
    assert deadline == 75.0
    assert rig.meter.ends == [End.DELIVERED]
    assert "event=mail" in rig.log
    assert "id=id1" in rig.log
    assert client.say(b"QUIT\r\n") == b"221 2.0.0 Bye\r\n"
    assert client.line.disconnecting
    client.lose()
    assert rig.meter.open == 0
    assert not rig.reactor.getDelayedCalls()


def test_server_back_end_gets_header_then_the_message_as_it_came(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say(HELLO + MESSAGE)
    back = rig.settle()
    assert back.line.value() == (
        b"EHLO filter.mx.example\r\n" + ENVELOPE + b"DATA\r\n"
        b"X-Ours: y\r\nSubject: x\r\n\r\nHi\r\n.\r\nQUIT\r\n"
    )


def test_server_every_split_gives_the_same(tmp_path: Path) -> None:
    wire = HELLO + MESSAGE + b"MAIL FROM:<next@x.example>\r\n"
    for i in [*range(1, len(wire)), None]:
        rig = Rig(tmp_path)
        client = rig.client()
        pieces = [wire[j : j + 1] for j in range(len(wire))] if i is None else [wire[:i], wire[i:]]
        replies = client.say(*pieces)
        assert codes(replies) == [220, 250, 250, 250, 354]
        back = rig.settle()
        assert b"X-Ours: y\r\nSubject: x\r\n\r\nHi\r\n.\r\n" in back.line.value()
        assert codes(client.line.take()) == [250, 250]


def test_server_opens_the_reinjection_port_only_after_the_verdict(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    verdict: Deferred[Disposition] = Deferred()
    rig.inspector.disposition = verdict
    client.say(HELLO + MESSAGE)
    assert rig.deliveries == 0
    verdict.callback(Deliver())
    assert rig.deliveries == 1


def test_server_refusal_needs_no_reinjection_port(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    rig.inspector.disposition = Answer(NO)
    replies = client.say(HELLO + MESSAGE + MESSAGE)
    assert replies.count(b"554 5.7.1 Macros [abc]\r\n") == 2
    assert rig.deliveries == 0
    assert rig.meter.ends == [End.ANSWERED] * 2


def test_server_inspector_that_raises_is_451(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    rig.inspector.disposition = RuntimeError("boom\nboom")
    assert codes(client.say(HELLO + MESSAGE))[-1] == 451
    assert rig.meter.ends == [End.INSPECTION_FAILED]
    assert "inspection-failed" in rig.log
    assert "Traceback" in rig.log
    assert rig.deliveries == 0


def test_server_inspector_in_no_hurry_is_cut_off(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    cancelled: list[bool] = []
    verdict: Deferred[Disposition] = Deferred(lambda _: cancelled.append(True))
    rig.inspector.disposition = verdict
    client.say(HELLO + MESSAGE)
    rig.reactor.advance(74.9)
    assert client.line.take() == b""
    rig.reactor.advance(0.1)
    assert codes(client.line.take()) == [451]
    assert cancelled == [True]
    assert rig.meter.ends == [End.INSPECTION_FAILED]
    assert codes(client.say(b"NOOP\r\n")) == [250]


def test_server_canceller_that_raises_keeps_nobody_waiting(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()

    def broken(_: Deferred[Disposition]) -> None:
        raise RuntimeError("no")

    rig.inspector.disposition = Deferred(broken)
    client.say(HELLO + MESSAGE)
    rig.reactor.advance(75)
    assert codes(client.line.take()) == [451]
    assert "inspection-not-cancelled" in rig.log


def test_server_verdict_counts_only_for_its_own_mail(tmp_path: Path) -> None:
    """An inspector that survives its cancellation must not answer the next mail."""
    rig = Rig(tmp_path)
    client = rig.client()
    stubborn: Deferred[Disposition] = Deferred()

    async def inspect(*_: object) -> tuple[str, Disposition]:
        try:
            await Deferred()
        except CancelledError:
            return "late", await stubborn
        raise AssertionError

    rig.inspector.inspect = inspect  # type: ignore[method-assign]
    client.say(HELLO + MESSAGE)
    rig.reactor.advance(75)
    assert codes(client.line.take()) == [451]
    client.say(MESSAGE)
    client.line.take()
    stubborn.callback(Deliver())
    assert rig.deliveries == 0
    assert client.line.take() == b""
    assert rig.meter.ends == [End.INSPECTION_FAILED]


def test_server_time_for_the_end_of_data_counts_from_the_clients(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    verdict: Deferred[Disposition] = Deferred()
    rig.inspector.disposition = verdict
    client.say(HELLO + MESSAGE)
    rig.reactor.advance(70)
    verdict.callback(Deliver())
    back = rig.back().say(b"220 hi\r\n", EHLO, b"250 ok\r\n250 ok\r\n")
    rig.reactor.advance(5)
    assert codes(client.line.take()) == [451]
    assert back.line.disconnected
    back.say(b"354 go\r\n")
    assert not back.line.value().endswith(b".\r\n")


@pytest.mark.parametrize("cut", range(len(HELLO + MESSAGE)))
def test_server_client_gone_before_the_end_leaves_nothing(tmp_path: Path, cut: int) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say((HELLO + MESSAGE)[:cut])
    client.lose()
    assert rig.inspector.seen == []
    assert rig.deliveries == 0
    assert rig.meter.open == 0
    assert not rig.reactor.getDelayedCalls()


def test_server_client_gone_while_inspecting(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    verdict: Deferred[Disposition] = Deferred()
    rig.inspector.disposition = verdict
    client.say(HELLO + MESSAGE)
    client.lose()
    assert verdict.called
    assert rig.deliveries == 0
    assert rig.meter.ends == [End.CLIENT_GONE]
    assert rig.meter.open == 0
    assert not rig.reactor.getDelayedCalls()


def test_server_client_gone_while_delivering_before_the_end_of_data(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say(HELLO + MESSAGE)
    back = rig.back().say(b"220 hi\r\n", EHLO, b"250 ok\r\n250 ok\r\n")
    client.lose()
    assert back.line.disconnected
    assert b".\r\n" not in back.line.value().partition(b"DATA")[2]
    assert rig.meter.ends == [End.CLIENT_GONE]
    assert rig.meter.open == 0


def test_server_client_gone_after_the_end_of_data_lets_it_end(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say(HELLO + MESSAGE)
    back = rig.back().say(b"220 hi\r\n", EHLO, b"250 ok\r\n250 ok\r\n", b"354 go\r\n")
    back.line.flush()
    client.lose()
    assert not back.line.disconnecting
    assert rig.meter.open == 1
    back.say(b"250 queued\r\n")
    assert rig.meter.ends == [End.DELIVERED]
    assert rig.meter.open == 0
    assert "reply=-" in rig.log


@pytest.mark.parametrize("count", range(5))
def test_server_back_end_gone_at_each_step_is_451(tmp_path: Path, count: int) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say(HELLO + MESSAGE)
    steps = [b"220 hi\r\n", EHLO, b"250 ok\r\n250 ok\r\n", b"354 go\r\n"]
    back = rig.back().say(*steps[:count])
    back.lose()
    assert codes(client.line.take()) == [451]
    assert codes(client.say(b"NOOP\r\n")) == [250]
    assert rig.meter.ends == [End.REINJECTION_FAILED]


def test_server_refused_recipient_is_told_in_the_back_ends_words(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say(HELLO + MESSAGE)
    back = rig.back().say(b"220 hi\r\n", EHLO, b"250 ok\r\n550-5.1.1 one\r\n550 5.1.1 two\r\n")
    back.say(b"554 5.5.1 no valid recipients\r\n")
    assert client.line.take() == b"550-5.1.1 one\r\n550 5.1.1 two\r\n"
    assert back.line.value().endswith(b"DATA\r\nQUIT\r\n")


def test_server_refused_recipient_gets_no_content_whatever_the_back_end_says(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say(HELLO + MESSAGE)
    back = rig.back().say(b"220 hi\r\n", EHLO, b"250 ok\r\n550 5.1.1 who\r\n354 go\r\n")
    assert client.line.take() == b"550 5.1.1 who\r\n"
    assert back.line.value().endswith(b"DATA\r\n")
    assert back.line.disconnected


def test_server_lmtp(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "lmtp")
    client = rig.client()
    hello = client.say(b"LHLO c\r\n")
    assert hello.startswith(b"220 filter.mx.example LMTP\r\n250-")
    message = MESSAGE.replace(b"DATA", b"RCPT TO:<c@y.example>\r\nDATA")
    assert codes(client.say(message)) == [250, 250, 250, 354]
    back = rig.back().say(b"220 hi\r\n", EHLO, b"250 ok\r\n550 5.1.1 no\r\n250 ok\r\n", b"354 go\r\n")
    back.line.flush()
    back.say(b"250 queued\r\n")
    assert client.line.take() == b"550 5.1.1 no\r\n250 queued\r\n"
    assert rig.inspector.seen[0][0].lmtp


def test_server_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say(HELLO + ENVELOPE + b"DATA\r\n")

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        assert client.say(b"a" * 998 + b"\r\n", b"b" * 998 + b"\r\n") == b""
    assert codes(client.say(b"c" * 998 + b"\r\n.\r\n")) == [452]
    assert rig.inspector.seen == []
    assert rig.meter.ends == [End.NO_SPACE]
    assert "spool-failed" in rig.log
    client.say(MESSAGE)
    assert len(rig.inspector.seen) == 1


def test_server_keeps_mail_out_while_too_many_wait(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say(HELLO + ENVELOPE)
    rig.waiting = 3
    assert client.say(b"DATA\r\n") == b"451 4.3.2 Too busy to take this message, try again later\r\n"
    assert (rig.meter.shortages, rig.meter.ends) == (["backlog"], [])
    assert "mail-kept-out" in rig.log
    assert "shortage=backlog" in rig.log
    # The transaction goes on as the client likes: once more, or another one.
    rig.waiting = 2
    assert client.say(b"DATA\r\n").startswith(b"354")
    client.say(b"Hi\r\n.\r\n")
    rig.settle()
    assert codes(client.line.take()) == [250]
    rig.waiting = 3
    assert client.say(ENVELOPE + b"DATA\r\n").endswith(b"try again later\r\n")
    assert client.say(b"RSET\r\nQUIT\r\n").startswith(b"250 2.0.0 Ok\r\n221")
    assert rig.deliveries == 1


def test_server_a_backlog_of_none_lets_in_what_a_worker_can_take_at_once() -> None:
    waiting = 0
    intake = Intake(lambda: waiting, WorkerSettings(backlog=0), 1 << 20, Meter())
    assert intake.shortage() is None
    waiting = 1
    assert intake.shortage() == "backlog"


def test_server_keeps_mail_out_while_too_much_is_on_its_way(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    first, second, third = rig.client(), rig.client(), rig.client()
    for client in (first, second, third):
        client.say(HELLO + ENVELOPE)
    first.say(b"DATA\r\n" + b"x" * 60_000 + b"\r\n")
    second.say(b"DATA\r\n" + b"y" * 30_000 + b"\r\n")
    assert rig.intake.octets == 90_000
    # A message that finds no more room is read to its end and then refused.
    second.say(b"y" * 10_000 + b"\r\n")
    assert rig.intake.octets == 60_000
    assert second.say(b".\r\n") == b"452 4.3.1 Insufficient system storage\r\n"
    assert "spool-full" in rig.log
    first.say(b"x" * 39_998 + b"\r\n")
    assert rig.intake.octets == 100_000
    assert third.say(b"DATA\r\n").startswith(b"451 4.3.2")
    assert rig.meter.shortages == ["spool", "spool"]
    first.lose()
    assert rig.intake.octets == 0
    assert third.say(b"DATA\r\n").startswith(b"354")


@pytest.mark.parametrize("end", ["delivered", "refused", "gone", "broken", "too-large", "bare-lf"])
def test_server_gives_back_what_a_mail_took(
    tmp_path: Path, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, message_size_limit=1 << 16)
    client = rig.client()
    if end == "refused":
        rig.inspector.disposition = Answer(NO)
    if end == "broken":
        monkeypatch.setattr(ReinjectionPort, "deliver", lambda *_: 1 / 0)
    client.say(HELLO + ENVELOPE + b"DATA\r\nSubject: x\r\n")
    assert rig.intake.octets == 10
    match end:
        case "gone":
            client.lose()
        case "too-large":
            client.say(b"x" * 70_000 + b"\r\n.\r\n")
        case "bare-lf":
            client.say(b"x\nx\r\n.\r\n")
        case _:
            client.say(b".\r\n")
    if end == "delivered":
        assert rig.intake.octets == 12
        rig.settle()
    assert rig.intake.octets == 0


def test_server_too_large_message_is_discarded_to_its_end(tmp_path: Path) -> None:
    rig = Rig(tmp_path, message_size_limit=65536)
    client = rig.client()
    assert codes(client.say(HELLO + b"MAIL FROM:<> SIZE=65537\r\n"))[-1] == 552
    client.say(ENVELOPE + b"DATA\r\n")
    for _ in range(70):
        assert client.say(b"a" * 998 + b"\r\n") == b""
    assert codes(client.say(b".\r\n")) == [552]
    assert rig.meter.ends == [End.TOO_LARGE]
    assert rig.inspector.seen == []


def test_server_size_is_counted_without_stuffing(tmp_path: Path) -> None:
    rig = Rig(tmp_path, message_size_limit=65536)
    line = b".." + b"a" * 1021 + b"\r\n"
    for more, code in ((b"", 451), (b"x", 552)):
        client = rig.client()
        rig.inspector.disposition = Answer(Reply(451, "4.7.0", "fits"))
        assert (
            codes(client.say(HELLO + ENVELOPE + b"DATA\r\n" + line * 63 + more + line + b".\r\n"))[-1] == code
        )


def test_server_bare_lf_is_refused_after_the_true_end(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    evil = (
        HELLO
        + ENVELOPE
        + b"DATA\r\nx\n.\nMAIL FROM:<evil@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nboo\r\n.\r\nNOOP\r\n"
    )
    replies = client.say(evil)
    assert codes(replies) == [220, 250, 250, 250, 354, 550, 250]
    assert b"550 5.5.2 " in replies
    assert rig.inspector.seen == []
    assert rig.meter.ends == [End.BARE_LF]


def test_server_silent_client_is_sent_away(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.line.take()
    rig.reactor.advance(200)
    client.say(HELLO)
    rig.reactor.advance(100)
    assert client.line.take() == b""
    rig.reactor.advance(200)
    assert codes(client.line.take()) == [421]
    assert client.line.disconnecting
    rig.reactor.advance(served.CLOSING)
    assert client.line.disconnected


def test_server_data_has_its_own_time_out(tmp_path: Path) -> None:
    rig = Rig(tmp_path, timeouts={"command": 300.0, "data": 20.0})
    client = rig.client()
    client.say(HELLO + ENVELOPE + b"DATA\r\n")
    for _ in range(5):
        rig.reactor.advance(19)
        assert client.say(b"x") == b""
    rig.reactor.advance(20)
    assert codes(client.line.take()) == [421]
    assert rig.meter.ends == [End.CLIENT_GONE]
    assert rig.inspector.seen == []


def test_server_data_cannot_go_on_for_ever(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say(HELLO + ENVELOPE + b"DATA\r\n")
    for _ in range(int(connection.MAX_DATA_TIME) // 100):
        assert not client.line.disconnecting
        client.say(b"x")
        rig.reactor.advance(100)
    assert codes(client.line.take()) == [421]


def test_server_waiting_client_is_not_silent(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say(HELLO + MESSAGE)
    back = rig.back().say(b"220 hi\r\n", EHLO, b"250 ok\r\n250 ok\r\n", b"354 go\r\n")
    back.line.flush()
    rig.reactor.pump([100, 100])
    assert client.line.take() == b""
    back.say(b"250 queued\r\n")
    assert codes(client.line.take()) == [250]
    rig.reactor.pump([100] * 2 + [99])
    assert not client.line.disconnecting
    rig.reactor.advance(1)
    assert client.line.disconnecting


def test_server_pipelined_input_is_bounded_while_inspecting(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    verdict: Deferred[Disposition] = Deferred()
    rig.inspector.disposition = verdict
    client.say(HELLO + MESSAGE)
    flood = b"NOOP\r\n" * 5000
    client.say(flood)
    assert client.line.producerState == "producing"
    client.say(flood, flood)
    assert client.line.producerState == "paused"
    assert rig.inspector.seen[0][1] == b"Subject: x\r\n\r\nHi\r\n"
    verdict.callback(Answer(NO))
    assert codes(client.line.take()) == [554] + [250] * 15000
    assert client.line.producerState == "producing"


def test_server_client_that_reads_nothing_is_not_served_on(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say(HELLO)
    assert client.line.producer is client.protocol
    assert client.line.streaming is True
    client.protocol.pauseProducing()
    assert client.line.producerState == "paused"
    assert client.say(b"NOOP\r\n") == b""
    client.protocol.resumeProducing()
    assert codes(client.line.take()) == [250]
    assert client.line.producerState == "producing"


def test_server_connections_are_bounded(tmp_path: Path) -> None:
    rig = Rig(tmp_path, connections=2)
    first, _second = rig.client(), rig.client()
    third = rig.client()
    assert codes(third.line.take()) == [421]
    assert third.line.disconnecting
    assert third.say(HELLO + MESSAGE) == b""
    third.lose()
    assert rig.meter.away == 1
    first.say(b"QUIT\r\n")
    first.lose()
    assert codes(rig.client().line.take()) == [220]


def test_server_not_ready_before_the_port_has_answered(tmp_path: Path) -> None:
    rig = Rig(tmp_path, ready=False)
    assert codes(rig.client().line.take()) == [421]
    rig.port.start()
    rig.back().say(b"220 hi\r\n", EHLO)
    assert codes(rig.client().line.take()) == [220]


def test_server_stop_drains(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    idle, busy, envelope = rig.client(), rig.client(), rig.client()
    busy.say(HELLO + MESSAGE)
    envelope.say(HELLO + ENVELOPE)
    idle.line.take()
    drained: list[None] = []
    rig.factory.stop().addCallback(drained.append)
    assert codes(idle.line.take()) == [421]
    assert codes(rig.client().line.take()) == [421]
    idle.lose()
    rig.settle()
    assert codes(busy.line.take()) == [250, 421]
    busy.lose()
    assert drained == []
    envelope.say(b"DATA\r\nx\r\n.\r\n")
    rig.settle()
    assert codes(envelope.line.take()) == [250, 421]
    envelope.lose()
    assert drained == [None]


def test_server_stop_with_nobody_there(tmp_path: Path) -> None:
    drained: list[None] = []
    Rig(tmp_path).factory.stop().addCallback(drained.append)
    assert drained == [None]


def test_server_stop_waits_for_a_delivery_whose_client_is_gone(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say(HELLO + MESSAGE)
    back = rig.back().say(b"220 hi\r\n", EHLO, b"250 ok\r\n250 ok\r\n", b"354 go\r\n")
    back.line.flush()
    client.lose()
    drained: list[None] = []
    rig.factory.stop().addCallback(drained.append)
    assert drained == []
    back.say(b"250 ok\r\n")
    assert drained == [None]


def test_server_large_messages_are_read_in_large_pieces(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say(HELLO + ENVELOPE + b"DATA\r\n")
    client.say((b"a" * 62 + b"\r\n") * 1024)
    assert client.line.bufferSize == served.LARGE_READ
    rig.inspector.disposition = Answer(NO)
    client.say(b".\r\n")
    assert client.line.bufferSize == served.SMALL_READ


def test_server_own_mistake_gives_no_reply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    verdict: Deferred[Disposition] = Deferred()
    rig.inspector.disposition = verdict
    client.say(HELLO + MESSAGE)

    def broken(*_: object) -> None:
        raise RuntimeError("bug")

    monkeypatch.setattr(rig.port, "deliver", broken)
    verdict.callback(Deliver())
    assert client.line.take() == b""
    assert client.line.disconnected
    assert "connection-broken" in rig.log
    client.lose()
    # Nothing of it is left that stopping would wait for.
    assert rig.meter.open == 0
    assert not rig.reactor.getDelayedCalls()
    drained: list[None] = []
    rig.factory.stop().addCallback(drained.append)
    assert drained == [None]


@pytest.mark.parametrize(
    "line",
    [
        b"EHLO a\xff\x00\x1b[31m\r\n",
        b"EHLO \xff\xfe\r\n",
        b"MAIL FROM:<\xff@x.example>\r\nRCPT TO:<\xff\xfe@x>\r\n",
        b"XFORWARD HELO=a+0A+0Aaction=OK+0A+0A\r\n",
        b"\xff\xff\xff\r\n",
        b"MAIL FROM:<a@x> X=\xff\r\n",
        b"RCPT TO:<a@x>\xff\r\n",
    ],
)
def test_server_replies_hold_no_foreign_byte(tmp_path: Path, line: bytes) -> None:
    rig = Rig(tmp_path)
    replies = rig.client().say(HELLO + line)
    assert all(32 <= byte < 127 or byte in b"\r\n" for byte in replies)
    assert b"action" not in replies


def test_server_log_holds_no_foreign_byte(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    rig.inspector.disposition = Answer(NO)
    client.say(
        HELLO + b"XFORWARD HELO=a+0A+0Aevent=x+FF\r\nMAIL FROM:<\xff@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n.\r\n"
    )
    assert rig.meter.ends == [End.ANSWERED]
    assert rig.log.isascii()
    assert "\nevent=x" not in rig.log


def test_server_name_differs_from_the_gateways() -> None:
    assert filter_name("mx.example.org") == "filter.mx.example.org"


def test_server_log_names_addresses_only_where_they_can_be_hidden(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say(HELLO + MESSAGE)
    rig.back().say(b"220 hi\r\n", EHLO, b"250 ok\r\n550 5.1.1 <b@y.example>: no such b@y.example\r\n503\r\n")
    (line,) = [line for line in rig.log.splitlines() if "event=mail" in line]
    assert 'reply="550 5.1.1 <...>: no such ..."' in line
    assert line.count("b@y.example") == 1
    assert "recipient=b@y.example" in line


def test_server_trouble_stands_out_in_the_log(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say(HELLO + MESSAGE)
    rig.back().say(b"554 no\r\n")
    assert "warning event=mail" in rig.log
    assert 'detail="554 no (at banner)"' in rig.log


def test_server_tells_what_postfix_said_to_each_mail_that_it_took(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    told: list[tuple[str, str]] = []
    rig.factory.delivered = lambda decision_id, reply: told.append((decision_id, str(reply)))
    client = rig.client()
    client.say(HELLO + MESSAGE)
    rig.back().say(b"220 hi\r\n", EHLO, b"250 ok\r\n" * 3, b"554 5.7.1 no\r\n")
    assert told == []
    client.say(MESSAGE)
    back = rig.back().say(b"220 hi\r\n", EHLO, b"250 ok\r\n" * 2, b"354 go\r\n")
    back.line.flush()
    back.say(b"250 2.0.0 Ok: queued as 4711\r\n")
    assert told == [("id1", "250 2.0.0 Ok: queued as 4711")]
