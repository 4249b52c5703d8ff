"""What is written goes out at once, in order and whole, and nothing else changes."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from twisted.internet.testing import StringTransport

from mailbase.prompt import Prompt


class Wire:
    """A transport with a socket that takes so many octets, and then none."""

    def __init__(self, room: int | OSError = 1 << 20) -> None:
        self.room = room
        self.sent = b""
        self.buffered = b""
        self.calls = 0

    def getHandle(self) -> Any:
        return self

    def send(self, data: bytes) -> int:
        self.calls += 1
        if isinstance(self.room, OSError):
            raise self.room
        if not self.room:
            raise BlockingIOError(errno.EAGAIN, "full")
        taken = data[: self.room]
        self.room -= len(taken)
        self.sent += taken
        return len(taken)

    def write(self, data: bytes) -> None:
        self.buffered += data


def test_what_is_written_is_sent_without_the_transport() -> None:
    wire = Wire()
    prompt = Prompt(wire)
    prompt.write(b"250 Ok\r\n")
    prompt.write(b"354 Go\r\n")
    assert (wire.sent, wire.buffered) == (b"250 Ok\r\n354 Go\r\n", b"")


@pytest.mark.parametrize("room", range(9))
def test_what_does_not_fit_is_left_to_the_transport_and_so_is_all_that_follows(room: int) -> None:
    wire = Wire(room)
    prompt = Prompt(wire)
    prompt.write(b"250 Ok\r\n")
    wire.room = 1 << 20
    prompt.write(b"354 Go\r\n")
    assert wire.sent + wire.buffered == b"250 Ok\r\n354 Go\r\n"
    assert wire.calls == (2 if room == 8 else 1), "once something waits, nothing may overtake it"


def test_a_lost_connection_is_left_for_the_transport_to_find() -> None:
    wire = Wire(ConnectionResetError(errno.ECONNRESET, "reset by peer"))
    Prompt(wire).write(b"250 Ok\r\n")
    assert wire.buffered == b"250 Ok\r\n"


def test_what_the_kernel_does_not_take_may_be_had_back() -> None:
    wire = Wire(3)
    prompt = Prompt(wire)
    assert prompt.send(b"250 Ok\r\n") == b" Ok\r\n"
    assert wire.buffered == b""


def test_a_transport_without_a_socket_is_written_to() -> None:
    transport = StringTransport()
    Prompt(transport).write(b"x")
    assert transport.value() == b"x"
