"""Signatures over what arrives, checked by dkimpy, which is nobody's of us."""

from __future__ import annotations

import base64
import hashlib
import random
import re
import tracemalloc
from types import SimpleNamespace

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from contentfilter.signing.header import MAX_HEADER
from contentfilter.signing.signature import (
    ALWAYS_ONCE_MORE,
    MAX_FIELD,
    MAX_SIGNED,
    SIGNED,
    WIDTH,
    NotSigned,
    Transmission,
    digest,
    sign,
)
from contentfilter.signing.transit import MAX_RUN, Unforeseeable
from tests.samples.dkim_keys import key, records

DOMAIN = "inst.example"
PUBLIC, KEY = key()
RECORDS = records(DOMAIN, PUBLIC)
NOW = 1_790_000_123
HEAD = b"From: Berg <berg@inst.example>\r\nTo: x@elsewhere.example\r\nSubject: x\r\n"
AS_IT_IS = Transmission()
FOLDING = Transmission(line_length=998)


def signed(mail: bytes, transmission: Transmission = AS_IT_IS, piece: int = 1 << 20) -> bytes:
    pieces = [mail[start : start + piece] for start in range(0, len(mail), piece)]
    return sign(digest(pieces, transmission), DOMAIN, [KEY], NOW)


def verifies(arrived: bytes) -> bool:
    return bool(dkim.verify(arrived, dnsfunc=lambda name, timeout=5: RECORDS[name.decode().rstrip(".")]))


SAME = {
    "plain": HEAD + b"\r\nhello\r\n",
    "no body": HEAD + b"\r\n",
    "no empty line": HEAD,
    "no line end at the end": HEAD + b"\r\nlast line",
    "blank lines at the end": HEAD + b"\r\nx\r\n\r\n\r\n \r\n\t\r\n",
    "only blank lines": HEAD + b"\r\n\r\n\r\n \r\n",
    "blanks": HEAD + b"\r\n  a \t b  \r\n\tc\td \r\n \r\n e\r\n",
    "dots": HEAD + b"\r\n.\r\n..\r\n.x\r\n",
    "8 bits": "From: a@inst.example\r\nSubject: Grüße\r\n\r\nGrüße, 你好\r\n".encode(),
    "all octets": HEAD + b"\r\n" + bytes(set(range(256)) - {10, 13}) + b"\r\n",
    "NUL": HEAD + b"\r\na\0b\0\r\n",
    "form feed": HEAD + b"\r\na \x0c \x0b \r\n",
    "998 octets": HEAD + b"\r\n" + b"x" * 998 + b"\r\n",
    "folded": b"From: a@inst.example\r\nSubject: one\r\n two\r\n\tthree\r\n   \r\n four\r\n\r\nx\r\n",
    "odd spacing": b"From:a@inst.example\r\nSubject:\tx \t y  \r\nTo:\r\nCc:  \r\n\r\nx\r\n",
    "twice": HEAD + b"Subject: 2\r\nTo: 2\r\nTo: 3\r\n\r\nx\r\n",
    "everything": HEAD + b"".join(f"{n.title()}: {n}\r\n".encode() for n in SIGNED[1:]) + b"\r\nx\r\n",
    "lower case": b"from: a@inst.example\r\nSUBJECT: x\r\n\r\nx\r\n",
    "long": HEAD + b"\r\n" + b"0123456789 abcdef\r\n" * 60_000,
}
"""Arrives as it is sent."""


@pytest.mark.parametrize("name", SAME)
def test_what_arrives_as_it_is_verifies(name: str) -> None:
    mail = SAME[name]
    lines = signed(mail)
    assert verifies(lines + mail)
    assert lines == signed(mail, FOLDING)


def test_pieces_may_end_anywhere() -> None:
    mail = (
        HEAD
        + b"\r\n  a \t b\r\r\n\t \r\n\r\nx\ry\r\n"
        + b"z" * 2100
        + b"  \r\n"
        + b"\r\n" * 3
        + b"end \r\n\r\n"
    )
    for transmission in (Transmission(), FOLDING, Transmission(keep_stray=True)):
        whole = signed(mail, transmission)
        assert all(signed(mail, transmission, piece) == whole for piece in (1, 2, 3, 5, 7, 64, 997, 998, 999))


def test_each_split_in_two_gives_the_same() -> None:
    mail = b"From: a@inst.example\r\nSubject: x\r\n \r\n\r\n a \r\n\r\n\tb\r\r\n \r\n"
    whole = digest([mail], FOLDING)
    assert all(digest([mail[:at], mail[at:]], FOLDING) == whole for at in range(len(mail) + 1))


# What Postfix 3.7 was seen to make of it; tests/integration/test_signing.py asks it again.
BROKEN = {
    "999 octets": (b"x" * 999 + b"\r\nend\r\n", b"x" * 998 + b"\r\n x\r\nend\r\n"),
    "two breaks": (b"x" * 1996 + b"\r\n", b"x" * 998 + b"\r\n " + b"x" * 997 + b"\r\n x\r\n"),
    "exactly two lines": (b"x" * 1995 + b"\r\n", b"x" * 998 + b"\r\n " + b"x" * 997 + b"\r\n"),
    "dots": (b"." * 1500 + b"\r\n", b"." * 998 + b"\r\n " + b"." * 502 + b"\r\n"),
    "a blank at the break": (b"x" * 997 + b" y\r\n", b"x" * 997 + b" \r\n y\r\n"),
    "in a character": ("ü" * 1500 + "\r\n").encode(),
}
BROKEN["in a character"] = (
    ("ü" * 1500 + "\r\n").encode(),
    ("ü" * 499).encode() + b"\r\n " + ("ü" * 1500).encode()[998:1995] + b"\r\n "
    + ("ü" * 1500).encode()[1995:2992] + b"\r\n " + ("ü" * 1500).encode()[2992:] + b"\r\n",
)  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_long_lines_verify_after_postfix_has_broken_them(name: str) -> None:
    sent, arrived = BROKEN[name]
    lines = signed(HEAD + b"\r\n" + sent, FOLDING)
    assert verifies(lines + HEAD + b"\r\n" + arrived)
    assert verifies(signed(HEAD + b"\r\n" + sent) + HEAD + b"\r\n" + sent)


def test_a_long_header_line_verifies_after_postfix_has_broken_it() -> None:
    sent = b"From: a@inst.example\r\nSubject: " + b"y" * 500 + b"\r\n " + b"z" * 1500 + b"\r\n\r\nx\r\n"
    arrived = sent.replace(b" " + b"z" * 997, b" " + b"z" * 997 + b"\r\n ")
    assert verifies(signed(sent, FOLDING) + arrived)


STRAY = {
    "within a line": (b"a\rb\r\rc\r\n", b"a b  c\r\n"),
    "before the line end": (b"c\r\r\nend\r \r\n", b"c\r\nend  \r\n"),
    "at the beginning": (b"\rabc\r\n", b" abc\r\n"),
    "an empty line of them": (b"x\r\n\r\r\r\ny\r\n", b"x\r\n\r\ny\r\n"),
}


@pytest.mark.parametrize("name", STRAY)
def test_carriage_returns_verify_as_postfix_leaves_them(name: str) -> None:
    sent, arrived = STRAY[name]
    assert verifies(signed(HEAD + b"\r\n" + sent) + HEAD + b"\r\n" + arrived)


def test_carriage_returns_that_postfix_keeps_are_signed() -> None:
    mail = HEAD + b"\r\na\rb\r\n"
    lines = signed(mail, Transmission(keep_stray=True))
    assert lines != signed(mail)
    # dkimpy leaves them in the body as they are.
    assert verifies(lines + mail)


def test_a_carriage_return_in_a_header_line() -> None:
    sent = b"From: a@inst.example\r\nSubject: x\ry\r\r\n\r\nend\r\n"
    assert verifies(signed(sent) + b"From: a@inst.example\r\nSubject: x y\r\n\r\nend\r\n")


@pytest.mark.parametrize("line", [b"this is body", b": no name", b"Two words: x", "Ü: x".encode()])
def test_the_header_ends_where_postfix_lets_it_end(line: bytes) -> None:
    sent = HEAD + line + b"\r\nCc: x@y.example\r\n\r\nmore\r\n"
    arrived = HEAD + b"\r\n" + line + b"\r\nCc: x@y.example\r\n\r\nmore\r\n"
    assert verifies(signed(sent) + arrived)


def test_blanks_before_the_colon_do_not_count() -> None:
    sent = b"From : a@inst.example\r\nSubject\t:  x\r\n\r\nend\r\n"
    assert verifies(signed(sent) + b"From: a@inst.example\r\nSubject:  x\r\n\r\nend\r\n")


def names(lines: bytes) -> list[str]:
    text = re.sub(r"\s", "", lines.decode())
    return re.search(r";h=([^;]*);", text)[1].split(":")  # type: ignore[index]


def test_nobody_can_add_a_from_or_a_subject() -> None:
    mail = SAME["plain"]
    lines = signed(mail)
    for added in (
        b"From: eve@evil.example\r\n",
        b"Subject: y\r\n",
        b"To: z@z.example\r\n",
        b"Cc: q@q.example\r\n",
    ):
        assert not verifies(lines + added + mail), added
        assert not verifies(lines + mail.replace(b"\r\n\r\n", b"\r\n" + added + b"\r\n", 1)), added
    assert names(lines).count("from") == 2
    assert names(lines).count("to") == 2


def test_what_postfix_may_add_breaks_nothing() -> None:
    mail = b"From: a@inst.example\r\nSubject: x\r\n\r\nx\r\n"
    lines = signed(mail)
    added = b"Message-Id: <1@mx>\r\nDate: Fri, 27 Nov 2026 03:48:27 +0000\r\nTo: undisclosed-recipients:;\r\n"
    received = b"Received: from x\r\n\tby y; z\r\nX-Postwarden-Decision: q\r\nReturn-Path: <a@b>\r\n"
    assert verifies(received + lines + mail.replace(b"\r\n\r\n", b"\r\n" + added + b"\r\n"))
    assert set(names(lines)) == ALWAYS_ONCE_MORE


def test_lines_of_servers_are_not_signed() -> None:
    ours = b"X-Postwarden-Id: 0123456789abc\r\nReceived: x\r\nDKIM-Signature: v=1\r\nBcc: q@r.example\r\n"
    assert signed(ours + SAME["plain"]) == signed(SAME["plain"])


def test_the_field_is_as_it_should_be() -> None:
    lines = signed(SAME["everything"])
    text = re.sub(r"\s", "", lines.decode())
    assert text.startswith(
        "DKIM-Signature:v=1;a=rsa-sha256;c=relaxed/relaxed;d=inst.example;s=dkim001;t=1790000123;h="
    )
    assert not re.search(r";[lxi]=", text)
    assert lines.endswith(b"\r\n")
    assert max(map(len, lines.split(b"\r\n"))) <= WIDTH


NOT_SIGNED = {
    "no From": (b"Subject: x\r\n\r\nx\r\n", "no-from"),
    "From in the body": (b"\r\nFrom: a@inst.example\r\n", "no-from"),
    "nothing": (b"", "no-from"),
    "two": (HEAD + b"From: b@inst.example\r\n\r\nx\r\n", "several-from"),
    "many": (HEAD + b"".join(b"To: %d\r\n" % n for n in range(MAX_SIGNED)) + b"\r\nx\r\n", "unforeseeable"),
    "long": (HEAD + b"Cc: " + b"x" * MAX_FIELD + b"\r\n\r\nx\r\n", "unforeseeable"),
}


@pytest.mark.parametrize("name", NOT_SIGNED)
def test_what_is_not_signed(name: str) -> None:
    mail, reason = NOT_SIGNED[name]
    with pytest.raises(NotSigned) as caught:
        signed(mail)
    assert caught.value.reason == reason


def test_as_many_fields_and_as_long_a_field_as_allowed() -> None:
    mail = HEAD + b"".join(b"Cc: %d\r\n" % n for n in range(MAX_SIGNED - 8)) + b"\r\nx\r\n"
    assert verifies(signed(mail) + mail)
    mail = HEAD + b"Cc: " + b"x y " * (MAX_FIELD // 4 - 2) + b"\r\n\r\nx\r\n"
    assert verifies(signed(mail) + mail)


UNFORESEEABLE = {
    "folded": b" folded\r\n" + HEAD + b"\r\nx\r\n",
    "folded and no more": b"\tfolded\r\n",
    "many lines": HEAD + b"X: y\r\n" * (MAX_HEADER // 5) + b"\r\nx\r\n",
    "a long line": HEAD + b"X: " + b"y" * MAX_HEADER,
    "carriage returns": HEAD + b"\r\n" + b"\r" * 2 * MAX_RUN + b"\r\n",
}


@pytest.mark.parametrize("name", UNFORESEEABLE)
def test_what_nobody_can_foresee(name: str) -> None:
    with pytest.raises(Unforeseeable):
        signed(UNFORESEEABLE[name], piece=10_000)


def test_a_header_as_large_as_allowed() -> None:
    line = b"X: " + b"y" * 995 + b"\r\n"
    head = HEAD + line * ((MAX_HEADER - len(HEAD)) // len(line))
    assert verifies(signed(head + b"\r\nx\r\n", piece=100_000) + head + b"\r\nx\r\n")


def test_memory_does_not_grow_with_the_message() -> None:
    piece = base64.encodebytes(random.Random(1).randbytes(190_000)).replace(b"\n", b"\r\n")
    blank = b" \t\r\n" * 60_000
    long = b"x" * 250_000
    pieces = [HEAD + b"\r\n", *[piece] * 8, *[blank] * 8, *[long] * 8, *[b"\r" * 60_000 + b"x"] * 8]
    tracemalloc.start()
    try:
        digest(iter(pieces), FOLDING)
        assert tracemalloc.get_traced_memory()[1] < 3 << 20
    finally:
        tracemalloc.stop()


def test_a_body_of_line_ends_counts_for_nothing() -> None:
    many = digest([HEAD + b"\r\n", *[b"\r\n" * 50_000] * 3], FOLDING)
    assert many.body == hashlib.sha256(b"").digest()
    more = digest([HEAD + b"\r\n", *[b"\r\n" * 50_000] * 3, b"x"], FOLDING)
    assert more.body == hashlib.sha256(b"\r\n" * 150_000 + b"x\r\n").digest()


def test_a_second_signature_by_ed25519(monkeypatch: pytest.MonkeyPatch) -> None:
    public, private = key("ed001", "ed25519-sha256")
    mail = SAME["plain"]
    both = sign(digest([mail], Transmission()), DOMAIN, [KEY, private], NOW)
    first, second = re.findall(rb"DKIM-Signature:.*?\r\n(?! )", both, re.S)
    assert verifies(first + mail)
    assert b"a=ed25519-sha256" in second
    assert b"s=ed001" in second
    # dkimpy has this algorithm from a library that we don't have; the rest of the work is its own.
    pure = Ed25519PublicKey.from_public_bytes(public.material)
    shim = SimpleNamespace(verify=lambda data, signature: pure.verify(signature, data))
    monkeypatch.setattr(
        dkim, "load_pk_from_dns", lambda name, dnsfunc, timeout: (shim, 256, b"ed25519", None)
    )
    assert dkim.verify(second + mail)
