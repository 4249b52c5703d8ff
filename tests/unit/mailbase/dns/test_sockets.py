"""Ports for questions over UDP: how many share one, for how long, and who hears what."""

from __future__ import annotations

import socket

import pytest
from twisted.internet.task import Clock

from mailbase.dns import sockets
from mailbase.dns.exchange import Address
from mailbase.dns.sockets import MOMENT, SHARE, TOGETHER, Sockets

SERVER = Address("192.0.2.1", 53)


class Socket:
    """A socket without a network."""

    made: list[Socket] = []
    refuse: OSError | None = None

    def __init__(self, family: int, kind: int) -> None:
        self.family = family
        self.number = len(self.made)
        self.made.append(self)
        self.sent: list[bytes] = []
        self.coming: list[bytes | OSError] = []
        self.closed = False
        self.trouble: OSError | None = None

    def connect(self, server: Address) -> None:
        self.server = server

    def fileno(self) -> int:
        return self.number

    def send(self, packet: bytes) -> None:
        trouble, self.trouble = self.trouble, None
        if trouble or self.refuse:
            raise trouble or self.refuse  # type: ignore[misc]
        self.sent.append(packet)

    def recv(self, size: int) -> bytes:
        if not self.coming:
            raise BlockingIOError
        one = self.coming.pop(0)
        if isinstance(one, OSError):
            raise one
        return one[:size]

    def close(self) -> None:
        self.closed = True


class Reactor(Clock):
    """Knows which descriptors are watched."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[object] = []

    def addReader(self, reader: object) -> None:
        assert reader not in self.readers
        self.readers.append(reader)

    def removeReader(self, reader: object) -> None:
        self.readers.remove(reader)


class Listener:
    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.reasons: list[str] = []
        self.unsent_for: list[str] = []

    def heard(self, packet: bytes) -> None:
        self.packets.append(packet)

    def lost(self, why: str) -> None:
        self.reasons.append(why)

    def unsent(self, why: str) -> None:
        self.unsent_for.append(why)


class Scene:
    def __init__(self) -> None:
        self.reactor = Reactor()
        self.network = Sockets(self.reactor)

    def ask(self, number: int, server: Address = SERVER):  # type: ignore[no-untyped-def]
        listener = Listener()
        packet = number.to_bytes(2) + b"question"
        return listener, self.network.datagram(server, packet, listener)

    def turn(self) -> None:
        """The reactor has dealt with what was ready."""
        self.reactor.advance(0)

    def readable(self) -> None:
        self.turn()
        for reader in list(self.reactor.readers):
            reader.doRead()  # type: ignore[attr-defined]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(sockets.socket, "socket", Socket)
    Socket.made = []
    Socket.refuse = None
    return Scene()


def test_one_question_at_a_time_has_a_port_of_its_own(scene: Scene) -> None:
    for number in range(10):
        listener, exchange = scene.ask(number)
        Socket.made[-1].coming.append(number.to_bytes(2) + b"answer")
        scene.readable()
        assert listener.packets == [number.to_bytes(2) + b"answer"]
        exchange.leave(number.to_bytes(2))
        assert Socket.made[-1].closed
        assert not scene.reactor.readers
    assert len(Socket.made) == 10


def test_questions_of_a_moment_share_ports_within_bounds(scene: Scene) -> None:
    asked = [scene.ask(number) for number in range(3 * SHARE)]
    scene.turn()
    assert [len(one.sent) for one in Socket.made] == [SHARE] * 3
    assert len(scene.reactor.readers) == 3
    for number, (_, exchange) in enumerate(asked):
        exchange.leave(number.to_bytes(2))
    assert all(one.closed for one in Socket.made)
    scene.ask(1)
    scene.reactor.advance(MOMENT)
    scene.ask(2)
    scene.turn()
    assert [len(one.sent) for one in Socket.made[3:]] == [1, 1]


def test_no_id_is_used_twice_at_a_port_and_no_server_shares_with_another(scene: Scene) -> None:
    scene.ask(1)
    _, exchange = scene.ask(2)
    scene.turn()
    exchange.leave((2).to_bytes(2))
    scene.ask(2)
    scene.turn()
    assert [len(one.sent) for one in Socket.made] == [2, 1]
    scene.ask(3, Address("2001:db8::53"))
    assert Socket.made[2].family == socket.AF_INET6
    assert Socket.made[2].server == ("2001:db8::53", 53)
    scene.ask(4)
    scene.turn()
    assert len(Socket.made[1].sent) == 2


def test_each_hears_its_own_answer_nobody_a_late_one_and_all_a_guess(scene: Scene) -> None:
    (one, _), (two, exchange), (three, _) = (scene.ask(number) for number in (1, 2, 3))
    port = Socket.made[0]
    port.coming = [b"\0\3answer", b"\0\1answer"]
    scene.readable()
    assert (one.packets, two.packets, three.packets) == ([b"\0\1answer"], [], [b"\0\3answer"])
    exchange.leave(b"\0\2")
    port.coming = [b"\0\2late", b"\0\x09guess", b""]
    scene.readable()
    assert one.packets == [b"\0\1answer", b"\0\x09guess", b""]
    assert not two.packets
    assert three.packets == [b"\0\3answer", b"\0\x09guess", b""]


def test_a_flood_lets_the_reactor_have_its_turn(scene: Scene) -> None:
    listener, _ = scene.ask(1)
    Socket.made[0].coming = [b"\0\1again"] * 1000
    scene.readable()
    assert len(listener.packets) == SHARE


def test_all_at_a_port_are_told_that_nobody_listens(scene: Scene) -> None:
    (one, _), (two, exchange) = scene.ask(1), scene.ask(2)
    Socket.made[0].coming = [ConnectionRefusedError("refused")]
    scene.readable()
    assert one.reasons == two.reasons == ["refused"]
    assert not scene.reactor.readers
    exchange.leave(b"\0\2")
    assert Socket.made[0].closed


def test_what_became_of_an_earlier_question_does_not_fail_a_later_one(scene: Scene) -> None:
    one, _ = scene.ask(1)
    scene.turn()
    Socket.made[0].trouble = ConnectionRefusedError("refused")
    two, _ = scene.ask(2)
    scene.turn()
    assert Socket.made[0].sent == [b"\0\1question", b"\0\2question"]
    assert not one.reasons
    assert not two.reasons + two.unsent_for


def test_what_cannot_be_sent_is_told_when_nobody_is_in_the_middle_of_asking(scene: Scene) -> None:
    one, _ = scene.ask(1)
    scene.turn()
    Socket.refuse = OSError("no buffer")
    asked = [scene.ask(number) for number in range(2, 2 + TOGETHER)]
    assert not any(listener.unsent_for for listener, _ in asked)
    scene.turn()
    assert [listener.unsent_for for listener, _ in asked] == [["no buffer"]] * TOGETHER
    assert not one.reasons + one.unsent_for
    for number, (_, exchange) in enumerate(asked, 2):
        exchange.leave(number.to_bytes(2))
    Socket.refuse = None
    scene.ask(100)
    scene.turn()
    assert Socket.made[0].sent == [b"\0\1question", b"\0\x64question"]
    assert len(scene.reactor.readers) == 1


def test_who_has_left_is_not_told_that_it_could_not_be_sent(scene: Scene) -> None:
    scene.ask(1)
    Socket.refuse = OSError("no buffer")
    asked = [scene.ask(number) for number in range(2, 1 + TOGETHER)]
    listener, exchange = asked[0]
    exchange.leave(b"\0\2")
    scene.turn()
    assert not listener.unsent_for
    assert asked[1][0].unsent_for == ["no buffer"]


def test_questions_of_one_turn_are_sent_in_rows(scene: Scene) -> None:
    for number in range(TOGETHER - 1):
        scene.ask(number)
    assert not Socket.made[0].sent
    scene.ask(TOGETHER)
    assert len(Socket.made[0].sent) == TOGETHER
    scene.ask(TOGETHER + 1)
    assert len(Socket.made[0].sent) == TOGETHER
    scene.turn()
    assert len(Socket.made[0].sent) == TOGETHER + 1
    assert not scene.reactor.getDelayedCalls()


def test_what_was_left_before_the_end_of_the_turn_is_not_sent(scene: Scene) -> None:
    _, exchange = scene.ask(1)
    scene.ask(2)
    exchange.leave(b"\0\1")
    scene.turn()
    assert Socket.made[0].sent == [b"\0\2question"]
    _, exchange = scene.ask(3, Address("192.0.2.2"))
    exchange.leave(b"\0\3")
    assert Socket.made[1].closed
    scene.turn()
    assert not Socket.made[1].sent


def test_without_a_socket_or_a_route_asking_is_an_error_that_leaves_nothing_behind(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(self: Socket, server: Address) -> None:
        raise OSError("unreachable")

    with monkeypatch.context() as patch:
        patch.setattr(Socket, "connect", unreachable)
        with pytest.raises(OSError, match="unreachable"):
            scene.ask(1)
    assert Socket.made[0].closed
    assert not scene.reactor.readers + scene.reactor.getDelayedCalls()
    scene.ask(2)
    scene.turn()
    assert Socket.made[1].sent == [b"\0\2question"]


def test_a_port_that_the_reactor_gives_up_tells_all(scene: Scene) -> None:
    one, _ = scene.ask(1)
    scene.reactor.readers[0].connectionLost(None)  # type: ignore[attr-defined]
    assert one.reasons == ["the reactor gave it up"]
    assert not scene.reactor.readers
