"""Any message, cut anywhere: the same content, and no end but the true one."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.smtp.data import DataReader

PIECES = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"\r\n.\r", b"\n.\n", b"..", b"a", b"\x00", b"text"]
    ),
    max_size=40,
).map(b"".join)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(ends)]


def smtpd_end(wire: bytes, bound: int) -> int | None:
    """Postfix's smtp_get() and data_cmd(): records up to LF or ``bound``, all CRs before LF stripped."""
    at, continues = 0, False
    while (newline := wire.find(b"\n", at)) >= 0:
        stop = min(newline + 1, at + bound)
        if wire[stop - 1 : stop + 1] == b"\r\n":
            stop += 1
        record, at = wire[at:stop], stop
        if record.endswith(b"\n") and record[:-1].rstrip(b"\r") == b"." and not continues:
            return at
        continues = not record.endswith(b"\n")
    return None


@settings(max_examples=1000, deadline=None)
@given(PIECES, st.lists(st.integers(0, 400), max_size=12), st.sampled_from([2, 3, 5, 2048]))
def test_data_any_cut_gives_the_same(body: bytes, places: list[int], bound: int) -> None:
    wire = body + b"\r\n.\r\n" + b"MAIL FROM:<>\r\n"
    whole = DataReader()
    content, rest = whole.feed(wire)
    assert whole.ended
    assert content + b".\r\n" + rest == wire
    reader = DataReader()
    found, after = b"", b""
    for piece in cut(wire, places):
        if reader.ended:
            after += piece
        else:
            part, after = reader.feed(piece)
            found += part
    assert (found, after) == (content, rest)
    assert (reader.defect, reader.size, reader.wire_size) == (whole.defect, whole.size, whole.wire_size)
    if whole.defect is None:
        onward = b"X-Ours: y\r\n" + content + b".\r\n"
        assert smtpd_end(onward, bound) == len(onward)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=6))
def test_data_stuffed_content_always_comes_back(message: bytes, places: list[int]) -> None:
    """What a proper client stuffs is taken, unless it has a bare LF; un-stuffed it is the message."""
    message = message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"\r\n"
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    reader = DataReader()
    found = b""
    for piece in cut(stuffed + b".\r\n", places):
        part, rest = reader.feed(piece)
        found += part
        assert rest == b""
    assert reader.ended
    assert found == stuffed
    assert reader.defect is None
    assert reader.size == len(message)
