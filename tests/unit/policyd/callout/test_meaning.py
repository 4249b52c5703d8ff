"""What a reply means, how a recipient is written down, and where a callout never goes."""

from __future__ import annotations

import socket

import pytest

from mailbase.addresses import pack
from mailbase.replies import Reply
from policyd.callout.address import is_forbidden, is_own, plain
from policyd.callout.path import MAX_PATH, forward_path
from policyd.callout.result import Result, Target, result_of


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        ("250 2.1.5 ok", Result.KNOWN),
        ("251 will forward", Result.KNOWN),
        ("252 cannot verify", Result.KNOWN),
        ("550 5.1.1 no such user", Result.UNKNOWN),
        ("550 no such user", Result.UNKNOWN),
        ("553 5.1.3 syntax", Result.UNKNOWN),
        ("551 5.1.6 moved", Result.UNKNOWN),
        ("552 5.2.2 full", Result.UNKNOWN),
        ("550 5.5.0 mailbox unavailable", Result.UNKNOWN),
        ("501 5.1.3 bad address", Result.UNKNOWN),
        ("550 15.7.1 is no status code", Result.UNKNOWN),
        ("550 5.17.1 another subject", Result.UNKNOWN),
        ("550 the user 5.7.1 is not there", Result.UNKNOWN),
        ("450 4.2.0 greylisted", Result.TEMPORARY),
        ("421 4.3.2 busy", Result.TEMPORARY),
        ("550 5.7.1 your address is on a list", Result.TEMPORARY),
        ("554 5.7.606 access denied", Result.TEMPORARY),
        ("550-5.7.1 first line\r\n550 the last", Result.TEMPORARY),
        ("550-first\r\n550 5.7.1 last", Result.TEMPORARY),
        ("550 4.1.1 says two things", Result.TEMPORARY),
        ("503 5.5.1 need MAIL first", Result.TEMPORARY),
        ("530 must issue a STARTTLS command first", Result.TEMPORARY),
        ("500 command not recognised", Result.TEMPORARY),
        ("354 go ahead", Result.TEMPORARY),
    ],
)
def test_what_a_reply_means(reply: str, result: Result) -> None:
    assert result_of(Reply.relayed([line.encode() for line in reply.split("\r\n")])) is result


@pytest.mark.parametrize(
    ("local", "path"),
    [
        ("ada", b"<ada@x.example>"),
        ("Ada.L+tag=1/2", b"<Ada.L+tag=1/2@x.example>"),
        ("jörg", "<jörg@x.example>".encode()),
        ("a b", b'<"a b"@x.example>'),
        ('"a b"', b'<"a b"@x.example>'),
        (".a", b'<".a"@x.example>'),
        ("a..b", b'<"a..b"@x.example>'),
        ("a@b", b'<"a@b"@x.example>'),
        ('a"b\\c', b'<"a\\"b\\\\c"@x.example>'),
        # Nothing of it may stand outside of the quotes.
        ('"x"> NOTIFY=NEVER "', b'<"\\"x\\"> NOTIFY=NEVER \\""@x.example>'),
        ('"x\\"', b'<"\\"x\\\\\\""@x.example>'),
        ("x>y", b'<"x>y"@x.example>'),
        ('"', b'<"\\""@x.example>'),
        ("", b'<""@x.example>'),
    ],
)
def test_how_a_recipient_is_written(local: str, path: bytes) -> None:
    assert forward_path(local, "x.example") == path


@pytest.mark.parametrize("local", ["a\rb", "a\nRCPT TO:<b", "a\0b", "\x7f", "\ud800", "a" * (MAX_PATH - 11)])
def test_of_some_no_path_can_be_made(local: str) -> None:
    assert forward_path(local, "x.example") is None


def test_the_longest_path_that_fits_a_command() -> None:
    path = forward_path("a" * (MAX_PATH - 12), "x.example")
    assert path is not None
    assert len(b"RCPT TO:" + path + b"\r\n") <= 512


def test_spellings_of_one_address_are_one() -> None:
    assert Target("Ada", "x.example", "s").key == Target("aDA", "x.example", "s").key


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.0.9",
        "0.0.0.0",
        "0.1.2.3",
        "169.254.1.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        "fe80::1",
        "ff02::1",
    ],
)
def test_where_a_callout_never_goes(address: str) -> None:
    assert is_forbidden(socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address))


@pytest.mark.parametrize(
    "address", ["192.0.2.25", "10.1.2.3", "2001:db8::25", "fd00::25", "64:ff9b::c000:219"]
)
def test_where_it_may_go(address: str) -> None:
    packed = pack(address)
    assert packed is not None
    assert not is_forbidden(packed)


def test_an_embedded_address_is_looked_at_by_itself() -> None:
    assert plain(socket.inet_pton(socket.AF_INET6, "64:ff9b::c000:219")) == pack("192.0.2.25")
    assert plain(socket.inet_pton(socket.AF_INET6, "2002:c000:219::1")) == pack("192.0.2.25")
    assert plain(socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.25")) == pack("192.0.2.25")


def test_the_machines_own_addresses_are_told_from_others() -> None:
    for text, own in (("127.0.0.1", True), ("192.0.2.25", False), ("2001:db8::1", False)):
        packed = pack(text)
        assert packed is not None
        assert is_own(packed) is own, text
