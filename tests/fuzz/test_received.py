"""The reader of Received lines: whatever a client says, it cannot choose the address that is believed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contentfilter.origin.received import client_of, parse_received, received_lines
from mailbase.addresses import pack

REAL, FALSE = pack("198.51.100.7"), pack("192.0.2.1")
assert REAL is not None
assert FALSE is not None

# What Postfix lets stand of a HELO: it makes "?" of <>()\";@ and control characters.
HELO = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='<>()\\";@'), min_size=1)
PIECES = st.lists(
    st.sampled_from(
        [
            "from ",
            "by ",
            "(",
            ")",
            "[192.0.2.1]",
            "192.0.2.1",
            " ",
            "helo=",
            "HELO ",
            "x.example",
            "\\",
            ";",
            "@",
            ":",
        ]
    ),
    max_size=30,
).map("".join)


@given(st.binary(max_size=2000))
def test_noise_is_never_an_error(head: bytes) -> None:
    for line in received_lines(head):
        parse_received(line)


@given(PIECES)
def test_pieces_are_never_an_error(text: str) -> None:
    parse_received(text)
    parse_received("from " + text)


@given(HELO)
def test_a_helo_as_postfix_writes_it_does_not_choose_the_address(helo: str) -> None:
    for comment in ("(unknown [198.51.100.7])", "(m.example [198.51.100.7]) (using TLSv1.3)"):
        hop = parse_received(f"from {helo} {comment} by mx.example (Postfix) with ESMTP id 1; date")
        assert hop is None or hop.address == REAL


@given(HELO.filter(lambda helo: " " not in helo))
def test_nor_as_exim_writes_it(helo: str) -> None:
    for line in (f"from m.example ([198.51.100.7] helo={helo})", f"from [198.51.100.7] (helo={helo})"):
        hop = parse_received(f"{line} by mx.example with esmtp (Exim 4.98); date")
        assert hop is None or hop.address == REAL


FORMS = (
    "from {} (m.example [198.51.100.7]) by mx.example; date",
    "from {} ([198.51.100.7]) by mx.example; date",
    "from m.example ([198.51.100.7] helo={}) by mx.example; date",
    "from [198.51.100.7] (helo={}) by mx.example; date",
    "from {} (198.51.100.7) by mx.example; date",
)


@given(st.sampled_from(FORMS), PIECES)
def test_even_a_server_that_lets_everything_stand_is_read_rightly_or_not_at_all(form: str, helo: str) -> None:
    hop = parse_received(form.format(helo))
    # A semicolon would end the clauses.
    assert ";" in helo or hop is None or hop.address == REAL


@given(st.lists(PIECES, max_size=5))
def test_what_stands_below_a_strangers_line_is_never_read(lower: list[str]) -> None:
    top = "Received: from h (x.example [198.51.100.7]) by mx.upstream.example; date\r\n"
    below = "".join(f"Received: {line}\r\n" for line in lower)
    hop = client_of(received_lines((top + below + "\r\n").encode()), FALSE, lambda address: False)
    assert hop is not None
    assert hop.address == REAL
