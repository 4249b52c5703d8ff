"""What is common to all that daemon and its processes say to each other: answers, and the frames they come
in."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

MAX_ANSWER = 1024 * 1024
"""Octets of one answer, without its length."""

Reason: TypeAlias = Literal["crashed", "out-of-memory", "protocol"]
R_co = TypeVar("R_co", covariant=True)

_LENGTH = struct.Struct(">I")


class Garbage(Exception):
    """The other end said something that no honest one says; the text is for the log."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has loaded its libraries and confined itself.

    Arguments:
        missing: what of the confinement the kernel did not grant, in words.
    """

    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Done(Generic[R_co]):
    """The task's result.

    Arguments:
        retire: the worker has grown too large and asks to be replaced.
    """

    result: R_co
    retire: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The task could not be done, and the worker knows it; after it the worker is replaced."""

    reason: Reason
    detail: str = ""


def framed(body: bytes) -> bytes:
    """An answer behind its length, in four octets."""
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Collects the bytes of a worker's pipe and hands out the frame they make.

    There is one at a time: a worker that speaks on before its next task would answer for a mail that it
    has not seen.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> bytes | None:
        """The frame that ``data`` completes, if it does.

        Raises:
            Garbage: the frame is longer than allowed, or something stands behind it.
        """
        buffer = self._buffer
        buffer += data
        if len(buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(buffer)
        if length > MAX_ANSWER:
            raise Garbage(f"a frame of {length} octets; at most {MAX_ANSWER} are allowed")
        end = _LENGTH.size + length
        if len(buffer) < end:
            return None
        if len(buffer) > end:
            raise Garbage("more than one answer")
        self._buffer = bytearray()
        return bytes(buffer[_LENGTH.size :])
