"""Noise and any split of the bytes, to the reader of Postfix's questions."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from policyd.socketmap.protocol import MAX_LENGTH, Query, SocketmapError, SocketmapProtocol

contents = st.binary(max_size=200)
noise = st.lists(
    st.one_of(
        contents.map(lambda content: b"%d:%b," % (len(content), content)),
        st.binary(max_size=20),
        st.sampled_from([b"0:,", b"1:", b"100000:", b"100001:", b",", b":"]),
    ),
    max_size=8,
).map(b"".join)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


@given(noise, st.lists(st.integers(0, 2000), max_size=20))
def test_any_split_gives_the_same_events(data: bytes, cuts: list[int]) -> None:
    whole, split = SocketmapProtocol(), SocketmapProtocol()
    events = [event for piece in pieces(data, cuts) for event in split.feed(piece)]
    expected = whole.feed(data)
    assert events == expected
    assert split.buffered == whole.buffered <= MAX_LENGTH + 7
    assert all(isinstance(event, Query) for event in events[:-1])
    if events and isinstance(events[-1], SocketmapError):
        assert split.feed(b"0:,") == []


@given(st.lists(contents, max_size=10), st.lists(st.integers(0, 2000), max_size=20))
def test_every_question_is_read(questions: list[bytes], cuts: list[int]) -> None:
    protocol = SocketmapProtocol()
    data = b"".join(b"%d:%b," % (len(content), content) for content in questions)
    events = [event for piece in pieces(data, cuts) for event in protocol.feed(piece)]
    assert len(events) == len(questions)
    for event, content in zip(events, questions, strict=True):
        text = content.decode("utf-8", "replace")
        assert event == (Query(*text.split(" ", 1)) if " " in text else Query("", text))
