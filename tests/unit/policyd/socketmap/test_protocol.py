"""Postfix's socketmap protocol: the same questions however the bytes are split, and a bound."""

from __future__ import annotations

import pytest

from policyd.socketmap.protocol import (
    MAX_LENGTH,
    NOTFOUND,
    Answer,
    Query,
    Result,
    SocketmapError,
    SocketmapProtocol,
    encode,
)

TWO = b"26:relay_domains inst.example,21:relay_clients ::1 two,"
QUERIES = [Query("relay_domains", "inst.example"), Query("relay_clients", "::1 two")]


def test_a_question() -> None:
    assert SocketmapProtocol().feed(b"26:relay_domains inst.example,") == [QUERIES[0]]


@pytest.mark.parametrize("at", range(len(TWO) + 1))
def test_every_split_gives_the_same_questions(at: int) -> None:
    protocol = SocketmapProtocol()
    assert protocol.feed(TWO[:at]) + protocol.feed(TWO[at:]) == QUERIES
    assert protocol.buffered == 0


def test_octet_by_octet() -> None:
    protocol = SocketmapProtocol()
    assert [event for octet in TWO for event in protocol.feed(bytes([octet]))] == QUERIES


@pytest.mark.parametrize(
    ("content", "query"),
    [
        (b"", Query("", "")),
        (b"map", Query("", "map")),
        (b"map ", Query("map", "")),
        (b" key", Query("", "key")),
        (b"map a,b:c", Query("map", "a,b:c")),
        ("map bücher.example".encode(), Query("map", "bücher.example")),
        (b"map \xff\x00", Query("map", "\ufffd\x00")),
    ],
)
def test_what_is_in_a_netstring(content: bytes, query: Query) -> None:
    assert SocketmapProtocol().feed(b"%d:%b," % (len(content), content)) == [query]


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b":",
        b"-1:",
        b" 1:",
        b"01:a,",
        b"00:,",
        b"1:ab",
        b"1a:",
        b"3:abc\n",
        b"GET / HTTP/1.1\r\n",
        "٣:abc,".encode(),
    ],
)
def test_what_is_no_netstring_ends_it(data: bytes) -> None:
    protocol = SocketmapProtocol()
    assert protocol.feed(b"7:map key," + data) == [Query("map", "key"), SocketmapError("malformed")]
    assert protocol.feed(b"7:map key,") == []
    assert protocol.buffered == 0


def test_the_largest_question_and_one_octet_more() -> None:
    key = b"k" * (MAX_LENGTH - 4)
    (query,) = SocketmapProtocol().feed(b"%d:map %b," % (MAX_LENGTH, key))
    assert query == Query("map", key.decode())
    assert SocketmapProtocol().feed(b"%d:" % (MAX_LENGTH + 1)) == [SocketmapError("too-large")]


@pytest.mark.parametrize("digits", [b"100001", b"1000000", b"9" * 5000])
def test_a_length_beyond_the_bound_is_not_waited_for(digits: bytes) -> None:
    protocol = SocketmapProtocol()
    assert protocol.feed(digits + b":") == [SocketmapError("too-large")]
    assert protocol.buffered == 0


def test_an_endless_length_is_given_up_without_its_end() -> None:
    protocol = SocketmapProtocol()
    assert protocol.feed(b"9" * 6) == [SocketmapError("too-large")]


def test_no_more_than_a_question_is_held() -> None:
    protocol = SocketmapProtocol()
    protocol.feed(b"%d:" % MAX_LENGTH)
    for _ in range(MAX_LENGTH // 1000):
        protocol.feed(b"x" * 1000)
    assert protocol.buffered == MAX_LENGTH + 7
    assert protocol.feed(b"x") == [SocketmapError("malformed")]
    assert protocol.buffered == 0


def test_answers() -> None:
    assert encode(Answer(Result.OK, "smtp:[mail.inst.example]")) == b"27:OK smtp:[mail.inst.example],"
    assert encode(NOTFOUND) == b"9:NOTFOUND ,"
    assert encode(Answer(Result.TEMP, "later\n3:OK ,")) == b"17:TEMP later?3:OK ,,"
    assert len(encode(Answer(Result.PERM, "x" * 1000))) < 300
    assert len(encode(Answer(Result.OK, "x" * 200_000))) <= MAX_LENGTH + len("100000:,")
