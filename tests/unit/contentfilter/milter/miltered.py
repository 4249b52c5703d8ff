"""Postfix, as it speaks with a milter, and contentfilter as one."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from contentfilter.disposition.splits import Splits
from contentfilter.milter import packets
from contentfilter.milter.packets import PacketReader, packet
from contentfilter.milter.server import MilterFactory
from contentfilter.session.intake import Intake
from contentfilter.session.server import Shared
from mailbase.config import ContentfilterSettings, ListenerSettings, SpoolSettings
from mailbase.config.contentfilter import WorkerSettings
from mailbase.logs import Log
from mailbase.replies import Reply

from ..proxied import Inspector, Line, Meter

NO = Reply(554, "5.7.1", "Macros [abc]")

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

DATA = packet(packets.MACROS, b"Ti\x004Q1\0") + packet(packets.DATA)
HEADER = field(b"Subject", b" x\n\ty") + field(b"X-Odd", b"no space") + packet(packets.END_OF_HEADER)
END = packet(packets.END_OF_MESSAGE)
CONTENT = HEADER + packet(packets.BODY, b".dot\r\nHi\r") + packet(packets.BODY, b"\n..\r\n") + END
MESSAGE = MAIL + RCPT + DATA + CONTENT


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
