"""The sandbox's own end of SMTP: what the sink reads must be what the client wrote, whatever the octets."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwarden.sandbox.client import stuffed, xtext
from postwarden.sandbox.sink import Delivery, read_message

LINES = st.lists(
    st.sampled_from([b".", b"..", b"", b"x", b".x", b"a\rb", b"\n", b".\n", b"\r", b"\0\xff"]), max_size=12
)


def received(wire: bytes) -> bytes | None:
    return read_message(io.BufferedReader(io.BytesIO(wire)))


@given(LINES)
def test_reading_undoes_stuffing(lines):
    message = b"".join(line + b"\r\n" for line in lines)
    assert received(stuffed(message) + b".\r\n") == message


@pytest.mark.parametrize("stop", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r"])
def test_only_crlf_dot_crlf_ends_a_message(stop):
    assert received(b"a" + stop + b"b\r\n.\r\n") == b"a" + stop.replace(b"\r\n.\n", b"\r\n\n") + b"b\r\n"


def test_a_message_that_breaks_off_is_none():
    assert received(b"half a message\r\n.") is None


def test_nothing_is_lost_at_the_end():
    assert stuffed(b"no line end") == b"no line end\r\n"
    assert stuffed(b"") == b""


def test_xtext_leaves_no_octet_that_ends_a_word_or_a_line():
    assert xtext("a b+c=d\n\xff") == "a+20b+2Bc+3Dd+0A+C3+BF"


def test_the_topmost_field_is_found_unfolded():
    data = b"X-Id: first\r\n folded\r\nx-id: second\r\n\r\nX-Id: body\r\n"
    assert Delivery(b"", (), data, 0.0).field("X-ID") == "first folded"
    assert Delivery(b"", (), data, 0.0).field("X-Other") == ""
