"""Received lines of the servers that stand in front of gateways, and of those who make them up."""

from __future__ import annotations

import pytest

from contentfilter.origin.received import MAX_HOPS, Hop, client_of, parse_received, received_lines
from mailbase.addresses import pack

V4, V6 = pack("198.51.100.7"), pack("2001:db8::7")
UPSTREAM = pack("203.0.113.5")
END = (
    " by mx.upstream.example (Postfix) with ESMTPS id 4711 for <a@b.example>; Thu, 26 Nov 2026 10:00:00 +0100"
)


def hop(packed: bytes | None, helo: str = "", name: str = "") -> Hop:
    assert packed is not None
    return Hop(packed, helo, name)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        # Postfix
        ("from h.example (m.example [198.51.100.7])", hop(V4, "h.example", "m.example")),
        ("from h.example (unknown [198.51.100.7])", hop(V4, "h.example")),
        ("from h.example (M.Example. [198.51.100.7])", hop(V4, "h.example", "m.example")),
        ("from h.example (m.example [IPv6:2001:db8::7])", hop(V6, "h.example", "m.example")),
        ("from h.example (m.example [198.51.100.7]:50432)", hop(V4, "h.example", "m.example")),
        ("from [198.51.100.9] (unknown [198.51.100.7])", hop(V4, "[198.51.100.9]")),
        (
            "from h.example (m.example [198.51.100.7]) (using TLSv1.3 with cipher X (256/256 bits)"
            " key-exchange X25519) (No client certificate requested)",
            hop(V4, "h.example", "m.example"),
        ),
        (
            "from h.example (m.example [198.51.100.7]) (Authenticated sender: u)",
            hop(V4, "h.example", "m.example"),
        ),
        ("from localhost (localhost [127.0.0.1])", hop(pack("127.0.0.1"), "localhost")),
        (
            "from h.example (7.100.51.198.dsl.example [198.51.100.7])",
            hop(V4, "h.example", "7.100.51.198.dsl.example"),
        ),
        # Sendmail
        ("from h.example (m.example [198.51.100.7] (may be forged))", hop(V4, "h.example")),
        ("from h.example (IDENT:u@m.example [198.51.100.7])", hop(V4, "h.example", "m.example")),
        ("from h.example ([198.51.100.7])", hop(V4, "h.example")),
        ("from m.example (h.example [198.51.100.7])", hop(V4, "m.example", "h.example")),
        # Exim
        ("from m.example ([198.51.100.7] helo=h.example)", hop(V4, "h.example", "m.example")),
        ("from m.example ([198.51.100.7]:50432 helo=h ident=u)", hop(V4, "h", "m.example")),
        ("from [198.51.100.7] (helo=h.example)", hop(V4, "h.example")),
        ("from [198.51.100.7] (helo=[192.0.2.1])", hop(V4, "[192.0.2.1]")),
        ("from m.example ([198.51.100.7] helo=[192.0.2.1])", hop(V4, "[192.0.2.1]", "m.example")),
        ("from [198.51.100.7]:50432 (helo=h.example)", hop(V4, "h.example")),
        ("from [198.51.100.7]", hop(V4)),
        ("from m.example ([2001:db8::7] helo=h.example)", hop(V6, "h.example", "m.example")),
        # Exchange
        ("from h.example (198.51.100.7)", hop(V4, "h.example")),
        ("from h.example (2001:db8::7)", hop(V6, "h.example")),
        # qmail
        ("from unknown (HELO h.example) (198.51.100.7)", hop(V4, "h.example")),
        ("from m.example (HELO h.example) (u@198.51.100.7)", hop(V4, "h.example")),
    ],
)
def test_what_servers_write(start: str, expected: Hop) -> None:
    assert parse_received(start + END) == expected


@pytest.mark.parametrize(
    "line",
    [
        "",
        "by mx.example (Postfix, from userid 0) id 4711; date",
        "from h.example by mx.example; date",
        "from h.example (unknown) by mx.example; date",
        "from h.example (m.example [198.51.100.7]); date",
        "from h.example (m.example [198.51.100.7] by mx.example; date",
        "from (m.example [198.51.100.7]) by mx.example; date",
        "from h.example (m.example [300.1.2.3]) by mx.example; date",
        "from h.example (m.example [::::]) by mx.example; date",
        "from h.example (192.0.2) by mx.example; date",
        # A HELO that tries to be more than a word.
        "from x (evil [192.0.2.1]) y (real [198.51.100.7]) by mx.example; date",
        "from x (evil [192.0.2.1]) (real [198.51.100.7]) by mx.example; date",
        "from x (evil [192.0.2.1] (real [198.51.100.7])) by mx.example; date",
        "from x) (evil [192.0.2.1]) by mx.example; date",
        "from x(192.0.2.1) (real [198.51.100.7]) by mx.example; date",
        "from x (192.0.2.1) (real [198.51.100.7]) by mx.example; date",
        "from x (2001:db8::1) (real [198.51.100.7]) by mx.example; date",
        "from [192.0.2.1] by x (real [198.51.100.7]) by mx.example; date",
        "from x (evil [192.0.2.1]) by x (real [198.51.100.7]) by mx.example; date",
        "from [198.51.100.7] (helo=x [192.0.2.1]) by mx.example; date",
        "from [198.51.100.7] (helo= [192.0.2.1]) by mx.example; date",
        "from x (evil \\( [192.0.2.1]) by mx.example; date",
        "from x y (evil [192.0.2.1]) by mx.example; date",
        "from " + "x" * 3000 + " (m.example [198.51.100.7]) by mx.example",
        "from h (m.example [198.51.100.7])" + " (c)" * 20 + " by mx.example",
    ],
)
def test_what_cannot_be_read_for_certain_is_not_read(line: str) -> None:
    assert parse_received(line) is None


def mail(*lines: str) -> bytes:
    text = "X-Postwarden-Id: 0123456789abc\r\n" + "".join(f"Received: {line}\r\n" for line in lines)
    return text.encode() + b"Subject: x\r\n\r\nReceived: from body (x [192.0.2.66]) by y\r\n"


OURS = "from out.upstream.example (out.upstream.example [203.0.113.5])\r\n\tby mx.gateway.example (Postfix)"
THEIRS = (
    "from h.example (m.example [198.51.100.7])\r\n by mx.upstream.example (Postfix) with ESMTP id 1; date"
)
INSIDE = "from amavis (localhost [127.0.0.1]) by out.upstream.example (Postfix); date"
PRIVATE = "from mx.upstream.example (mx.upstream.example [10.1.2.3]) by out.upstream.example; date"
SECOND = "from in.upstream.example (in.upstream.example [203.0.113.9]) by out.upstream.example; date"
FORGED = "from liar.example (liar.example [192.0.2.1]) by mx.upstream.example; date"
BROKEN = "from somewhere by somebody; date"


def trusted(packed: bytes) -> bool:
    return packed[:3] == UPSTREAM[:3] or packed[:1] in (b"\x0a", b"\x7f")  # type: ignore[index]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((OURS, THEIRS), V4),
        ((OURS, THEIRS, FORGED), V4),
        ((THEIRS, FORGED), V4),
        ((OURS, INSIDE, THEIRS, FORGED), V4),
        ((OURS, PRIVATE, INSIDE, SECOND, THEIRS, FORGED), V4),
        ((OURS,), None),
        ((), None),
        ((OURS, BROKEN, THEIRS), None),
        ((OURS, INSIDE, BROKEN, THEIRS), None),
        ((OURS, *(INSIDE,) * MAX_HOPS, THEIRS), None),
    ],
)
def test_only_what_trusted_relays_wrote_is_believed(lines: tuple[str, ...], expected: bytes | None) -> None:
    assert UPSTREAM is not None
    found = client_of(received_lines(mail(*lines)), UPSTREAM, trusted)
    assert (None if found is None else found.address) == expected


def test_lines_are_unfolded_and_end_with_the_header() -> None:
    assert list(received_lines(mail(OURS, THEIRS))) == [
        "from out.upstream.example (out.upstream.example [203.0.113.5]) by mx.gateway.example (Postfix)",
        "from h.example (m.example [198.51.100.7]) by mx.upstream.example (Postfix) with ESMTP id 1; date",
    ]


def test_a_header_that_is_cut_off_has_no_last_line() -> None:
    whole = mail(OURS, THEIRS)
    cut = whole[: whole.index(b"ESMTP")]
    assert len(list(received_lines(cut))) == 1
    assert list(received_lines(b"Received: from x")) == []


def test_not_every_octet_is_a_letter() -> None:
    (line,) = received_lines(b"RECEIVED: from \xff\xfe\r\n x\r\n\r\n")
    assert line == "from \ufffd\ufffd x"
