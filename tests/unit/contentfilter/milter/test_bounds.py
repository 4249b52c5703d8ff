"""The milter's bounds: mail, recipients, connections, and input that is none."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import pytest

from contentfilter.milter import packets
from contentfilter.milter.packets import MAX_PACKET, packet
from contentfilter.session.steps import End

from .miltered import BEGIN, DATA, END, HEADER, MAIL, MESSAGE, RCPT, Rig, connect, negotiate


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
        BEGIN + MAIL + RCPT + END,
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
