"""No byte from outside leaves unencoded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbase.replies import MAX_NAME, Reply, header_line, name, printable

HOSTILE = "evil\n\naction=OK\n\n\r\0\xff\u2028é"


def test_line_ends_nul_and_eight_bit_become_question_marks():
    assert printable(HOSTILE) == "evil??action=OK????????"[: len(HOSTILE)]


def test_bytes_are_taken_one_by_one():
    assert printable(b"a\xc3\xa9\xff") == "a???"


@given(st.text() | st.binary(), st.integers(3, 50))
def test_printable_is_printable_and_bounded(text, limit):
    clean = printable(text, limit)
    assert len(clean) <= limit
    assert all(32 <= ord(character) < 127 for character in clean)


def test_a_cut_is_shown():
    assert printable("x" * 100, 10) == "xxxxxxx..."


def test_a_text_at_the_bound_is_whole():
    assert printable("x" * 10, 10) == "x" * 10


def test_names_cannot_close_their_quotes():
    assert name('a".exe\\') == '"a\'.exe/"'
    assert len(name("x" * 200)) == MAX_NAME + 2


def test_a_reply_is_one_line_whatever_its_text():
    assert Reply(554, "5.7.1", "no\r\n250 yes").encode() == b"554 5.7.1 no??250 yes\r\n"


@given(st.text())
def test_a_reply_fits_the_line_limit(text):
    wire = Reply(554, "5.7.1", text).encode()
    assert len(wire) <= 512
    assert wire.count(b"\n") == 1


@pytest.mark.parametrize(
    ("reply", "bare"),
    [
        (Reply(554, "5.7.1", "The attachment a.doc"), "554 5.7.1"),
        (Reply.relayed([b"450-4.2.0 mailbox of ada", b"450 4.2.0 later"]), "450-4.2.0"),
        (Reply.relayed([b"550 ada is unknown"]), "550"),
        (Reply.relayed([b"550 5.1.1.2 is no status"]), "550"),
        (Reply.relayed([b"250 2.0.0 Ok: queued as 4ABC"]), "250 2.0.0 Ok: queued as 4ABC"),
    ],
)
def test_a_bare_refusal_has_no_words(reply, bare):
    assert reply.bare == bare


def test_a_relayed_reply_is_passed_verbatim():
    reply = Reply.relayed([b"250-first", b"250 second \xe9"])
    assert reply.encode() == b"250-first\r\n250 second \xe9\r\n"
    assert reply.positive
    assert str(reply) == "250-first / 250 second ?"


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b""],
        [b"hello"],
        [b"250 ok", b"x"],
        [b"250 a\r\n250 b"],
        [b"250 a\n250 b"],
        [b"250 a\r"],
        [b"2500 ok"],
        [b"999 no"],
    ],
)
def test_what_is_no_reply_is_not_relayed(lines):
    with pytest.raises(ValueError, match="not an SMTP reply"):
        Reply.relayed(lines)


@pytest.mark.parametrize(
    ("code", "positive"), [(200, True), (250, True), (354, True), (399, True), (400, False), (554, False)]
)
def test_only_a_refusal_is_not_positive(code, positive):
    assert Reply(code, "", "x").positive is positive


def test_a_header_line_takes_what_fits_and_no_more():
    for spare, end in ((0, "y"), (1, "...")):
        line = header_line("X-F", "x" * (986 + spare) + "y")
        assert len(line) == 994
        assert line.decode().removesuffix("\r\n").endswith(end)


@given(st.text())
def test_a_header_line_is_one_bounded_line(text):
    line = header_line("X-Postwarden-Findings", text)
    assert line.endswith(b"\r\n")
    assert line.count(b"\n") == 1
    assert len(line) <= 1000
