"""The milter's connections: mail after mail, given up, stopped, silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from contentfilter.disposition.disposition import Answer, Deliver
from contentfilter.milter import packets
from contentfilter.milter.packets import packet
from contentfilter.session.connection import MAX_DATA_TIME
from contentfilter.session.server import GRACE
from contentfilter.session.steps import End

from .miltered import BEGIN, DATA, END, HEADER, HELO, MAIL, MESSAGE, NO, RCPT, Rig, connect, field


@pytest.mark.parametrize("how", ["abort", "quit", "again", "lose"])
@pytest.mark.parametrize("deep", [2, 4, 5, 6])
def test_milter_given_up_leaves_nothing(tmp_path: Path, how: str, deep: int) -> None:
    rig = Rig(tmp_path)
    cancelled: list[Deferred[Any]] = []
    rig.inspector.disposition = Deferred(cancelled.append)
    body = packet(packets.BODY, b"x" * 5000)
    postfix = rig.postfix(*(BEGIN, MAIL, RCPT, DATA, HEADER + body, END)[:deep])
    if how == "lose":
        postfix.lose()
    else:
        command = {"abort": packets.ABORT, "quit": packets.QUIT, "again": packets.QUIT_AND_AGAIN}[how]
        assert postfix.say(packet(command)) == []
    assert rig.intake.octets == 0
    assert len(cancelled) == (deep == 6)
    assert rig.meter.ends == ([End.CLIENT_GONE] if deep >= 4 else [])
    assert list(tmp_path.iterdir()) == []
    if how in ("quit", "lose"):
        if how == "quit":
            assert postfix.line.disconnecting
            postfix.lose()
        assert rig.meter.open == 0
        return
    rig.inspector.disposition = Answer(NO)
    again = connect() + HELO if how == "again" else b""
    assert postfix.say(again + MESSAGE)[-1][0] == packets.REPLY


@pytest.mark.parametrize("last", [b"no end", b"half an end\r", b"\r\n"])
def test_milter_given_up_within_a_line_says_nothing_of_the_next_mail(tmp_path: Path, last: bytes) -> None:
    rig = Rig(tmp_path)
    postfix = rig.postfix(BEGIN, MAIL, RCPT, DATA, HEADER, packet(packets.BODY, last))
    postfix.say(packet(packets.ABORT), MAIL, RCPT, DATA, field(b".X-Dotted", b" y"))
    postfix.say(packet(packets.END_OF_HEADER), END)
    ((_, wire, _),) = rig.inspector.seen
    assert wire == b"..X-Dotted: y\r\n\r\n"


def test_milter_what_comes_behind_the_end_is_not_looked_at(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    postfix = rig.postfix(BEGIN, packet(packets.QUIT))
    assert postfix.say(packet(b"?"), MESSAGE) == []
    assert (rig.inspector.seen, rig.meter.ends) == ([], [])
    assert "milter-protocol" not in rig.log


def test_milter_a_verdict_counts_only_for_its_own_mail(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    waiting: Deferred[Any] = Deferred(lambda _: None)
    rig.inspector.disposition = waiting
    postfix = rig.postfix(BEGIN, MESSAGE, packet(packets.ABORT))
    rig.inspector.disposition = Deferred()
    postfix.say(MESSAGE)
    if not waiting.called:
        waiting.callback(Deliver())
    assert postfix.answers() == []
    rig.inspector.disposition.callback(Answer(NO))
    assert [command for command, _ in postfix.answers()] == [packets.REPLY]


def test_milter_serves_mail_after_mail_and_session_after_session(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    postfix = rig.postfix(BEGIN, MESSAGE, MESSAGE, packet(packets.QUIT_AND_AGAIN))
    postfix.say(connect(b"[2001:db8::9]", b"6", 25, b"IPv6:2001:db8::9"), MESSAGE)
    clients = [(envelope.client.address, envelope.client.name) for envelope, _, _ in rig.inspector.seen]
    assert clients == [("192.0.2.9", "c.example")] * 2 + [("2001:db8::9", "")]


def test_milter_stop_waits_for_the_mail_in_hand(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    verdict: Deferred[Any] = Deferred()
    rig.inspector.disposition = verdict
    postfix = rig.postfix(BEGIN, MESSAGE)
    had_one, idle, new = (rig.postfix(BEGIN) for _ in range(3))
    had_one.say(MAIL, RCPT, packet(packets.ABORT))
    stopped = rig.factory.stop()
    assert had_one.line.disconnecting
    # These may have come for a mail.
    assert not idle.line.disconnecting
    new.say(MAIL, RCPT)
    rig.reactor.advance(GRACE)
    assert idle.line.disconnecting
    assert not new.line.disconnecting
    new.say(packet(packets.ABORT))
    assert new.line.disconnecting
    for one in (had_one, idle, new):
        one.lose()
    assert not stopped.called
    assert not postfix.line.disconnecting
    verdict.callback(Answer(NO))
    assert [command for command, _ in postfix.answers()] == [packets.REPLY] or postfix.line.disconnecting
    assert postfix.line.disconnecting
    postfix.lose()
    assert stopped.called
    late = rig.postfix()
    assert late.line.disconnecting


def test_milter_silent_connection_is_closed_after_the_longest_data(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    postfix = rig.postfix(BEGIN, MAIL, RCPT, DATA)
    rig.reactor.advance(MAX_DATA_TIME - 1)
    assert not postfix.line.disconnecting
    rig.reactor.advance(1)
    assert postfix.line.disconnecting
    assert rig.meter.ends == [End.CLIENT_GONE]
    rig.reactor.advance(10)
    assert postfix.line.disconnected


def test_milter_cancelled_inspection_is_no_trouble(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.inspector.disposition = Deferred(lambda waiting: waiting.errback(CancelledError()))
    rig.postfix(BEGIN, MESSAGE).lose()
    assert "inspection-failed" not in rig.log
