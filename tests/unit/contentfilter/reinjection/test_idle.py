"""Connections that deliver more than one mail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from contentfilter.reinjection import idle
from contentfilter.smtp.client import Result
from contentfilter.spool.spool import Spool

from .reinjecting import EHLO, Rig, spooled

SENT = b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n"


class Kept(Rig):
    """A rig whose connection has delivered one mail."""

    def __init__(self, spool: Spool) -> None:
        super().__init__()
        self.spool = spool
        self.deliver(spool).to_content()
        self.end()
        self.again()

    @property
    def protocol(self) -> Any:
        return getattr(self.line, "protocol", None) or super().protocol

    def end(self) -> None:
        self.line.flush()
        self.say(b"250 2.0.0 queued\r\n")
        assert self.outcomes.pop().result is Result.DELIVERED

    def again(self) -> None:
        """What is sent from now on is looked at by itself."""
        self.line.clear()

    def lose(self) -> None:
        self.line.disconnected = True
        self.protocol.connectionLost(Failure(ConnectionDone()))

    @property
    def connections(self) -> int:
        return len(self.reactor.tcpClients)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    rig = Kept(spooled(tmp_path, b"Hi\r\n"))
    assert len(rig.port.idle) == 1
    return rig


def test_the_next_mail_has_a_transaction_of_its_own_on_the_same_connection(kept: Kept) -> None:
    kept.deliver(kept.spool)
    assert (kept.sent, kept.connections) == (SENT, 1)
    assert not len(kept.port.idle)
    kept.say(b"250 ok\r\n250 ok\r\n", b"354 go\r\n")
    assert kept.sent.endswith(b"DATA\r\nX-Ours: y\r\nHi\r\n.\r\n")
    kept.end()
    assert len(kept.port.idle) == 1
    kept.again()
    kept.deliver(kept.spool)
    assert kept.sent == SENT


def test_two_mails_at_once_have_two_connections(kept: Kept) -> None:
    kept.deliver(kept.spool)
    kept.deliver(kept.spool)
    assert (kept.sent, kept.connections) == (SENT, 2)


def test_one_that_nobody_needs_is_closed(kept: Kept) -> None:
    kept.reactor.advance(idle.WAIT)
    assert kept.sent == b"QUIT\r\n"
    assert not len(kept.port.idle)
    assert not kept.line.disconnecting
    kept.say(b"221 bye\r\n")
    assert kept.line.disconnecting
    kept.lose()
    assert kept.idle()


def test_the_goodbye_of_one_is_not_waited_for_long(kept: Kept) -> None:
    kept.reactor.advance(idle.WAIT)
    kept.reactor.advance(idle.GOODBYE)
    assert kept.line.disconnected


def test_one_that_the_server_closes_is_not_used(kept: Kept) -> None:
    kept.lose()
    assert kept.idle()
    kept.deliver(kept.spool)
    assert (kept.sent, kept.connections) == (b"", 2)


def test_one_that_the_server_is_about_to_close_is_not_used(kept: Kept) -> None:
    kept.say(b"421 4.4.2 timeout\r\n")
    assert kept.line.disconnecting
    kept.deliver(kept.spool)
    assert (kept.sent, kept.connections) == (b"", 2)


@pytest.mark.parametrize("stage", ["envelope", "data"])
@pytest.mark.parametrize("how", ["lost", "421"])
def test_a_mail_that_meets_a_closed_connection_takes_a_new_one(kept: Kept, stage: str, how: str) -> None:
    kept.deliver(kept.spool)
    if stage == "data":
        kept.say(b"250 ok\r\n250 ok\r\n")
    if how == "lost":
        kept.lose()
    else:
        kept.say(b"421 4.3.2 shutting down\r\n")
        assert kept.line.disconnected
    old = kept.line
    assert (kept.outcomes, kept.connections) == ([], 2)
    kept.to_content()
    assert kept.line is not old
    # The last words of the old connection are nobody's business.
    old.protocol.dataReceived(b"550 no\r\n")
    old.protocol.connectionLost(Failure(ConnectionDone()))
    kept.end()
    assert kept.connections == 2


def test_a_new_connection_that_is_lost_as_well_is_the_end(kept: Kept) -> None:
    kept.deliver(kept.spool)
    kept.lose()
    kept.connect().say(b"220 hi\r\n", EHLO)
    kept.lose()
    assert kept.outcome.result is Result.FAILED
    assert kept.connections == 2
    assert kept.idle()


@pytest.mark.parametrize("flushed", [False, True])
def test_what_may_have_been_taken_is_not_sent_again(kept: Kept, flushed: bool) -> None:
    kept.deliver(kept.spool).say(b"250 ok\r\n250 ok\r\n", b"354 go\r\n")
    if flushed:
        kept.line.flush()
    kept.lose()
    assert kept.outcome.result is (Result.UNKNOWN if flushed else Result.FAILED)
    assert kept.connections == 1


def test_a_connection_that_refused_is_not_kept(tmp_path: Path) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n")).connect().say(b"220 hi\r\n", EHLO)
    rig.say(b"250 ok\r\n550 no\r\n503 no recipient\r\n")
    assert rig.outcome.result is Result.REFUSED
    assert not len(rig.port.idle)
    assert rig.sent.endswith(b"QUIT\r\n")


def test_a_question_for_extensions_keeps_nothing_and_takes_nothing(kept: Kept) -> None:
    kept.port.start()
    assert kept.connections == 2
    kept.line = type(kept.line)()
    kept.connect().say(b"220 hi\r\n", EHLO)
    assert kept.sent.endswith(b"QUIT\r\n")
    assert len(kept.port.idle) == 1


def test_a_mail_that_needs_what_was_not_offered_takes_a_new_connection(kept: Kept) -> None:
    assert kept.port.idle.take({"SMTPUTF8"}) is None
    assert kept.port.idle.take({"8BITMIME"}) is not None


def test_an_old_connection_is_not_used_again(kept: Kept) -> None:
    for _ in range(200):
        kept.deliver(kept.spool)
        if kept.connections == 2:
            break
        kept.say(b"250 ok\r\n250 ok\r\n", b"354 go\r\n")
        kept.end()
        kept.reactor.advance(idle.WAIT - 0.1)
    assert kept.reactor.seconds() == pytest.approx(idle.AGE, abs=2 * idle.WAIT)
    assert b"QUIT\r\n" in kept.sent


def test_only_so_many_are_kept(kept: Kept) -> None:
    offer = kept.port.offer
    for _ in range(idle.MOST - 1):
        assert kept.port.idle.keep(type(kept.line)(), offer, 0.0)
    assert not kept.port.idle.keep(type(kept.line)(), offer, 0.0)


def test_at_the_end_none_is_left(kept: Kept) -> None:
    kept.port.stop()
    assert kept.sent == b"QUIT\r\n"
    kept.lose()
    assert kept.idle()
    kept.deliver(kept.spool).to_content()
    kept.end()
    assert kept.sent.endswith(b"QUIT\r\n")
