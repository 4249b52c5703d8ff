"""Lines of the control socket, without a socket: encode, split, decode, bound."""

from __future__ import annotations

import json
from typing import Any

MAX_LINE = 1024 * 1024
"""Octets of one line, LF included."""


class ControlError(Exception):
    """A request that cannot be carried out; the text is for the person who asked."""


def encode(message: dict[str, Any]) -> bytes:
    """One line for the wire.

    Raises:
        ControlError: the message is larger than a line may be.
    """
    line = json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"
    if len(line) > MAX_LINE:
        raise ControlError(f"message of {len(line)} octets; at most {MAX_LINE} fit a line")
    return line


def decode(line: bytes) -> dict[str, Any]:
    """The object of one line.

    Raises:
        ControlError: not a JSON object.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ControlError(f"not a JSON object: {error}") from error
    if not isinstance(message, dict):
        raise ControlError("not a JSON object")
    return message


class Lines:
    """Collects bytes and hands out whole lines."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that ``data`` completes, without LF.

        Raises:
            ControlError: a line is longer than allowed.
        """
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = bytearray(rest)
        if len(rest) >= MAX_LINE or any(len(line) >= MAX_LINE for line in lines):
            raise ControlError(f"line longer than {MAX_LINE} octets")
        return [bytes(line) for line in lines]
