"""Commands for the wire (RESP 2): arrays of bulk strings. Pure."""

from __future__ import annotations

from typing import Any


def encoded(args: tuple[Any, ...]) -> bytes:
    """A command: its name and arguments."""
    return b"*%d\r\n%b" % (len(args), b"".join(map(bulk, args)))


def bulk(argument: Any) -> bytes:
    """Octets, a text or a number, as they stand in a command."""
    octets = argument if type(argument) is bytes else str(argument).encode("utf-8", "replace")
    return b"$%d\r\n%b\r\n" % (len(octets), octets)
