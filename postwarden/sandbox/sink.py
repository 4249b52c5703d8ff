"""An SMTP server that keeps exactly what it was sent: the end of the line in demo and tests."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BufferedReader

from postwarden.sandbox.ports import LOOPBACK
from postwarden.sandbox.waiting import wait_until

GREETING = b"220 sink.example ESMTP\r\n"
CAPABILITIES = (
    b"PIPELINING",
    b"8BITMIME",
    b"SIZE 0",
    b"ENHANCEDSTATUSCODES",
    b"SMTPUTF8",
    b"DSN",
    b"XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE",
)
IDLE = 300.0
"""Seconds after which a silent client is dropped."""
MAX_LINE = 1 << 20


@dataclass(frozen=True, slots=True)
class Delivery:
    """One mail as it arrived.

    Arguments:
        sender: what followed ``MAIL FROM:``, parameters included.
        recipients: what followed each accepted ``RCPT TO:``.
        data: the message's octets, dots un-stuffed, without the end-of-data.
        at: seconds since the epoch.
        xforward: XFORWARD command lines before it.
    """

    sender: bytes
    recipients: tuple[bytes, ...]
    data: bytes
    at: float
    xforward: tuple[bytes, ...] = ()

    @property
    def header(self) -> bytes:
        """The header section with the CRLF of its last line."""
        return self.data.partition(b"\r\n\r\n")[0] + b"\r\n"

    def field(self, name: str) -> str:
        """Text of the topmost header field ``name``, unfolded; empty if there is none."""
        wanted = name.lower().encode() + b":"
        lines = self.header.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n")
        for line in lines:
            if line.lower().startswith(wanted):
                return line[len(wanted) :].strip().decode("utf-8", "replace")
        return ""


@dataclass(slots=True)
class _Transaction:
    sender: bytes = b""
    recipients: list[bytes] = field(default_factory=list)
    xforward: list[bytes] = field(default_factory=list)


class Sink:
    """Listens on a loopback port and keeps every mail in memory.

    Arguments:
        port: 0 lets the kernel choose.
        on_recipient: returns the reply to a RCPT, such as ``b"550 5.1.1 no"``; the default accepts all.
        on_message: returns the reply to end-of-data; a mail answered negatively is not kept.
        host: loopback address to listen on.
        tls: offers STARTTLS with it.

    Attributes:
        asked: what followed each ``RCPT TO:``, and whether under TLS.
        capabilities: what is announced; may be changed.
    """

    def __init__(
        self,
        port: int = 0,
        on_recipient: Callable[[bytes], bytes] | None = None,
        on_message: Callable[[Delivery], bytes] | None = None,
        host: str = LOOPBACK,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.asked: list[tuple[bytes, bool]] = []
        self.capabilities: tuple[bytes, ...] = CAPABILITIES
        self._tls = tls
        self.on_recipient = on_recipient or (lambda recipient: b"250 2.1.5 Ok")
        self.on_message = on_message or (lambda delivery: b"250 2.0.0 Ok: kept")
        self._deliveries: list[Delivery] = []
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=512)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="sink", daemon=True).start()

    def deliveries(self) -> list[Delivery]:
        """All mails so far, oldest first."""
        with self._lock:
            return list(self._deliveries)

    def find(self, text: bytes) -> list[Delivery]:
        """The mails whose octets hold ``text``."""
        return [delivery for delivery in self.deliveries() if text in delivery.data]

    def wait_for(self, text: bytes, count: int = 1, within: float = 15.0) -> list[Delivery]:
        """Wait until ``count`` mails holding ``text`` have arrived.

        Raises:
            DeadlineMissed: not within ``within`` seconds.
        """

        def enough() -> list[Delivery]:
            found = self.find(text)
            return found if len(found) >= count else []

        return wait_until(
            enough,
            within,
            f"{count} mail(s) with {text!r} at the sink",
            lambda: f"{len(self.find(text))} came",
        )

    def clear(self) -> None:
        """Forget all mails."""
        with self._lock:
            self._deliveries.clear()

    def close(self) -> None:
        """Stop listening and drop all connections."""
        # shutdown wakes the thread in accept(); closing alone does not.
        for sock in (self._listener, *self._open()):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _open(self) -> list[socket.socket]:
        with self._lock:
            return list(self._connections)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(IDLE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection, connection.makefile("rb") as stream:
                connection.sendall(GREETING)
                if self._converse(connection, stream) and self._tls is not None:
                    # Nobody speaks before the handshake, so nothing is left in the stream.
                    with (
                        self._tls.wrap_socket(connection, server_side=True) as secured,
                        secured.makefile("rb") as inner,
                    ):
                        self._converse(secured, inner)
        except OSError:
            pass  # the client went away
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _converse(self, connection: socket.socket, stream: BufferedReader) -> bool:
        """Serve until the end; whether the end is STARTTLS."""
        secured = isinstance(connection, ssl.SSLSocket)
        offered = self.capabilities
        if self._tls is not None and not secured:
            offered = (*offered, b"STARTTLS")
        transaction = _Transaction()
        while line := stream.readline(MAX_LINE):
            verb = line[:8].upper().strip()
            rest = line.partition(b":")[2].strip()
            if verb.startswith((b"EHLO", b"LHLO", b"HELO")):
                lines = (b"sink.example", *offered)
                reply = b"".join(b"250-" + text + b"\r\n" for text in lines[:-1]) + b"250 " + lines[-1]
                transaction = _Transaction()
            elif verb.startswith(b"XFORWARD"):
                transaction.xforward.append(line.rstrip(b"\r\n"))
                reply = b"250 2.0.0 Ok"
            elif verb.startswith(b"MAIL"):
                transaction.sender = rest
                reply = b"250 2.1.0 Ok"
            elif verb.startswith(b"RCPT"):
                self.asked.append((rest, secured))
                reply = self.on_recipient(rest)
                if reply.startswith(b"2"):
                    transaction.recipients.append(rest)
            elif verb.startswith(b"DATA"):
                if not transaction.recipients:
                    reply = b"554 5.5.1 no valid recipients"
                else:
                    connection.sendall(b"354 End data with <CR><LF>.<CR><LF>\r\n")
                    if (data := read_message(stream)) is None:
                        return False
                    reply = self._keep(transaction, data)
                    transaction = _Transaction()
            elif verb.startswith(b"RSET"):
                transaction = _Transaction()
                reply = b"250 2.0.0 Ok"
            elif verb.startswith(b"QUIT"):
                connection.sendall(b"221 2.0.0 Bye\r\n")
                return False
            elif verb.startswith(b"STARTTLS") and b"STARTTLS" in offered:
                connection.sendall(b"220 2.0.0 Go on\r\n")
                return True
            else:
                reply = b"250 2.0.0 Ok"
            connection.sendall(reply + b"\r\n")
        return False

    def _keep(self, transaction: _Transaction, data: bytes) -> bytes:
        delivery = Delivery(
            transaction.sender,
            tuple(transaction.recipients),
            data,
            time.time(),
            tuple(transaction.xforward),
        )
        reply = self.on_message(delivery)
        if reply.startswith(b"2"):
            with self._lock:
                self._deliveries.append(delivery)
        return reply


def read_message(stream: BufferedReader) -> bytes | None:
    """Read a message up to CRLF.CRLF and un-stuff its dots (RFC 5321 4.5.2).

    Returns:
        The octets; None if the stream ended first.
    """
    pieces: list[bytes] = []
    fresh = True  # at the start of a line, that is after CRLF; a bare LF starts none
    while line := stream.readline(MAX_LINE):
        if fresh and line == b".\r\n":
            return b"".join(pieces)
        pieces.append(line[1:] if fresh and line.startswith(b".") else line)
        fresh = line.endswith(b"\r\n") or (
            line == b"\n" and bool(pieces[-2:-1]) and pieces[-2].endswith(b"\r")
        )
    return None
