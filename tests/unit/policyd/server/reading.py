"""Socket pairs that stand for smtpds, and a reactor that looks at them when told to."""

from __future__ import annotations

import select
import socket
from typing import Any

from twisted.internet.task import Clock

from policyd.server.readers import Readers


class Reactor(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.reading: list[Any] = []

    def addReader(self, reader: Any) -> None:
        self.reading.append(reader)

    def removeReader(self, reader: Any) -> None:
        self.reading.remove(reader)


class Pair:
    """Two ends; what is read of the one is noted."""

    def __init__(self, readers: Readers) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.got = b""
        self.ends = 0
        self.failures = 0
        self.readers = readers
        self.watch()

    def watch(self) -> None:
        self.readers.add(self.ours.fileno(), self.ours.recv, self.received, self.ended, self.failed)

    def received(self, data: bytes) -> None:
        self.got += data

    def ended(self) -> None:
        self.ends += 1

    def failed(self) -> None:
        self.failures += 1

    def close(self) -> None:
        self.readers.remove(self.ours.fileno())
        self.ours.close()
        self.theirs.close()


def is_ready(readers: Readers) -> bool:
    """Whether the reactor would call us."""
    return bool(select.select([readers], [], [], 0)[0])
