"""What is written goes out at once, and nothing else changes."""

from __future__ import annotations

import pytest
from twisted.internet.testing import StringTransport

from contentfilter import prompt


class Transport:
    """Twisted's, as far as it matters."""

    connected = True
    disconnecting = False

    def __init__(self) -> None:
        self.rounds = 0

    def doWrite(self) -> object:
        self.rounds += 1
        return OSError("reset by peer")


def test_what_was_written_is_sent_without_a_round_of_the_reactor():
    transport = Transport()
    prompt.send(transport)
    assert transport.rounds == 1


@pytest.mark.parametrize("change", [{"connected": False}, {"disconnecting": True}])
def test_a_connection_that_ends_is_left_to_the_reactor(change):
    transport = Transport()
    for name, value in change.items():
        setattr(transport, name, value)
    prompt.send(transport)
    assert transport.rounds == 0


def test_a_transport_without_a_descriptor_is_left_alone():
    transport = StringTransport()
    transport.write(b"x")
    prompt.send(transport)
    assert transport.value() == b"x"
