"""What a listener keeps within bounds: room, silence, connections, and its own end."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from contentfilter.disposition.disposition import Answer, Disposition
from contentfilter.reinjection.reinjection import ReinjectionPort
from contentfilter.session import connection, served
from contentfilter.session.intake import Intake
from contentfilter.session.server import GRACE
from contentfilter.session.steps import End
from mailbase.config.contentfilter import WorkerSettings
from mailbase.replies import Reply

from ..proxied import EHLO, ENVELOPE, HELLO, MESSAGE, NO, Meter, Rig, codes


def full(fd: int, data: bytes) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_server_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say(HELLO + ENVELOPE + b"DATA\r\n")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        assert client.say(b"a" * 998 + b"\r\n", b"b" * 998 + b"\r\n") == b""
    assert codes(client.say(b"c" * 998 + b"\r\n.\r\n")) == [452]
    assert rig.inspector.seen == []
    assert rig.meter.ends == [End.NO_SPACE]
    assert "spool-failed" in rig.log
    client.say(MESSAGE)
    assert len(rig.inspector.seen) == 1


def test_server_full_disk_for_the_last_octets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    client.say(HELLO + ENVELOPE + b"DATA\r\n", b"a" * 1998 + b"\r\n")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        assert codes(client.say(b"b\r\n.\r\n")) == [452]
    assert rig.inspector.seen == []
    assert (rig.meter.ends, rig.intake.octets) == ([End.NO_SPACE], 0)
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


def test_server_client_that_waited_when_it_might_have_been_silent_may_be_so_later(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    rig.reactor.advance(250)
    client.say(HELLO + MESSAGE)
    back = rig.back().say(b"220 hi\r\n", EHLO, b"250 ok\r\n250 ok\r\n", b"354 go\r\n")
    back.line.flush()
    rig.reactor.pump([50, 10])
    back.say(b"250 queued\r\n")
    rig.reactor.pump([100, 100])
    assert not client.line.disconnecting
    rig.reactor.pump([100, 100])
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
    # It may have come for a mail.
    assert idle.line.take() == b""
    assert codes(rig.client().line.take()) == [421]
    rig.reactor.advance(GRACE)
    assert codes(idle.line.take()) == [421]
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
