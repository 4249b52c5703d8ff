"""Packets of the milter protocol, version 6: what they are made of, and nothing of what they mean. Pure.

Each is a length in four octets, most significant first, and so many octets: one that names the command, then
its data. Texts in it end with NUL. There is no document of the protocol's owner; names and values are those
of libmilter's header files (mfdef.h and mfapi.h of Sendmail), as Postfix uses them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

VERSION = 6

MAX_PACKET = 1 << 20
"""Octets of one packet; Postfix sends 64 KiB of a body, and a header field up to header_size_limit."""

# What the mail server says.
NEGOTIATE = b"O"
MACROS = b"D"
CONNECT = b"C"
HELO = b"H"
MAIL = b"M"
RCPT = b"R"
DATA = b"T"
HEADER = b"L"
END_OF_HEADER = b"N"
BODY = b"B"
END_OF_MESSAGE = b"E"
ABORT = b"A"
QUIT = b"Q"
QUIT_AND_AGAIN = b"K"
UNKNOWN = b"U"

# What is answered.
CONTINUE = b"c"
ACCEPT = b"a"
DISCARD = b"d"
REPLY = b"y"
INSERT_HEADER = b"i"
DELETE_RECIPIENT = b"-"

# What a filter may do to a mail (SMFIF_...).
MAY_ADD_HEADERS = 0x01
MAY_DELETE_RECIPIENTS = 0x08

# What need not be sent or answered (SMFIP_...).
NO_UNKNOWN = 0x100
SILENT = {
    HEADER: 0x80,
    CONNECT: 0x1000,
    HELO: 0x2000,
    MAIL: 0x4000,
    RCPT: 0x8000,
    DATA: 0x10000,
    UNKNOWN: 0x20000,
    END_OF_HEADER: 0x40000,
    BODY: 0x80000,
}
"""Command → the flag by which both agree that it is not answered."""
LEADING_SPACE = 0x100000
"""Header values come and go with the space behind the colon, as it was."""

_LENGTH = struct.Struct(">I")
_NEGOTIATION = struct.Struct(">III")
_PLACE = struct.Struct(">I")


class MilterError(ValueError):
    """The other side does not keep to the protocol; the text says in what."""


class PacketReader:
    """Cuts what arrives into packets, wherever it was cut before.

    Attributes:
        flowing: the body comes as it arrives, in pieces that hold several of its packets, or a part of one;
            for those who need not answer each.
    """

    def __init__(self) -> None:
        self.flowing = False
        self._begun = bytearray()
        """A packet that is not complete."""
        self._wanted = 0
        """Octets from which on something can be said of it."""
        self._left = 0
        """Octets that are to come of a packet of the body."""

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Take ``data``; yields the packets that are complete, each as command and its data.

        Raises:
            MilterError: a packet that is empty or larger than ``MAX_PACKET``, in its turn.
        """
        if self._begun:
            self._begun += data
            if len(self._begun) < self._wanted:
                return
            data, self._begun = bytes(self._begun), bytearray()
        view, end = memoryview(data), len(data)
        place = min(self._left, end)
        body = [view[:place]] if place else []
        self._left -= place
        try:
            while end - place >= 4:
                (length,) = _LENGTH.unpack_from(data, place)
                possible = 0 < length <= MAX_PACKET
                start, after = place + 5, place + 4 + length
                command = data[place + 4 : start]
                if self.flowing and possible and command == BODY:
                    place = min(after, end)
                    self._left = after - place
                    body.append(view[start:place])
                    continue
                if body:
                    yield BODY, b"".join(body)
                    body.clear()
                if not possible:
                    raise MilterError(f"a packet of {length} octets")
                if after > end:
                    self._wanted = 4 + length
                    return
                place = after
                yield command, data[start:after]
            self._wanted = 4
            if body:
                yield BODY, b"".join(body)
        finally:
            self._begun += data[place:]


def packet(command: bytes, data: bytes = b"") -> bytes:
    """The packet for ``command`` with its data."""
    return _LENGTH.pack(1 + len(data)) + command + data


def texts(data: bytes) -> list[bytes]:
    """The texts in ``data``, each of which ends with NUL; what stands behind the last NUL is one as well."""
    return data.removesuffix(b"\0").split(b"\0")


def parse_negotiation(data: bytes) -> tuple[int, int, int]:
    """Version, what a filter may do, and what need not be sent or answered, as the mail server offers it.

    Raises:
        MilterError: too short.
    """
    if len(data) < _NEGOTIATION.size:
        raise MilterError("a negotiation that is cut off")
    version, actions, protocol = _NEGOTIATION.unpack_from(data)
    return version, actions, protocol


def negotiation(version: int, actions: int, protocol: int) -> bytes:
    """Our answer to it."""
    return packet(NEGOTIATE, _NEGOTIATION.pack(version, actions, protocol))


def parse_macros(data: bytes) -> tuple[bytes, dict[str, str]]:
    """The command that macros belong to, and their values by name without braces.

    Raises:
        MilterError: no command.
    """
    if not data:
        raise MilterError("macros of nothing")
    words = [word.decode("utf-8", "backslashreplace") for word in texts(data[1:])]
    return data[:1], {name.strip("{}"): value for name, value in zip(words[::2], words[1::2], strict=False)}


def parse_connect(data: bytes) -> tuple[bytes, str, int, str]:
    """The client of a connection: name, family (``4``, ``6``, ``L`` or ``U``), port, address.

    Raises:
        MilterError: cut off.
    """
    name, end, rest = data.partition(b"\0")
    family = rest[:1].decode("latin-1")
    if not end or not family:
        raise MilterError("a client that is cut off")
    if family == "U":
        return name, family, 0, ""
    if len(rest) < 3:
        raise MilterError("a client that is cut off")
    return name, family, int.from_bytes(rest[1:3], "big"), rest[3:].partition(b"\0")[0].decode("latin-1")


def inserted(lines: Iterable[bytes], leading_space: bool) -> bytes:
    """Packets that put header lines at the top of a mail, in this order.

    Arguments:
        lines: each with its CRLF, perhaps folded.
        leading_space: whether that behind the colon is part of a value.
    """
    out = []
    for place, line in enumerate(lines):
        name, _, value = line.removesuffix(b"\r\n").partition(b":")
        if not leading_space:
            value = value.removeprefix(b" ")
        data = _PLACE.pack(place) + name + b"\0" + value.replace(b"\r\n", b"\n") + b"\0"
        out.append(packet(INSERT_HEADER, data))
    return b"".join(out)
