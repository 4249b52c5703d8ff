"""However the input is split, the events are the same; whatever comes, nothing raises."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from policyd.protocol.delegation import MAX_REQUEST, Event, PolicyProtocol, ProtocolError

NAMES = st.sampled_from(["sender", "recipient", "client_address", "protocol_state", "instance", "x", "size"])
VALUES = st.binary(max_size=12).map(lambda value: value.replace(b"\n", b"."))
GOOD = st.lists(st.tuples(NAMES, VALUES.map(lambda value: value.replace(b"\0", b"0"))), max_size=6).map(
    lambda pairs: (
        b"".join(
            b"%s=%s\n" % (name.encode(), value)
            for name, value in [("request", b"smtpd_access_policy"), *pairs]
        )
        + b"\n"
    )
)
WILD = st.lists(st.tuples(NAMES, VALUES), max_size=4).map(
    lambda pairs: b"".join(b"%s=%s\n" % (name.encode(), value) for name, value in pairs) + b"\n"
)
JUNK = st.one_of(st.binary(max_size=40), st.sampled_from([b"\n", b"\n\n", b"=\n\n", b"request=\n\n"]))
STREAMS = st.lists(st.one_of(GOOD, GOOD, GOOD, WILD, JUNK), max_size=6).map(b"".join)


def events(pieces: list[bytes]) -> list[object]:
    protocol = PolicyProtocol()
    return [describe(event) for piece in pieces for event in protocol.feed(piece)]


def describe(event: Event) -> object:
    if isinstance(event, ProtocolError):
        return event
    frequent = (event.stage, event.client_address, event.sender, event.recipient, event.instance)
    return frequent, event.attributes


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


@given(STREAMS, st.lists(st.integers(0, 10_000), max_size=8))
@settings(max_examples=300, deadline=None)
def test_any_split_gives_the_same_events(stream: bytes, places: list[int]) -> None:
    whole = events([stream])
    assert events(cut(stream, places)) == whole
    assert events([stream[i : i + 1] for i in range(len(stream))]) == whole


@given(st.lists(GOOD, min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_one_request_a_read_is_understood_as_many_in_one(requests: list[bytes]) -> None:
    assert events(requests) == events([b"".join(requests)])
    assert len(events(requests)) == len(requests)


@given(st.lists(st.binary(max_size=5000), max_size=30))
@settings(max_examples=50, deadline=None)
def test_noise_neither_raises_nor_is_kept(pieces: list[bytes]) -> None:
    protocol = PolicyProtocol()
    seen = []
    for piece in pieces:
        seen += protocol.feed(piece)
        assert protocol.buffered < MAX_REQUEST
    assert sum(isinstance(event, ProtocolError) for event in seen) <= 1


@given(GOOD)
@settings(max_examples=100, deadline=None)
def test_what_is_understood_is_clean_text(request: bytes) -> None:
    for event in PolicyProtocol().feed(request + request):
        assert not isinstance(event, ProtocolError)
        for name, value in event.attributes.items():
            (name + value).encode("utf-8")
            assert "\0" not in value
            assert "\n" not in value
