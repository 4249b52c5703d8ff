"""How a message leaves the quarantine: handed to Postfix as it is, and only then deleted.

Killed in between, the message stays, and is delivered twice at worst. It blocks: this is for the command
line.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from contentfilter.quarantine.entry import Entry, QuarantineError, locked, remove
from contentfilter.session.envelope import Envelope, Path
from contentfilter.smtp.client import ClientEngine, Finished, Job, Outcome, Result, SendContent, Write
from contentfilter.spool.unstuffing import stuffed
from mailbase.addresses import plain_address
from mailbase.config.places import Place, Tcp, Unix, parse_place

TIMEOUT = 300.0
"""Seconds for each answer of Postfix (RFC 5321 4.5.3.2.6 has ten minutes for the last one)."""
CONNECTING = 30.0
GOODBYE = 2.0
END = b".\r\n"


@dataclass(frozen=True, slots=True)
class Released:
    """What became of one message.

    Arguments:
        recipients: who gets it.
        reply: what Postfix said.
        kept: whether the message stays in the quarantine, since not all of its recipients were meant.
    """

    recipients: tuple[str, ...]
    reply: str
    kept: bool


def connect(place: Place) -> socket.socket:
    """A connection to Postfix.

    Raises:
        OSError: there is none.
    """
    match place:
        case Tcp(host=host, port=port):
            return socket.create_connection((host, port), CONNECTING)
        case Unix(path=path):
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(CONNECTING)
                connection.connect(path)
            except OSError:
                connection.close()
                raise
            return connection
        case _:
            raise QuarantineError(f"{place} is no place to deliver to")


def release(
    entry: Entry,
    place: str,
    hello: str,
    to: Sequence[str] = (),
    force: bool = False,
    connect: Callable[[Place], socket.socket] = connect,
) -> Released:
    """Deliver a message to its recipients, octet for octet, and delete it.

    Arguments:
        place: Postfix's port behind the content filter, ``host:port`` or ``unix:/path``.
        hello: our name for EHLO.
        to: only these recipients; then the message stays, unless they are all of them.
        force: ``to`` may name others than the message's own.
        connect: opens the connection.

    Raises:
        QuarantineError: it was not delivered, or may have been and is kept all the same.
    """
    with locked(entry.path):
        envelope = _envelope(entry)
        own = {plain_address(path.address): path for path in envelope.recipients}
        wanted = [own.get(plain_address(address), Path(address, _line(address))) for address in to]
        others = [path.address for path in wanted if plain_address(path.address) not in own]
        if others and not force:
            raise QuarantineError(
                f"{entry.path.name} is not for {', '.join(others)}; its recipients are "
                f"{', '.join(path.address for path in own.values())}; --force sends it elsewhere all the same"
            )
        if to:
            envelope.recipients = wanted
        if not envelope.recipients:
            raise QuarantineError(f"{entry.path.name} has no recipients")
        if not _intact(entry):
            raise QuarantineError(f"{entry.path.name} is damaged: it is not what was stored")
        outcome = _deliver(parse_place(place), hello, Job(envelope), entry, connect)
        said = str(outcome.replies[0]) if outcome.replies else ""
        match outcome.result:
            case Result.DELIVERED:
                pass
            case Result.UNKNOWN:
                raise QuarantineError(
                    f"{entry.path.name}: Postfix was lost before its last answer ({outcome.detail}); the "
                    f"message may have been delivered, and stays in the quarantine"
                )
            case Result.REFUSED:
                raise QuarantineError(f"{entry.path.name}: Postfix at {place} refuses it: {said}")
            case _:
                raise QuarantineError(f"{entry.path.name}: Postfix at {place}: {outcome.detail}")
        reached = {plain_address(path.address) for path in envelope.recipients}
        kept = not own.keys() <= reached
        if not kept:
            remove(entry.path)
        return Released(tuple(path.address for path in envelope.recipients), said, kept)


def _envelope(entry: Entry) -> Envelope:
    try:
        wire = entry.metadata["wire"]
        addresses, lines = entry.metadata["recipients"], wire["rcpt"]
        return Envelope(
            sender=Path(_text(entry.metadata["sender"]), _text(wire["mail"]).encode("latin-1")),
            xforward=[_text(line).encode("latin-1") for line in wire["xforward"]],
            recipients=[
                Path(_text(address), _text(line).encode("latin-1"))
                for address, line in zip(addresses, lines, strict=True)
            ],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise QuarantineError(f"{entry.path.name} is damaged: its envelope cannot be read") from error


def _intact(entry: Entry) -> bool:
    try:
        return entry.intact
    except OSError as error:
        raise QuarantineError(f"{entry.path}: {error.strerror}") from error


def _deliver(
    place: Place, hello: str, job: Job, entry: Entry, connect: Callable[[Place], socket.socket]
) -> Outcome:
    engine = ClientEngine(hello, job)
    try:
        with connect(place) as connection:
            connection.settimeout(TIMEOUT)
            while True:
                data = connection.recv(65536)
                actions = engine.receive(data) if data else engine.fail("connection closed")
                for action in actions:
                    match action:
                        case Write(data=line):
                            connection.sendall(line)
                        case SendContent():
                            for piece in stuffed(entry.message()):
                                connection.sendall(piece)
                            # From here on the message may be delivered.
                            engine.content_sent()
                            connection.sendall(END)
                        case Finished(outcome=outcome, polite=polite):
                            if polite:
                                _say_goodbye(connection)
                            return outcome
    except OSError as error:
        for action in engine.fail(error.strerror or "timed out"):
            if isinstance(action, Finished):
                return action.outcome
        raise QuarantineError(f"{entry.path.name}: {error}") from error


def _say_goodbye(connection: socket.socket) -> None:
    """End the conversation in peace; what it was about is settled."""
    try:
        connection.settimeout(GOODBYE)
        connection.sendall(b"QUIT\r\n")
        connection.recv(65536)
    except OSError:
        return


def _line(address: str) -> bytes:
    return f"<{address}>".encode()


def _text(value: Any) -> str:
    # What stands in a line must not end it.
    if not isinstance(value, str) or "\r" in value or "\n" in value:
        raise TypeError("expected a line of text")
    return value
