"""A reinjection port that goes, is silent, or is not there, at each step of a delivery."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.python.failure import Failure

from contentfilter.reinjection import reinjection
from contentfilter.smtp.client import TROUBLE, Result

from .reinjecting import EHLO, Rig, spooled


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
