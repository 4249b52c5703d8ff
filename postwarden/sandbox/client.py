"""A blocking SMTP client that sends the bytes it is told to, and says what it was answered.

Not for sending mail: it is the outside world of demo and tests, and may be as rude as they need.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType

from postwarden.sandbox.ports import LOOPBACK


class ConnectionLost(Exception):
    """The server closed the connection, or was silent too long."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: its code, and its lines without CRLF."""

    code: int
    lines: tuple[bytes, ...]

    def __str__(self) -> str:
        return " / ".join(line.decode("ascii", "backslashreplace") for line in self.lines)

    @property
    def positive(self) -> bool:
        return 200 <= self.code < 400


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one mail transaction went.

    Arguments:
        reply: the one that decided: the first refusal, or the last to end-of-data.
        stage: the command it answered: ``MAIL``, ``RCPT``, ``DATA`` or ``END``.
        recipients: the replies to RCPT.
        ends: all replies to end-of-data (LMTP has several).
    """

    reply: Reply
    stage: str
    recipients: tuple[Reply, ...] = ()
    ends: tuple[Reply, ...] = ()

    @property
    def code(self) -> int:
        return self.reply.code


class Dialogue:
    """One connection to an SMTP or LMTP server on loopback; a context manager.

    Arguments:
        port: where to.
        helo: name for EHLO or LHLO.
        timeout: seconds for each reply.
        lmtp: speak LMTP.
        source: loopback address to come from.
    """

    def __init__(
        self,
        port: int,
        helo: str | bytes = "client.example",
        timeout: float = 30.0,
        lmtp: bool = False,
        source: str = "",
    ) -> None:
        self.lmtp = lmtp
        self.helo = helo.encode() if isinstance(helo, str) else helo
        try:
            self._socket = socket.create_connection(
                (LOOPBACK, port), timeout, source_address=(source, 0) if source else None
            )
        except OSError as error:
            raise ConnectionLost(f"port {port}: {error}") from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb")
        self.banner = self.read()
        self.capabilities: Reply | None = None

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise ConnectionLost(str(error)) from error

    def read(self) -> Reply:
        """The next reply.

        Raises:
            ConnectionLost: none came.
        """
        lines: list[bytes] = []
        while True:
            try:
                line = self._stream.readline(65536)
            except OSError as error:
                raise ConnectionLost(str(error)) from error
            if not line.endswith(b"\n"):
                raise ConnectionLost(f"closed after {b' / '.join(lines)!r}")
            lines.append(line.rstrip(b"\r\n"))
            if not re.match(rb"\d\d\d-", line):
                code = lines[-1][:3]
                return Reply(int(code) if code.isdigit() else 0, tuple(lines))

    def command(self, line: str | bytes) -> Reply:
        """Send one command line and return the reply."""
        self.write((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.read()

    def hello(self) -> Reply:
        """EHLO or LHLO."""
        self.capabilities = self.command((b"LHLO " if self.lmtp else b"EHLO ") + self.helo)
        return self.capabilities

    def xclient(self, **attributes: str) -> Reply:
        """Appear as another client (Postfix XCLIENT_README): ``addr``, ``name``, ``login``, ``helo`` …

        Greets before, as XCLIENT wants; afterwards the dialogue is back at its banner.
        """
        self.hello()
        parts = [f"{key.upper()}={xtext(value)}" for key, value in attributes.items()]
        return self.command("XCLIENT " + " ".join(parts))

    def send(
        self,
        sender: str | bytes,
        recipients: Iterable[str | bytes],
        message: bytes,
        parameters: str = "",
    ) -> Outcome:
        """One mail transaction, greeting included if there was none.

        Arguments:
            sender: mailbox without angle brackets.
            recipients: likewise.
            message: octets to send; dots are stuffed, a missing CRLF at the end is added.
            parameters: put after ``MAIL FROM:<…>``.
        """
        if self.capabilities is None:
            self.hello()
        mail = self.command(
            b"MAIL FROM:<" + _bytes(sender) + b">" + (" " + parameters if parameters else "").encode()
        )
        if not mail.positive:
            return Outcome(mail, "MAIL")
        replies = tuple(self.command(b"RCPT TO:<" + _bytes(recipient) + b">") for recipient in recipients)
        accepted = sum(reply.positive for reply in replies)
        if not accepted:
            self.command("RSET")
            return Outcome(next(reply for reply in replies if not reply.positive), "RCPT", replies)
        data = self.command("DATA")
        if data.code != 354:
            return Outcome(data, "DATA", replies)
        self.write(stuffed(message) + b".\r\n")
        ends = tuple(self.read() for _ in range(accepted if self.lmtp else 1))
        decisive = next((reply for reply in ends if not reply.positive), ends[0])
        return Outcome(decisive, "END", replies, ends)

    def close(self) -> None:
        """QUIT if the server still listens, and close."""
        try:
            self._socket.settimeout(2.0)
            self.command("QUIT")
        except ConnectionLost:
            pass
        self.abort()

    def abort(self) -> None:
        """Close without QUIT."""
        self._stream.close()
        self._socket.close()

    def __enter__(self) -> Dialogue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def stuffed(message: bytes) -> bytes:
    """``message`` with dots stuffed and ending in CRLF."""
    if message.startswith(b"."):
        message = b"." + message
    message = message.replace(b"\r\n.", b"\r\n..")
    return message if message.endswith(b"\r\n") or not message else message + b"\r\n"


def xtext(value: str) -> str:
    """``value`` in xtext (RFC 3461 section 4), as XCLIENT wants it."""
    return "".join(
        chr(byte) if 33 <= byte <= 126 and byte not in b"+=" else f"+{byte:02X}" for byte in value.encode()
    )


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
