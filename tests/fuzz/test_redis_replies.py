"""However the octets of Redis' replies are split over reads, the replies are the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from mailbase.store import StoreError
from mailbase.store.redis.link import Link, encoded
from mailbase.store.redis.metrics import RedisMetrics

scalars = st.one_of(
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.none(),
    st.binary(max_size=40),
    st.text(alphabet="abc DEF:$*-+", max_size=10).map(lambda text: f"status{text}"),
)
replies = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4), max_leaves=10)


def wire(reply: Any) -> bytes:
    match reply:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % reply
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(reply), reply)
        case str():
            return b"+%b\r\n" % reply.encode()
        case _:
            return b"*%d\r\n" % len(reply) + b"".join(map(wire, reply))


def link() -> Link:
    made = Link(Clock(), 1.0, RedisMetrics())
    made.makeConnection(StringTransport())
    return made


@given(st.lists(replies, max_size=8), st.data())
def test_any_split_gives_the_same_replies(expected: list[Any], data: st.DataObject) -> None:
    octets = b"".join(map(wire, expected))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=12)))
    connection, got = link(), []
    for _ in expected:
        connection.execute_command("GET").addCallback(got.append)
    for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True):
        connection.dataReceived(octets[start:end])
    assert got == expected


@given(st.binary(max_size=200))
def test_noise_ends_in_nothing_worse_than_an_error(noise: bytes) -> None:
    connection, got = link(), []
    connection.execute_command("GET").addBoth(got.append)
    try:
        connection.dataReceived(noise)
    except (UnicodeDecodeError, AttributeError, TypeError, ValueError):
        # Twisted closes the connection then.
        connection.connectionLost()
    connection.drop("enough")
    assert len(got) == 1


def test_thousands_of_bulk_replies_in_one_read_do_not_pile_up_calls() -> None:
    connection, got = link(), []
    for _ in range(20_000):
        connection.execute_command("GET").addCallback(got.append)
    connection.dataReceived(b"$1\r\nx\r\n" * 20_000)
    assert got == [b"x"] * 20_000


@given(st.lists(st.one_of(st.binary(), st.text(), st.integers(), st.floats()), min_size=1, max_size=8))
def test_no_argument_becomes_a_command(arguments: list[Any]) -> None:
    octets = encoded(tuple(arguments))
    head, _, rest = octets.partition(b"\r\n")
    assert head == b"*%d" % len(arguments)
    for _ in arguments:
        size, _, rest = rest.partition(b"\r\n")
        rest = rest[int(size[1:]) :]
        assert rest[:2] == b"\r\n"
        rest = rest[2:]
    assert rest == b""


def test_nothing_is_sent_on_a_connection_that_is_over() -> None:
    connection, got = link(), []
    connection.drop("enough")
    connection.execute_command("GET").addErrback(lambda failure: got.append(failure.value))
    assert isinstance(got[0], StoreError)
    assert connection.transport.value() == b""
