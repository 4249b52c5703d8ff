"""Reading a server's replies."""

from __future__ import annotations

import pytest

from mailbase.smtp_replies import MAX_LINE, MAX_LINES, ReplyError, ReplyReader

WIRE = b"220 a\r\n250-one\r\n250-two\r\n250 three\r\n354\r\n550 5.1.1 no\n"


def test_replies_at_every_split() -> None:
    whole = ReplyReader().feed(WIRE)
    assert [reply.code for reply in whole] == [220, 250, 354, 550]
    assert whole[1].verbatim == (b"250-one", b"250-two", b"250 three")
    for i in range(1, len(WIRE)):
        reader = ReplyReader()
        assert reader.feed(WIRE[:i]) + reader.feed(WIRE[i:]) == whole


@pytest.mark.parametrize(
    "wire",
    [
        b"hello\r\n",
        b"\r\n",
        b"25\r\n",
        b"2500\r\n",
        b"250x\r\n",
        b"250-a\r\n550 b\r\n",
        b"600 a\r\n",
        b"\xff\xff\xff\n",
    ],
)
def test_replies_malformed(wire: bytes) -> None:
    with pytest.raises(ReplyError):
        ReplyReader().feed(wire)


def test_replies_are_bounded() -> None:
    longest = b"250 " + b"a" * (MAX_LINE - 6) + b"\r\n"
    assert len(ReplyReader().feed(longest)) == 1
    with pytest.raises(ReplyError):
        ReplyReader().feed(b"250 " + b"a" * MAX_LINE)
    with pytest.raises(ReplyError):
        ReplyReader().feed(b"250 " + b"a" * MAX_LINE + b"\r\n")
    reader = ReplyReader()
    assert reader.feed(b"250-a\r\n" * (MAX_LINES - 1)) == []
    assert len(reader.feed(b"250 a\r\n")) == 1
    with pytest.raises(ReplyError):
        reader.feed(b"250-a\r\n" * (MAX_LINES + 1))


def test_replies_carry_no_foreign_bytes_on() -> None:
    (reply,) = ReplyReader().feed(b"550-5.1.1 <\xff\x00\x1b@x>:\rQUIT\r\n550 5.1.1 \x7f\tno\r\n")
    assert reply.encode() == b"550-5.1.1 <???@x>:?QUIT\r\n550 5.1.1 ?\tno\r\n"


def test_it_tells_whether_a_reply_is_under_way() -> None:
    reader = ReplyReader()
    assert not reader.pending
    for piece in (b"2", b"50-a\r\n"):
        reader.feed(piece)
        assert reader.pending
    reader.feed(b"250 b\r\n")
    assert not reader.pending
