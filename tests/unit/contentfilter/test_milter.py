"""Postfix's side of the milter protocol, an inspector, and what stands between them, in memory."""

from __future__ import annotations

import errno
import io
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from contentfilter.disposition.disposition import Answer, Deliver
from contentfilter.disposition.splits import Splits
from contentfilter.milter import packets
from contentfilter.milter.packets import MAX_PACKET, MilterError, PacketReader, packet
from contentfilter.milter.server import MilterFactory
from contentfilter.session.connection import MAX_DATA_TIME
from contentfilter.session.intake import Intake
from contentfilter.session.server import Shared
from contentfilter.session.steps import End
from mailbase.config import ContentfilterSettings, ListenerSettings, SpoolSettings
from mailbase.config.contentfilter import WorkerSettings
from mailbase.logs import Log
from mailbase.replies import Reply
from tests.unit.contentfilter.proxied import Inspector, Line, Meter

NO = Reply(554, "5.7.1", "Macros [abc]")
KEPT = Reply(250, "2.0.0", "Ok, quarantined")
ALL_ACTIONS = 0x1FF
POSTFIX = 0x1FFFFF
"""What Postfix offers to leave out."""


def field(name: bytes, value: bytes) -> bytes:
    return packet(packets.HEADER, name + b"\0" + value + b"\0")


def negotiate(version: int = 6, actions: int = ALL_ACTIONS, protocol: int = POSTFIX) -> bytes:
    return packets.negotiation(version, actions, protocol)


def connect(
    name: bytes = b"c.example", family: bytes = b"4", port: int = 4711, address: bytes = b"192.0.2.9"
) -> bytes:
    return packet(packets.CONNECT, name + b"\0" + family + struct.pack(">H", port) + address + b"\0")


HELO = packet(packets.HELO, b"helo.example\0")
BEGIN = negotiate() + connect() + HELO
MAIL = packet(packets.MAIL, b"<a@x.example>\0SIZE=77\0BODY=8BITMIME\0")
RCPT = packet(packets.RCPT, b"<b@y.example>\0")
OTHER = packet(packets.RCPT, b"<c@y.example>\0NOTIFY=NEVER\0")
DATA = packet(packets.MACROS, b"Ti\x004Q1\0") + packet(packets.DATA)
HEADER = field(b"Subject", b" x\n\ty") + field(b"X-Odd", b"no space") + packet(packets.END_OF_HEADER)
END = packet(packets.END_OF_MESSAGE)
CONTENT = HEADER + packet(packets.BODY, b".dot\r\nHi\r") + packet(packets.BODY, b"\n..\r\n") + END
MESSAGE = MAIL + RCPT + DATA + CONTENT
WIRE = b"Subject: x\r\n\ty\r\nX-Odd:no space\r\n\r\n..dot\r\nHi\r\n...\r\n"
GO = packet(packets.CONTINUE)


class Rig:
    def __init__(self, folder: Path, connections: int = 5, recipients: int = 10, **settings: Any) -> None:
        self.reactor = MemoryReactorClock()
        self.stream = io.StringIO()
        self.inspector = Inspector()
        self.meter = Meter()
        self.waiting = 0
        self.told: list[tuple[str, Reply]] = []
        self.intake = Intake(lambda: self.waiting, WorkerSettings(backlog=3), 100_000, self.meter)
        self.splits = Splits(self.reactor.seconds)
        listener = ListenerSettings(listen="127.0.0.1:10030", protocol="milter", reinject="127.0.0.1:10025")
        content = ContentfilterSettings(
            listeners=(listener,), spool=SpoolSettings(folder=folder, memory=1000), **settings
        )
        shared = Shared(
            self.inspector,
            self.intake,
            Log("test", stream=self.stream),
            self.meter,
            lambda name, reply: self.told.append((name, reply)),
            self.splits,
            connections,
            recipients,
        )
        self.factory = MilterFactory(self.reactor, content, listener, shared)

    @property
    def log(self) -> str:
        return self.stream.getvalue()

    def postfix(self, *first: bytes) -> Postfix:
        postfix = Postfix(self)
        postfix.say(*first)
        return postfix


class Wire(Line):
    def setTcpKeepAlive(self, enabled: bool) -> None: ...


class Postfix:
    def __init__(self, rig: Rig) -> None:
        self.line = Wire()
        self.protocol = rig.factory.buildProtocol(None)
        self.protocol.makeConnection(self.line)

    def say(self, *pieces: bytes) -> list[tuple[bytes, bytes]]:
        """Send; returns the answers."""
        for piece in pieces:
            self.protocol.dataReceived(piece)
        return self.answers()

    def answers(self) -> list[tuple[bytes, bytes]]:
        return list(PacketReader().feed(self.line.take()))

    def lose(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


def test_milter_a_clean_mail_stays_with_our_lines_on_top(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.inspector.disposition = Deliver(b"X-A: 1\r\nX-B: 2\r\n\tand 3\r\n")
    postfix = rig.postfix(BEGIN)
    assert postfix.say(MAIL) == []
    assert postfix.say(RCPT) == [(packets.CONTINUE, b"")]
    assert postfix.say(OTHER) == [(packets.CONTINUE, b"")]
    assert postfix.say(DATA) == [(packets.CONTINUE, b"")]
    assert postfix.say(CONTENT) == [
        (packets.INSERT_HEADER, b"\0\0\0\0X-A\0 1\0"),
        (packets.INSERT_HEADER, b"\0\0\0\1X-B\0 2\n\tand 3\0"),
        (packets.ACCEPT, b""),
    ]
    ((envelope, wire, _),) = rig.inspector.seen
    assert wire == WIRE
    assert (envelope.sender.address, envelope.sender.line) == (
        "a@x.example",
        b"<a@x.example> SIZE=77 BODY=8BITMIME",
    )
    assert [path.address for path in envelope.recipients] == ["b@y.example", "c@y.example"]
    assert (envelope.size, envelope.lmtp, envelope.xforward) == (77, False, [])
    client = envelope.client
    assert (client.name, client.address, client.port, client.helo) == (
        "c.example",
        "192.0.2.9",
        "4711",
        "helo.example",
    )
    assert rig.meter.ends == [End.DELIVERED]
    assert rig.told == [("id1", Reply(250, "2.0.0", "Ok: queued as 4Q1"))]
    assert "end=delivered" in rig.log
    assert rig.intake.octets == 0


def test_milter_every_split_gives_the_same(tmp_path: Path) -> None:
    stream = BEGIN + MESSAGE
    expected = Rig(tmp_path).postfix().say(stream)
    assert expected[-1] == (packets.ACCEPT, b"")
    for place in range(1, len(stream)):
        rig = Rig(tmp_path)
        assert rig.postfix().say(stream[:place], stream[place:]) == expected
        assert rig.inspector.seen[0][1] == WIRE
    one_by_one = Rig(tmp_path)
    assert one_by_one.postfix().say(*(stream[i : i + 1] for i in range(len(stream)))) == expected


@pytest.mark.parametrize("offered", [0, packets.LEADING_SPACE, packets.SILENT[packets.HEADER]])
def test_milter_what_is_not_agreed_is_answered(tmp_path: Path, offered: int) -> None:
    rig = Rig(tmp_path)
    postfix = rig.postfix()
    ((command, agreed),) = postfix.say(negotiate(protocol=offered))
    assert command == packets.NEGOTIATE
    assert struct.unpack(">III", agreed) == (6, 9, offered)
    assert postfix.say(connect(), HELO, MAIL) == [(packets.CONTINUE, b"")] * 3
    postfix.say(RCPT, DATA)
    spaced = b" x" if offered & packets.LEADING_SPACE else b"x"
    silent = bool(offered & packets.SILENT[packets.HEADER])
    assert postfix.say(field(b"Subject", spaced)) == ([] if silent else [(packets.CONTINUE, b"")])
    end = postfix.say(packet(packets.END_OF_HEADER), END)
    assert end[0] == (packets.CONTINUE, b"")
    value = b" y" if offered & packets.LEADING_SPACE else b"y"
    assert end[1] == (packets.INSERT_HEADER, b"\0\0\0\0X-Ours\0" + value + b"\0")
    assert rig.inspector.seen[0][1] == b"Subject: x\r\n\r\n"


def test_milter_a_refusal_is_in_our_words(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.inspector.disposition = Answer(NO)
    assert rig.postfix(BEGIN).say(MESSAGE)[-1] == (packets.REPLY, b"554 5.7.1 Macros [abc]\0")
    assert rig.meter.ends == [End.ANSWERED]
    assert rig.told == []


def test_milter_what_lies_in_the_quarantine_is_discarded(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.inspector.disposition = Answer(KEPT)
    assert rig.postfix(BEGIN).say(MESSAGE)[-1] == (packets.DISCARD, b"")


def test_milter_who_does_not_get_it_is_taken_out(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.inspector.disposition = Deliver(b"", {1: KEPT})
    answers = rig.postfix(BEGIN).say(MAIL + RCPT + OTHER + DATA + CONTENT)
    assert answers[-2:] == [(packets.DELETE_RECIPIENT, b"<c@y.example>\0"), (packets.ACCEPT, b"")]


def test_milter_never_says_for_all_what_is_refused_for_some(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.inspector.disposition = Deliver(b"", {1: NO})
    postfix = rig.postfix(BEGIN)
    answers = postfix.say(MAIL + RCPT + OTHER + DATA + CONTENT)
    assert packets.ACCEPT not in dict(answers)
    assert postfix.line.disconnected
    assert "connection-broken" in rig.log
    assert rig.meter.open == 0


def test_milter_inspector_that_raises_is_451(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.inspector.disposition = OSError("no")
    (*_, (command, reply)) = rig.postfix(BEGIN).say(MESSAGE)
    assert (command, reply[:3]) == (packets.REPLY, b"451")
    assert rig.meter.ends == [End.INSPECTION_FAILED]


def test_milter_inspector_in_no_hurry_is_cut_off(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    cancelled: list[Deferred[Any]] = []
    rig.inspector.disposition = Deferred(cancelled.append)
    postfix = rig.postfix(BEGIN, MAIL, RCPT, DATA, CONTENT)
    rig.reactor.advance(rig.factory.reinject_within - 1)
    assert postfix.answers() == []
    rig.reactor.advance(1)
    ((command, reply),) = postfix.answers()
    assert (command, reply[:3]) == (packets.REPLY, b"451")
    assert len(cancelled) == 1


def test_milter_recipients_come_apart(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    postfix = rig.postfix(BEGIN, MAIL, RCPT, OTHER, DATA)
    rig.inspector.disposition = Answer(Reply(451, "4.5.3", "Again"))
    postfix.say(CONTENT)
    rig.splits.remember(rig.inspector.seen[0][0], {0: 2, 1: 5})
    assert postfix.say(MAIL, RCPT) == [(packets.CONTINUE, b"")]
    ((command, reply),) = postfix.say(OTHER)
    assert (command, reply[:9]) == (packets.REPLY, b"452 4.5.3")
    postfix.say(DATA + CONTENT)
    assert [path.address for path in rig.inspector.seen[1][0].recipients] == ["b@y.example"]


def test_milter_recipients_are_bounded(tmp_path: Path) -> None:
    postfix = Rig(tmp_path, recipients=2).postfix(BEGIN, MAIL, RCPT, RCPT)
    ((command, reply),) = postfix.say(RCPT)
    assert (command, reply[:9]) == (packets.REPLY, b"452 4.5.3")


def test_milter_keeps_mail_out_while_too_many_wait(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.waiting = 3
    postfix = rig.postfix(BEGIN, MAIL, RCPT)
    ((command, reply),) = postfix.say(DATA)
    assert (command, reply[:9]) == (packets.REPLY, b"451 4.3.2")
    assert rig.meter.shortages == ["backlog"]
    assert "mail-kept-out" in rig.log
    rig.waiting = 0
    assert postfix.say(packet(packets.ABORT), MESSAGE)[-1] == (packets.ACCEPT, b"")


@pytest.mark.parametrize("size", [70_000, 150_000])
def test_milter_what_is_too_much_is_said_at_the_end(tmp_path: Path, size: int) -> None:
    rig = Rig(tmp_path, message_size_limit="64KiB" if size == 70_000 else "1MiB")
    body = b"".join(packet(packets.BODY, b"x" * 10_000) for _ in range(size // 10_000))
    postfix = rig.postfix(BEGIN, MAIL, RCPT, DATA)
    assert postfix.say(HEADER, body) == []
    assert rig.intake.octets == 0
    ((command, reply),) = postfix.say(END)
    assert (command, reply[:3]) == (packets.REPLY, b"552" if size == 70_000 else b"452")
    assert rig.inspector.seen == []
    assert rig.meter.ends == [End.TOO_LARGE if size == 70_000 else End.NO_SPACE]
    assert postfix.say(MESSAGE)[-1] == (packets.ACCEPT, b"")


def test_milter_full_disk_for_the_last_octets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    rig = Rig(tmp_path)
    postfix = rig.postfix(BEGIN, MAIL, RCPT, DATA, HEADER, packet(packets.BODY, b"x" * 2000))
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        ((command, reply),) = postfix.say(packet(packets.BODY, b"y\r\n"), END)
    assert (command, reply[:9]) == (packets.REPLY, b"452 4.3.1")
    assert rig.inspector.seen == []
    assert (rig.meter.ends, rig.intake.octets) == ([End.NO_SPACE], 0)
    assert "spool-failed" in rig.log
    assert postfix.say(MESSAGE)[-1] == (packets.ACCEPT, b"")


@pytest.mark.parametrize("protocol", [POSTFIX, 0])
def test_milter_the_body_may_end_in_the_midst_of_a_line_end(tmp_path: Path, protocol: int) -> None:
    rig = Rig(tmp_path)
    postfix = rig.postfix(negotiate(protocol=protocol) + connect() + HELO + MAIL + RCPT + DATA)
    postfix.say(HEADER, packet(packets.BODY, b"Hi\r"), packet(packets.BODY, b"\n"))
    answers = postfix.say(END)
    assert answers[-1] == (packets.ACCEPT, b"")
    assert rig.inspector.seen[0][1].endswith(b"\r\n\r\nHi\r\n")


def test_milter_a_body_that_is_not_answered_comes_as_it_arrives() -> None:
    stream = b"".join(packet(packets.BODY, text) for text in (b"one", b"", b"two")) + HELO
    stream += packet(packets.BODY, b"three")
    reader = PacketReader()
    reader.flowing = True
    helo = (packets.HELO, HELO[5:])
    assert list(reader.feed(stream)) == [(packets.BODY, b"onetwo"), helo, (packets.BODY, b"three")]
    for cut in range(len(stream)):
        got = [*reader.feed(stream[:cut]), *reader.feed(stream[cut:])]
        place = got.index(helo)
        parts = (b"".join(data for _, data in some) for some in (got[:place], got[place + 1 :]))
        assert tuple(parts) == (b"onetwo", b"three"), cut
    with pytest.raises(MilterError):
        list(reader.feed(packet(packets.BODY, b"x" * MAX_PACKET)))
    reader = PacketReader()
    reader.flowing = True
    whole = packet(packets.BODY, b"x" * (MAX_PACKET - 1))
    assert [len(data) for _, data in reader.feed(whole[:100_000])] == [99_995]
    assert [len(data) for _, data in reader.feed(whole[100_000:])] == [MAX_PACKET - 1 - 99_995]


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


@pytest.mark.parametrize(
    ("said", "known"),
    [
        (connect(b"unknown"), ("", "192.0.2.9", "4711")),
        (connect(b"x\xff\n.example"), ("x??.example", "192.0.2.9", "4711")),
        (connect(family=b"6", address=b"2001:db8::1"), ("c.example", "2001:db8::1", "4711")),
        (connect(family=b"L", address=b"/run/socket"), ("c.example", "", "")),
        (packet(packets.CONNECT, b"c.example\0U"), ("c.example", "", "")),
        (connect(address=b"nonsense"), ("c.example", "", "")),
    ],
)
def test_milter_clients_of_every_kind(tmp_path: Path, said: bytes, known: tuple[str, str, str]) -> None:
    rig = Rig(tmp_path)
    rig.postfix(negotiate(), said, HELO, MESSAGE)
    client = rig.inspector.seen[0][0].client
    assert (client.name, client.address, client.port) == known


def test_milter_a_body_without_a_line_end_is_read_with_one(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.postfix(BEGIN, MAIL, RCPT, DATA, HEADER, packet(packets.BODY, b"."), END)
    assert rig.inspector.seen[0][1].endswith(b"\r\n\r\n..\r\n")


def test_milter_odd_paths_are_taken_as_postfix_took_them(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.inspector.disposition = Deliver(b"", {0: KEPT})
    odd = packet(packets.RCPT, b'<"a >b"@y.example>\0X=1\0')
    answers = rig.postfix(
        BEGIN, packet(packets.MAIL, b"<>\0"), odd, packet(packets.RCPT, b"<\xff <x\0"), DATA
    ).say(CONTENT)
    envelope = rig.inspector.seen[0][0]
    assert envelope.sender.address == ""
    assert len(envelope.recipients) == 2
    assert answers[0] == (packets.DELETE_RECIPIENT, b'<"a >b"@y.example>\0')


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\0\0\0\0",
        struct.pack(">I", MAX_PACKET + 1) + b"B",
        b"GET / HTTP/1.0\r\n\r\n",
        connect(),
        negotiate(version=2),
        negotiate(actions=0),
        packet(packets.NEGOTIATE, b"x"),
        BEGIN + packet(b"?"),
        BEGIN + RCPT,
        BEGIN + packet(packets.BODY, b"x"),
        BEGIN + END,
        BEGIN + MAIL + MAIL,
        BEGIN + MAIL + DATA,
        BEGIN + MAIL + RCPT + DATA + packet(packets.HEADER, b"no end"),
        BEGIN + MAIL + RCPT + DATA + RCPT,
        BEGIN + packet(packets.MACROS),
        negotiate() + packet(packets.CONNECT, b"x"),
        negotiate() + packet(packets.CONNECT, b"x\x004"),
    ],
)
def test_milter_nonsense_ends_the_connection_and_is_told(tmp_path: Path, nonsense: bytes) -> None:
    rig = Rig(tmp_path)
    postfix = rig.postfix(nonsense)
    assert postfix.line.disconnecting
    assert "milter-protocol" in rig.log
    postfix.say(MESSAGE)
    postfix.lose()
    assert rig.meter.open == 0
    assert rig.intake.octets == 0
    assert rig.inspector.seen == []


def test_milter_an_old_protocol_is_told_what_to_set(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.postfix(negotiate(version=2))
    assert "milter_protocol = 6" in rig.log


def test_milter_connections_are_bounded(tmp_path: Path) -> None:
    rig = Rig(tmp_path, connections=1)
    rig.postfix(BEGIN)
    other = rig.postfix()
    assert other.line.disconnecting
    assert rig.meter.away == 1
    other.lose()
    assert rig.meter.open == 1


def test_milter_stop_waits_for_the_mail_in_hand(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    verdict: Deferred[Any] = Deferred()
    rig.inspector.disposition = verdict
    postfix = rig.postfix(BEGIN, MESSAGE)
    idle = rig.postfix(BEGIN)
    stopped = rig.factory.stop()
    assert idle.line.disconnecting
    idle.lose()
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
