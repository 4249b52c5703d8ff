"""XFORWARD: xtext, attributes, what goes on to the back end."""

from __future__ import annotations

import pytest

from contentfilter.session.envelope import Client
from contentfilter.smtp.xforward import XForwardError, announced, client, decode_xtext, parse


def test_xtext_is_decoded() -> None:
    assert decode_xtext(b"a+20b+2Bc") == b"a b+c"
    assert decode_xtext(b"+FF+00") == b"\xff\x00"


@pytest.mark.parametrize("text", [b"+", b"+2", b"+2b", b"+GG", b"a\x01", b"\xff", b"a b"])
def test_xtext_malformed(text: bytes) -> None:
    with pytest.raises(XForwardError):
        decode_xtext(text)


def test_xtext_bound_counts_decoded_octets() -> None:
    assert len(decode_xtext(b"+41" * 255)) == 255
    with pytest.raises(XForwardError):
        decode_xtext(b"+41" * 256)


def test_xforward_names_the_client() -> None:
    first = parse(b"NAME=mail.src.example ADDR=192.0.2.9 PORT=4711")
    second = parse(b"helo=src+2Eexample proto=ESMTP IDENT=3F2 source=REMOTE")
    assert client(first | second) == Client(
        "mail.src.example", "192.0.2.9", "4711", "src.example", "ESMTP", "3F2", "REMOTE"
    )


def test_xforward_ipv6_prefix_and_unavailable() -> None:
    assert parse(b"ADDR=IPV6:2001:db8::1")["ADDR"] == "2001:db8::1"
    assert parse(b"ADDR=ipv6:2001:db8::1")["ADDR"] == "2001:db8::1"
    assert parse(b"NAME=[unavailable] ADDR=[UNAVAILABLE] PORT=[UnAvailable] SOURCE=[UNAVAILABLE]") == {
        "NAME": "",
        "ADDR": "",
        "PORT": "",
        "SOURCE": "",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b"  ",
        b"NAME",
        b"COLOUR=red",
        b"ADDR=localhost",
        b"ADDR=",
        b"ADDR=192.0.2.256",
        b"ADDR=IPV6:192.0.2",
        b"ADDR=fe80::1%25eth0",
        b"ADDR=fe80::1%eth0",
        b"PORT=x",
        b"PORT=65536",
        b"SOURCE=MARS",
        b"NAME=+ZZ",
        b"NAME=" + b"a" * 256,
    ],
)
def test_xforward_malformed(arguments: bytes) -> None:
    with pytest.raises(XForwardError):
        parse(arguments)


def test_xforward_foreign_bytes_do_not_get_in() -> None:
    value = parse(b"HELO=a+0D+0A+0Aaction=OK+0A+0A+FF+00")["HELO"]
    assert value == "a???action=OK????"


def test_xforward_line_passes_verbatim_when_all_is_taken() -> None:
    line = b"xforward  Name=a+20b   PORT=1"
    assert announced(line, frozenset({"NAME", "PORT", "ADDR"})) is line


def test_xforward_attributes_the_back_end_does_not_take_are_left_out() -> None:
    line = b"XFORWARD NAME=a+20b PORT=1 ident=7"
    assert announced(line, frozenset({"NAME", "IDENT"})) == b"XFORWARD NAME=a+20b ident=7"
    assert announced(line, frozenset()) == b""
