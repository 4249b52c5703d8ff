"""What a reinjection port offers: learned, kept, and asked for again."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.python.failure import Failure

from contentfilter.reinjection import reinjection
from contentfilter.smtp.client import Outcome

from .reinjecting import EHLO, Rig, spooled


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
