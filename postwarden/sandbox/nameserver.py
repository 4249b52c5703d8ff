"""A small authoritative DNS server on loopback, which can also fail, dawdle and lie.

It stands in for the whole of DNS where there is none: in the integration tests and in the demo. The
records come as master-file text (RFC 1035 5)::

    server = Nameserver('''
        mx.example.        A    192.0.2.1
        1.2.0.192.in-addr.arpa. PTR mx.example.
        *.dnsbl.example.   A    127.0.0.2
    ''')
    server.behave("slow.example", Behaviour(delay=2.0))

As a process: ``python -m postwarden.sandbox.nameserver ZONEFILE --port 5353``.
"""

from __future__ import annotations

import argparse
import contextlib
import enum
import heapq
import itertools
import random
import selectors
import signal
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.rdatatype

from postwarden.sandbox.ports import LOOPBACK
from postwarden.sandbox.zone import RECORD, Zone

UDP_LIMIT = 512
"""Octets of an answer to who does not offer more (RFC 1035 2.3.4)."""
BURST = 64
"""Packets read before the delayed answers are looked after."""

_HEADER = struct.Struct("!6H")


class Lie(enum.Enum):
    """How an answer may be wrong."""

    WRONG_ID = "wrong-id"
    WRONG_QUESTION = "wrong-question"
    WRONG_SOURCE = "wrong-source"
    """From another port than was asked."""
    NO_ANSWER_BIT = "no-answer-bit"
    EXTRA_RECORDS = "extra-records"
    """Records of names that were not asked for, in every section."""
    LOOP = "loop"
    """A name that is a pointer to itself."""
    GARBAGE = "garbage"
    SHORT = "short"
    """The last octets are missing."""
    HUGE = "huge"
    """60,000 octets, also where less was asked for."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What is done instead of answering at once and well.

    Arguments:
        drop: the share of questions that get no answer, 0 to 1.
        delay: seconds until the answer.
        rcode: a response code in the answer's place (2 SERVFAIL, 5 REFUSED).
        truncate: over UDP say that the answer is longer.
        lie: how the answer is wrong.
        honest_too: the right answer follows the wrong one.
        only_tcp: silence over UDP.
    """

    drop: float = 0.0
    delay: float = 0.0
    rcode: int | None = None
    truncate: bool = False
    lie: Lie | None = None
    honest_too: bool = False
    only_tcp: bool = False


_WELL = Behaviour()


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that came."""

    name: str
    rdtype: str
    tcp: bool
    port: int
    """Where it came from."""
    number: int
    """Its id."""
    at: float
    """Seconds of the monotonic clock."""


class Nameserver:
    """Answers on UDP and TCP at one loopback port, in a thread of its own.

    Arguments:
        zone: master-file text.
        port: 0 lets the kernel choose.
        host: loopback address to listen on.
        record: whether :attr:`asked` is kept.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, zone: str = "", port: int = 0, host: str = LOOPBACK, *, record: bool = True) -> None:
        self.zone = Zone(zone)
        self.asked: list[Asked] = []
        """Every question that came, in order."""
        self._record = record
        self._behaviours: dict[str, Behaviour] = {}
        self._random = random.Random(1)  # noqa: S311 - which packets are lost is to be the same each time
        self._later: list[tuple[float, int, Any]] = []
        self._count = itertools.count()
        self._selector = selectors.DefaultSelector()
        self.host = host
        self._udp, self._tcp = _pair(host, port)
        self.port = int(self._udp.getsockname()[1])
        self._selector.register(self._udp, selectors.EVENT_READ, self._datagrams)
        self._selector.register(self._tcp, selectors.EVENT_READ, self._accept)
        self._wake, wake = socket.socketpair()
        self._selector.register(wake, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name="nameserver", daemon=True)
        self._thread.start()

    def load(self, zone: str) -> None:
        """Put other records in the place of all.

        Raises:
            ValueError: as :class:`Zone`.
        """
        self.zone = Zone(zone)

    def behave(self, name: str = "", behaviour: Behaviour = _WELL) -> None:
        """Treat questions for ``name`` and what is below it (empty: all) so; the longest name counts."""
        self._behaviours = {**self._behaviours, name.lower().rstrip("."): behaviour}

    def close(self) -> None:
        """Stop answering and free the port."""
        with contextlib.suppress(OSError):
            self._wake.send(b"x")
        self._thread.join(5.0)

    def __enter__(self) -> Nameserver:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _run(self) -> None:
        with contextlib.ExitStack() as stack:
            for opened in (self._selector, self._udp, self._tcp, self._wake):
                stack.callback(opened.close)
            stack.callback(self._hang_up)
            while True:
                wait = max(0.0, self._later[0][0] - time.monotonic()) if self._later else None
                for key, _events in self._selector.select(wait):
                    if key.data is None:
                        return
                    key.data(key.fileobj)
                now = time.monotonic()
                while self._later and self._later[0][0] <= now:
                    heapq.heappop(self._later)[2]()

    def _hang_up(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]

    def _datagrams(self, sock: socket.socket) -> None:
        for _ in range(BURST):
            try:
                packet, source = sock.recvfrom(65535)
            except BlockingIOError:
                return
            except OSError:
                continue  # a refusal of an earlier answer

            def send(answer: bytes, liar: bool = False, source: Any = source) -> None:
                with contextlib.suppress(OSError):
                    if liar:
                        with socket.socket(sock.family, socket.SOCK_DGRAM) as other:
                            other.sendto(answer, source)
                    else:
                        sock.sendto(answer, source)

            self._handle(packet, source[1], False, send)

    def _accept(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, _source = sock.accept()
            connection.settimeout(2.0)
            connection.setblocking(False)
            received = bytearray()
            self._selector.register(connection, selectors.EVENT_READ, lambda one: self._stream(one, received))

    def _stream(self, connection: socket.socket, received: bytearray) -> None:
        try:
            data = connection.recv(65535)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(connection)
            connection.close()
            return
        received += data
        while len(received) >= 2 and len(received) >= 2 + (size := int.from_bytes(received[:2])):
            packet = bytes(received[2 : 2 + size])
            del received[: 2 + size]

            def send(answer: bytes, liar: bool = False) -> None:
                # Blocking: an answer is at most 64 KiB, and the other end is on this machine.
                with contextlib.suppress(OSError, ValueError):
                    connection.settimeout(2.0)
                    connection.sendall(len(answer).to_bytes(2) + answer)
                    connection.setblocking(False)

            self._handle(packet, connection.getpeername()[1], True, send)

    def _handle(self, packet: bytes, port: int, tcp: bool, send: Any) -> None:
        try:
            name, kind, end = _question(packet)
        except (IndexError, struct.error):
            return
        text = _text(name)
        if self._record:
            label = dns.rdatatype.RdataType.to_text(dns.rdatatype.RdataType.make(kind))
            number = int.from_bytes(packet[:2])
            self.asked.append(Asked(text, label, tcp, port, number, time.monotonic()))
        how = self._behaviour(text)
        if (how.drop and self._random.random() < how.drop) or (how.only_tcp and not tcp):
            return
        for answer, liar in self._answers(packet, name.lower(), kind, end, tcp, how):
            if how.delay:
                at = time.monotonic() + how.delay
                entry = (at, next(self._count), lambda answer=answer, liar=liar: send(answer, liar))
                heapq.heappush(self._later, entry)
            else:
                send(answer, liar)

    def _behaviour(self, name: str) -> Behaviour:
        behaviours = self._behaviours
        if not behaviours:
            return _WELL
        while name not in behaviours and name:
            name = name.partition(".")[2]
        return behaviours.get(name, _WELL)

    def _answers(
        self, packet: bytes, name: bytes, kind: int, end: int, tcp: bool, how: Behaviour
    ) -> list[tuple[bytes, bool]]:
        """What goes out, and whether it comes from the wrong port."""
        number, question = packet[:2], packet[12:end]
        limit = 65535 if tcp else _offered(packet, end)
        if how.rcode is not None:
            return [(_packet(number, how.rcode, question), False)]
        if how.truncate and not tcp:
            return [(_packet(number, 0, question, truncated=True), False)]
        honest = _packet(number, *self._parts(name, kind, question))
        if len(honest) > limit:
            honest = _packet(number, 0, question, truncated=True)
        if how.lie is None:
            return [(honest, False)]
        wrong = _lie(how.lie, honest, number, question)
        lies = [(wrong, how.lie is Lie.WRONG_SOURCE)]
        return [*lies, (honest, False)] if how.honest_too else lies

    def _parts(self, name: bytes, kind: int, question: bytes) -> tuple[int, bytes, list[bytes], list[bytes]]:
        code, answers, authority = self.zone.answer(name, kind)
        return code, question, answers, authority


def _pair(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket at one port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for attempt in itertools.count():
        udp = socket.socket(family, socket.SOCK_DGRAM)
        tcp = socket.socket(family, socket.SOCK_STREAM)
        try:
            # A thousand questions may come at once.
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            udp.bind((host, port))
            tcp.bind((host, udp.getsockname()[1]))
            tcp.listen(512)
        except OSError:
            udp.close()
            tcp.close()
            if port or attempt == 20:
                raise
            continue  # the number was free for UDP only
        udp.setblocking(False)
        tcp.setblocking(False)
        return udp, tcp
    raise AssertionError


def _question(packet: bytes) -> tuple[bytes, int, int]:
    """Name, type, and where the question ends."""
    at = 12
    while packet[at]:
        at += 1 + packet[at]
    kind, _class = struct.unpack_from("!HH", packet, at + 1)
    return packet[12 : at + 1], kind, at + 5


def _text(name: bytes) -> str:
    labels = []
    while name != b"\0":
        labels.append(name[1 : 1 + name[0]].decode("latin-1").lower())
        name = name[1 + name[0] :]
    return ".".join(labels)


def _offered(packet: bytes, end: int) -> int:
    """Octets that the other side takes over UDP: the class of its OPT record (RFC 6891 6.1.2)."""
    has_opt = packet[10:12] != b"\0\0" and packet[end : end + 3] == b"\0\0\x29"
    return max(UDP_LIMIT, int.from_bytes(packet[end + 3 : end + 5])) if has_opt else UDP_LIMIT


def _packet(
    number: bytes,
    code: int,
    question: bytes,
    answers: list[bytes] | None = None,
    authority: list[bytes] | None = None,
    *,
    truncated: bool = False,
) -> bytes:
    answers, authority = answers or [], authority or []
    flags = 0x8580 | code | (0x0200 if truncated else 0)
    head = _HEADER.pack(int.from_bytes(number), flags, 1, len(answers), len(authority), 0)
    return head + question + b"".join(answers) + b"".join(authority)


def _lie(lie: Lie, honest: bytes, number: bytes, question: bytes) -> bytes:
    """A wrong answer in place of the ``honest`` one; where it says something it says 203.0.113.66."""
    forged = b"\xc0\x0c" + RECORD.pack(1, 1, 86400, 4) + bytes([203, 0, 113, 66])
    victim = b"\6victim\7example\0"
    poison = victim + RECORD.pack(1, 1, 86400, 4) + bytes([203, 0, 113, 66])
    match lie:
        case Lie.WRONG_ID:
            other = (int.from_bytes(number) ^ 0x5555).to_bytes(2)
            return _packet(other, 0, question, [forged])
        case Lie.WRONG_QUESTION:
            return _packet(number, 0, victim + b"\0\1\0\1", [forged])
        case Lie.WRONG_SOURCE:
            return _packet(number, 0, question, [forged])
        case Lie.NO_ANSWER_BIT:
            wrong = _packet(number, 0, question, [forged])
            return wrong[:2] + bytes([wrong[2] & 0x7F]) + wrong[3:]
        case Lie.EXTRA_RECORDS:
            answers = int.from_bytes(honest[6:8])
            end = 12 + len(question)
            counts = _HEADER.pack(*_HEADER.unpack_from(honest)[:3], answers + 1, 0, 0)
            return counts + question + poison + honest[end:]
        case Lie.LOOP:
            end = 12 + len(question)
            loop = (0xC000 | end).to_bytes(2) + RECORD.pack(1, 1, 300, 4) + bytes(4)
            return _packet(number, 0, question, [loop])
        case Lie.GARBAGE:
            return number + honest[2 : 12 + len(question)] + b"\xff" * 40
        case Lie.SHORT:
            return honest[:-3]
        case Lie.HUGE:
            return _packet(number, 0, question, [forged] * 3700)


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="nameserver", description="An authoritative DNS server on loopback."
    )
    parser.add_argument("zone", type=Path, help="file with records as in a zone file")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds until each answer")
    options = parser.parse_args(arguments)
    # Before the thread begins, which would else be told in our place.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with Nameserver(options.zone.read_text(), options.port, options.host, record=False) as server:
        server.behave("", Behaviour(delay=options.delay))
        print(server.port, flush=True)
        signal.sigwait(ends)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
