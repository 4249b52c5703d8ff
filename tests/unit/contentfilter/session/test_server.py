"""The Twisted edge: a client, an inspector and a back end around the session, on a reactor of memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError, Deferred

from contentfilter.disposition.disposition import Answer, Deliver, Disposition
from contentfilter.session import served
from contentfilter.session.server import filter_name
from contentfilter.session.steps import End

from ..proxied import EHLO, ENVELOPE, HELLO, MESSAGE, NO, Rig, codes


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


def test_server_counts_the_time_of_a_mail_from_its_data(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    client = rig.client()
    rig.reactor.advance(40)
    client.say(HELLO + ENVELOPE)
    rig.reactor.advance(5)
    client.say(b"DATA\r\n")
    rig.reactor.advance(3)
    client.say(b"Subject: x\r\n\r\nHi\r\n.\r\n")
    rig.settle()
    assert rig.meter.lasted == [3]
    assert " seconds=3 " in rig.log


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


def test_server_log_has_no_words_of_a_refusal_where_names_are_hidden(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.factory.log._key = b"key"
    client = rig.client()
    client.say(HELLO + MESSAGE)
    rig.back().say(b"220 hi\r\n", EHLO, b"250 ok\r\n550 5.1.1 Ada Lovelace has left us\r\n503\r\n")
    (line,) = [line for line in rig.log.splitlines() if "event=mail" in line]
    assert 'reply="550 5.1.1"' in line
    assert "Ada" not in line
    assert "y.example" not in line


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
