"""A Redis server without a socket, in simulated time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from mailbase.store.redis.link import Link

ROLE = [b"master", 0, []]


class Wire:
    """The server's end of one connection."""

    disconnecting = False

    def __init__(self, server: Server, link: Link) -> None:
        self.server = server
        self.link = link
        self.open = True

    def write(self, data: bytes) -> None:
        for command in commands(data):
            self.server.commands.append(command)
            reply = self.server.answer(command)
            if not self.server.silent:
                self.server.clock.callLater(self.server.delay, self.say, reply)

    def say(self, reply: Any) -> None:
        if self.open:
            self.link.dataReceived(encoded(reply))

    def abortConnection(self) -> None:
        if self.open:
            self.open = False
            self.server.clock.callLater(0, self.link.connectionLost, Failure(ConnectionDone()))


class Server:
    """Answers by its table; an Exception there is an error reply, a function gets the command's arguments."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.commands: list[list[bytes]] = []
        self.table: dict[bytes, Any] = {b"ROLE": ROLE, b"PING": "PONG", b"SCRIPT": b"digest", b"AUTH": "OK"}
        self.silent = self.hangs = self.refuses = False
        self.delay = 0.0
        self.attempts: list[tuple[float, str, int]] = []
        self.wires: list[Wire] = []

    def answer(self, command: list[bytes]) -> Any:
        reply = self.table.get(command[0], b"")
        return reply(*command[1:]) if callable(reply) else reply

    def connect(self, host: str, port: int, make: Callable[[], Link]) -> Deferred[Link]:
        self.attempts.append((self.clock.seconds(), host, port))
        if self.refuses:
            return fail(ConnectionRefusedError())
        if self.hangs:
            return Deferred()
        link = make()
        self.wires.append(Wire(self, link))
        link.makeConnection(self.wires[-1])
        return succeed(link)

    def break_connection(self) -> None:
        wire = self.wires[-1]
        wire.open = False
        wire.link.connectionLost(Failure(ConnectionDone()))

    def sent(self, name: bytes) -> list[list[bytes]]:
        return [command for command in self.commands if command[0] == name]


def commands(data: bytes) -> list[list[bytes]]:
    found = []
    while data:
        head, _, data = data.partition(b"\r\n")
        words = []
        for _ in range(int(head[1:])):
            size, _, data = data.partition(b"\r\n")
            length = int(size[1:])
            words.append(data[:length])
            data = data[length + 2 :]
        found.append(words)
    return found


def encoded(reply: Any) -> bytes:
    match reply:
        case Exception():
            return b"-%b\r\n" % str(reply).encode()
        case int():
            return b":%d\r\n" % reply
        case str():
            return b"+%b\r\n" % reply.encode()
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(reply), reply)
        case list():
            return b"*%d\r\n%b" % (len(reply), b"".join(map(encoded, reply)))
        case _:
            return b"$-1\r\n"
