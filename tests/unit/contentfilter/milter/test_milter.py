"""The milter: a mail, and what is said of it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from contentfilter.disposition.disposition import Answer, Deliver
from contentfilter.milter import packets
from contentfilter.milter.packets import MAX_PACKET, MilterError, PacketReader, packet
from contentfilter.session.steps import End
from mailbase.replies import Reply

from .miltered import (
    BEGIN,
    CONTENT,
    DATA,
    END,
    HEADER,
    HELO,
    MAIL,
    MESSAGE,
    NO,
    POSTFIX,
    RCPT,
    Rig,
    connect,
    field,
    negotiate,
)

KEPT = Reply(250, "2.0.0", "Ok, quarantined")

OTHER = packet(packets.RCPT, b"<c@y.example>\0NOTIFY=NEVER\0")

WIRE = b"Subject: x\r\n\ty\r\nX-Odd:no space\r\n\r\n..dot\r\nHi\r\n...\r\n"
GO = packet(packets.CONTINUE)


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
