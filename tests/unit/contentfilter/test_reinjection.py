"""The way back: in time or not at all, whole or not at all."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from contentfilter.metering import NoMeter
from contentfilter.reinjection import reinjection
from contentfilter.reinjection.reinjection import Delivery, ReinjectionPort
from contentfilter.session.envelope import Envelope
from contentfilter.session.envelope import Path as Mailbox
from contentfilter.smtp.client import TROUBLE, Job, Outcome, Result
from contentfilter.spool.spool import Spool
from mailbase.logs import Log

from .proxied import Line

EHLO = b"250-back\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE\r\n"
HEADER = b"X-Ours: y\r\n"


class Tight(Line):
    """One with a socket that takes so many octets before the rest has to wait."""

    room = 0

    def getHandle(self) -> Any:
        return self

    def send(self, data: bytes) -> int:
        if not self.room:
            raise BlockingIOError(errno.EAGAIN, "full")
        taken = data[: self.room]
        self.room -= len(taken)
        self.write(taken)
        return len(taken)


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


def test_delivery_sends_header_and_spool_unchanged(tmp_path: Path) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n..dot\r\n")).to_content()
    assert rig.line.no_delay
    assert rig.content == HEADER + b"Hi\r\n..dot\r\n.\r\n"
    rig.line.flush()
    assert rig.outcomes == []
    rig.say(b"250 2.0.0 queued\r\n")
    assert rig.outcome.result is Result.DELIVERED
    assert (rig.meter.compared_bodies, rig.meter.mismatches) == (1, 0)
    assert rig.sent.endswith(b"\r\n.\r\n"), "the connection waits for the next mail: test_idle"


@pytest.mark.parametrize("memory", [0, 1 << 24])
@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 262144, 262145, 1000003])
def test_delivery_of_any_size(tmp_path: Path, size: int, memory: int) -> None:
    data = (b"0123456789" * (size // 10 + 1))[: max(0, size - 2)] + b"\r\n" if size else b""
    rig = Rig().deliver(spooled(tmp_path, data, memory)).to_content()
    rig.line.flush()
    assert rig.content == HEADER + data + b".\r\n"
    rig.say(b"250 ok\r\n")
    assert rig.outcome.result is Result.DELIVERED


def test_delivery_of_a_small_mail_goes_out_at_once_and_needs_nobody_to_ask_for_more(tmp_path: Path) -> None:
    line = Tight()
    line.room = 1 << 20
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n")).to_content(line)
    assert rig.content == HEADER + b"Hi\r\n.\r\n"
    assert line.producer is None
    rig.reactor.advance(76)
    assert rig.outcomes == [], "its end is out, so it may be delivered: the answer is waited for"
    assert rig.say(b"250 ok\r\n").outcome.result is Result.DELIVERED


def test_delivery_of_a_small_mail_that_does_not_fit_is_whole_and_taken_back_in_time(tmp_path: Path) -> None:
    commands = len(b"EHLO filter.example\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n")
    content = HEADER + b"Hi\r\n.\r\n"
    for room in range(len(content)):
        line = Tight()
        line.room = commands + room
        rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n")).to_content(line)
        assert rig.content == content, "some by the socket, the rest in the transport's buffer"
        rig.reactor.advance(75)
        assert rig.outcome.result is Result.LATE
        assert line.disconnected
        line = Tight()
        line.room = commands + room
        rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n")).to_content(line)
        line.flush()
        assert rig.content == content
        assert rig.say(b"250 ok\r\n").outcome.result is Result.DELIVERED


def test_delivery_takes_from_the_spool_only_what_the_line_takes(tmp_path: Path) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"a" * 998 + b"\r\n", 0)).to_content()
    data = b"0123456\r\n" * 200_000
    rig = Rig().deliver(spooled(tmp_path, data, 0)).to_content()
    assert len(rig.content) <= 256 * 1024 + len(HEADER)
    rig.line.stalled = True
    rig.line.flush()
    assert len(rig.content) <= 256 * 1024 + len(HEADER)


def test_delivery_end_of_data_goes_out_in_time_or_not_at_all(tmp_path: Path) -> None:
    data = b"0123456\r\n" * 100_000
    rig = Rig().deliver(spooled(tmp_path, data, 0)).to_content()
    rig.line.stalled = True
    rig.reactor.advance(75)
    assert rig.outcome.result is Result.LATE
    assert rig.outcome.replies == (TROUBLE,)
    assert rig.line.disconnected
    assert not rig.content.endswith(b".\r\n")


def test_delivery_clock_is_looked_at_right_before_the_end_of_data(tmp_path: Path) -> None:
    """The timer has not run yet: the reactor was busy."""
    data = b"0123456\r\n" * 100_000
    rig = Rig().deliver(spooled(tmp_path, data, 0)).to_content()
    rig.reactor.rightNow += 75
    rig.line.flush()
    assert rig.outcome.result is Result.LATE
    assert rig.line.disconnected
    assert len(rig.content) == len(HEADER) + len(data)


@pytest.mark.parametrize(("taken", "late"), [(100_000, True), (200_000, False)])
def test_delivery_clock_is_looked_at_again_where_the_kernel_has_not_taken_most(
    tmp_path: Path, taken: int, late: bool
) -> None:
    line = Tight()
    line.room = taken
    data = b"0123456\r\n" * 25_000
    rig = Rig().deliver(spooled(tmp_path, data)).to_content(line)
    rig.reactor.rightNow += 75
    line.flush()
    if late:
        assert rig.outcome.result is Result.LATE
        assert line.disconnected
        assert rig.content == HEADER + data
    else:
        assert rig.content == HEADER + data + b".\r\n", "no more than a small mail's worth waited"


def test_delivery_end_of_data_stuck_in_our_buffer_is_taken_back(tmp_path: Path) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n")).to_content()
    assert rig.content.endswith(b".\r\n")
    rig.line.stalled = True
    rig.reactor.advance(75)
    assert rig.outcome.result is Result.LATE
    assert rig.line.disconnected


def test_delivery_after_the_end_of_data_waits_longer_than_the_client(tmp_path: Path) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n")).to_content()
    rig.line.flush()
    rig.reactor.advance(76)
    assert rig.outcomes == []
    rig.say(b"250 ok\r\n")
    assert rig.outcome.result is Result.DELIVERED
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n")).to_content()
    rig.line.flush()
    rig.reactor.advance(reinjection.FINAL_REPLY)
    assert rig.outcome.result is Result.UNKNOWN
    assert rig.line.disconnected


def test_delivery_already_late(tmp_path: Path) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n"), within=-1)
    rig.reactor.advance(0)
    assert rig.outcome.replies == (TROUBLE,)


def test_delivery_altered_bytes_never_get_their_end(tmp_path: Path) -> None:
    for memory in (0, 1 << 20):
        spool = spooled(tmp_path, b"Hello\r\n" * 20_000, memory)
        spool._seal.update(b"!")
        rig = Rig().deliver(spool).to_content()
        rig.line.flush()
        assert rig.outcome.result is Result.MISMATCH
        assert rig.outcome.replies == (TROUBLE,)
        assert not rig.content.endswith(b".\r\n")
        assert rig.line.disconnected
        assert (rig.meter.compared_bodies, rig.meter.mismatches) == (1, 1)


def test_delivery_unreadable_spool(tmp_path: Path) -> None:
    spool = spooled(tmp_path, b"Hello\r\n" * 100_000, 0)
    rig = Rig().deliver(spool).to_content()
    spool.close()
    rig.line.flush()
    assert rig.outcome.result is Result.FAILED
    assert rig.line.disconnected


def _connect(rig: Rig) -> None:
    rig.connect()


def _steps() -> list[Callable[[Rig], object]]:
    return [
        _connect,
        lambda rig: rig.say(b"220 hi\r\n"),
        lambda rig: rig.say(EHLO),
        lambda rig: rig.say(b"250 ok\r\n"),
        lambda rig: rig.say(b"250 ok\r\n"),
        lambda rig: rig.say(b"354 go\r\n"),
    ]


@pytest.mark.parametrize("count", range(1, 7))
def test_delivery_back_end_gone_at_each_step(tmp_path: Path, count: int) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n"))
    for step in _steps()[:count]:
        step(rig)
    rig.protocol.connectionLost(Failure(ConnectionDone()))
    assert rig.outcome.result is Result.FAILED
    assert rig.outcome.replies == (TROUBLE,)
    assert rig.idle()


@pytest.mark.parametrize("count", range(7))
def test_delivery_back_end_silent_at_each_step(tmp_path: Path, count: int) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n"))
    for step in _steps()[:count]:
        step(rig)
    rig.reactor.advance(74.9)
    assert rig.outcomes == []
    rig.reactor.advance(0.2)
    assert rig.outcome.result is (Result.LATE if count == 6 else Result.FAILED)
    assert rig.outcome.replies == (TROUBLE,)
    if count:
        assert rig.line.disconnected
        rig.protocol.connectionLost(Failure(ConnectionDone()))
    assert rig.idle()


@pytest.mark.parametrize("count", range(7))
def test_delivery_abandoned_at_each_step(tmp_path: Path, count: int) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n"))
    for step in _steps()[:count]:
        step(rig)
    rig.delivery.abandon()
    assert rig.outcome.result is Result.ABANDONED
    rig.delivery.abandon()
    if count:
        assert rig.line.disconnected
        rig.protocol.connectionLost(Failure(ConnectionDone()))
    assert rig.idle()


def test_delivery_abandoned_after_the_end_of_data_goes_on(tmp_path: Path) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n")).to_content()
    rig.line.flush()
    rig.delivery.abandon()
    assert rig.outcomes == []
    rig.say(b"250 ok\r\n")
    assert rig.outcome.result is Result.DELIVERED


def test_delivery_gone_after_the_end_of_data_is_unknown(tmp_path: Path) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n")).to_content()
    rig.line.flush()
    rig.protocol.connectionLost(Failure(ConnectionDone()))
    assert rig.outcome.result is Result.UNKNOWN


def test_delivery_connection_refused(tmp_path: Path) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n"))
    factory = rig.reactor.tcpClients[-1][2]
    factory.clientConnectionFailed(rig.reactor.connectors[-1], Failure(ConnectionRefusedError()))
    assert rig.outcome.result is Result.FAILED
    assert "refused" in rig.outcome.detail
    assert rig.idle()


def test_delivery_connected_after_it_was_given_up(tmp_path: Path) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n"))
    rig.delivery.abandon()
    rig.connect()
    assert rig.line.disconnected
    rig.say(b"220 hi\r\n")
    assert rig.sent == b""


def test_delivery_goodbye_is_not_waited_for_long(tmp_path: Path) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n")).to_content()
    rig.line.flush()
    rig.say(b"550 no\r\n")
    assert rig.outcome.result is Result.REFUSED
    assert rig.sent.endswith(b"\r\nQUIT\r\n")
    assert not rig.line.disconnecting
    rig.reactor.advance(reinjection.GOODBYE)
    assert rig.line.disconnected


def test_delivery_over_a_unix_socket(tmp_path: Path) -> None:
    rig = Rig("unix:/run/back.sock").deliver(spooled(tmp_path, b"Hi\r\n"))
    assert rig.reactor.unixClients[0][0] == "/run/back.sock"
    plain = StringTransport()
    rig.reactor.unixClients[0][1].buildProtocol(None).makeConnection(plain)
    assert plain.value() == b""


def test_delivery_over_a_unix_socket_without_a_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twisted reports that for TCP later, for a UNIX socket it raises."""
    rig = Rig("unix:/run/back.sock")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(rig.reactor, "connectUNIX", full)
    rig.deliver(spooled(tmp_path, b"x\r\n"))
    assert rig.outcome.result is Result.FAILED
    assert rig.outcome.replies == (TROUBLE,)
    assert "Too many open files" in rig.outcome.detail
    assert rig.idle()
    # The question for extensions is asked again all the same.
    rig.port.start()
    assert rig.meter.probes == [False]
    assert not rig.idle()


def test_delivery_to_an_ipv6_address(tmp_path: Path) -> None:
    rig = Rig("[::1]:10025").deliver(spooled(tmp_path, b"Hi\r\n"))
    assert rig.reactor.tcpClients[0][:2] == ("::1", 10025)


def test_port_learns_the_offer_and_asks_again() -> None:
    rig = Rig()
    first = rig.port.start()
    answers: list[Outcome] = []
    first.addCallback(answers.append)
    assert not rig.port.ready
    rig.connect().say(b"220 hi\r\n", EHLO)
    assert rig.port.ready
    assert rig.port.offer.carried == ("8BITMIME",)
    assert rig.sent == b"EHLO filter.example\r\nQUIT\r\n"
    assert len(answers) == 1
    rig.reactor.advance(reinjection.REFRESH)
    assert len(rig.reactor.tcpClients) == 2
    rig.connect().say(b"220 hi\r\n", b"250-back\r\n250 SMTPUTF8\r\n")
    assert rig.port.offer.carried == ("SMTPUTF8",)
    assert rig.meter.probes == [True, True]


def test_port_keeps_the_last_offer_and_asks_more_often_while_it_is_away() -> None:
    rig = Rig()
    rig.port.start()
    rig.connect().say(b"220 hi\r\n", EHLO)
    rig.reactor.advance(reinjection.REFRESH)
    waits = []
    for _ in range(6):
        factory = rig.reactor.tcpClients[-1][2]
        factory.clientConnectionFailed(rig.reactor.connectors[-1], Failure(ConnectionRefusedError()))
        (timer,) = [call for call in rig.reactor.getDelayedCalls() if call.func == rig.port._ask]
        waits.append(timer.getTime() - rig.reactor.seconds())
        rig.reactor.advance(waits[-1])
    assert waits == [1, 2, 4, 8, 15, 15]
    assert rig.port.offer.carried == ("8BITMIME",)
    assert rig.stream.getvalue().count("reinjection-port-fails") == 1
    assert rig.meter.probes == [True] + [False] * 6


def test_port_probe_has_a_deadline() -> None:
    rig = Rig()
    rig.port.start()
    rig.connect()
    rig.reactor.advance(reinjection.PROBE)
    assert rig.line.disconnected
    assert rig.meter.probes == [False]


def test_port_stop_asks_no_more() -> None:
    rig = Rig()
    rig.port.start()
    rig.connect()
    rig.port.stop()
    assert rig.line.disconnected
    rig.protocol.connectionLost(Failure(ConnectionDone()))
    assert rig.idle()
    rig = Rig()
    rig.port.start()
    rig.connect().say(b"220 hi\r\n", EHLO, b"221 bye\r\n")
    rig.protocol.connectionLost(Failure(ConnectionDone()))
    rig.port.stop()
    assert rig.idle()


def test_port_learns_from_deliveries_too(tmp_path: Path) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n")).connect()
    rig.say(b"220 hi\r\n", EHLO)
    assert rig.port.ready


@pytest.mark.parametrize(
    "header",
    [
        b"X-Ours: y",
        b"X-Ours: y\n",
        b"X: y\r\n.\r\n",
        b".\r\n",
        b"X: y\r\n\r\n",
        b"X: \xff\r\n",
        b"X: a\nb\r\n",
        b"\r\n",
        b" x\r\n",
    ],
)
def test_port_takes_only_whole_header_lines(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(ValueError, match="header lines"):
        Rig().deliver(spooled(tmp_path, b"Hi\r\n"), header)


def test_port_takes_folded_header_lines(tmp_path: Path) -> None:
    header = b"X-Ours: a\r\n\tb .\r\nX-Other:\r\n"
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n"), header).to_content()
    assert rig.content == header + b"Hi\r\n.\r\n"
