"""Messages that can be read in several ways: the payload is handed out in each, and the doubt is told."""

from __future__ import annotations

import base64
import binascii
import random
import re

import pytest

from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Part
from contentfilter.message import BytesWire, MessageReader
from contentfilter.message.boundary import boundaries
from contentfilter.message.variants import in_structure, variants
from mailbase.vocabulary import Finding
from tests.samples.messages import HEAD, attachment, multipart, text

PAYLOAD = b"the payload that must be seen, whichever client opens this"
FILE = attachment(PAYLOAD, "evil.doc")
ENCODED = base64.b64encode(PAYLOAD)


def read(data: bytes) -> tuple[set[bytes], set[str]]:
    items = list(MessageReader(BytesWire(data), Budget(ScanOptions())).read())
    contents = {bytes(item.data) for item in items if isinstance(item, Part)}
    return contents, {item.name for item in items if isinstance(item, Finding)}


def body(*lines: bytes) -> bytes:
    return b"\r\n".join(lines)


MULTI = b'Content-Type: multipart/mixed; boundary="%s"\r\n'
CASES = {
    "second boundary is the real one": HEAD
    + b'Content-Type: multipart/mixed; boundary="a"; boundary="b"\r\n\r\n'
    + body(b"--a", text(b"x"), b"--b", FILE, b"--b--", b"--a--", b""),
    "second content-type is the real one": HEAD
    + b"Content-Type: text/plain\r\n"
    + MULTI % b"b"
    + b"\r\n"
    + body(b"--b", FILE, b"--b--", b""),
    "first content-type is the real one": HEAD
    + MULTI % b"b"
    + b"Content-Type: text/plain\r\n\r\n"
    + body(b"--b", FILE, b"--b--", b""),
    "two boundaries in two fields": HEAD
    + MULTI % b"a"
    + MULTI % b"b"
    + b"\r\n"
    + body(b"--a", text(b"x"), b"--a--", b"--b", FILE, b"--b--", b""),
    "two transfer encodings, base64 last": HEAD
    + b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + ENCODED,
    "two transfer encodings, base64 first": HEAD
    + b"Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    + ENCODED,
    "unknown transfer encoding": HEAD + b"Content-Transfer-Encoding: base-64\r\n\r\n" + ENCODED,
    "part before the first delimiter": HEAD
    + MULTI % b"b"
    + b"\r\n"
    + body(FILE, b"--b", text(), b"--b--", b""),
    "part after the closing delimiter": HEAD
    + MULTI % b"b"
    + b"\r\n"
    + body(b"--b", text(), b"--b--", FILE, b""),
    "delimiter after the closing one": HEAD
    + MULTI % b"b"
    + b"\r\n"
    + body(b"--b", text(), b"--b--", b"", b"--b", FILE, b"--b--", b""),
    "no closing delimiter": HEAD + MULTI % b"b" + b"\r\n" + body(b"--b", text(), b"--b", FILE),
    "boundary is not declared": HEAD
    + b"Content-Type: multipart/mixed\r\n\r\n"
    + body(b"--b", FILE, b"--b--", b""),
    "no delimiter at all": HEAD + MULTI % b"b" + b"\r\n" + FILE,
    "header line after a bare CR": HEAD + b"X: y\rContent-Transfer-Encoding: base64\r\n\r\n" + ENCODED,
    "NUL in the header": HEAD + b"Content-Transfer-Enc\0oding: base64\r\n\r\n" + ENCODED,
    "multipart that is base64": HEAD
    + MULTI % b"b"
    + b"Content-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(body(b"--b", FILE, b"--b--", b"")),
    "multipart that shows another part where it is decoded": HEAD
    + MULTI % b"b"
    + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    + body(b"--b", text(b"x"), b"=2D-b", FILE.replace(b"=", b"=3D"), b"--b--", b""),
    "part inside base64": HEAD
    + MULTI % b"b"
    + b"\r\n"
    + body(b"--b", attachment(b"harmless" * 9), b"--b x", FILE, b"--b--", b""),
    "base64 goes on after padding": HEAD
    + b"Content-Transfer-Encoding: base64\r\n\r\n"
    + base64.b64encode(PAYLOAD[:10])
    + b"\r\n"
    + base64.b64encode(PAYLOAD[10:]),
    "uuencode before the first delimiter": HEAD
    + MULTI % b"b"
    + b"\r\n"
    + body(
        b"begin 644 evil.doc", binascii.b2a_uu(PAYLOAD[:45]).rstrip(), b"end", b"--b", text(), b"--b--", b""
    ),
}


@pytest.mark.parametrize("mail", CASES.values(), ids=CASES.keys())
def test_every_reading_is_handed_out(mail: bytes):
    contents, findings = read(mail)
    assert any(content.startswith(PAYLOAD[:27]) for content in contents), contents
    assert findings == {"mime-ambiguous"}


HONEST = {
    "quoted message source in text": HEAD + text(b"> forwarded:\r\n" + multipart(FILE, text())),
    "boundary in a comment's company": HEAD
    + b'Content-Type: multipart/mixed (hi); boundary="b" (there)\r\n\r\n'
    + body(b"--b", FILE, b"--b--", b""),
    "boundary without quotes": HEAD
    + b"Content-Type: multipart/mixed; boundary=b; x=y\r\n\r\n"
    + body(b"--b", FILE, b"--b--", b""),
    "boundary with a blank before the equals sign": HEAD
    + b'Content-Type: multipart/mixed;\r\n boundary = "b"\r\n\r\n'
    + body(b"--b", FILE, b"--b--", b""),
    "the same field twice": HEAD + MULTI % b"b" + MULTI % b"b" + b"\r\n" + body(b"--b", FILE, b"--b--", b""),
}


@pytest.mark.parametrize("mail", HONEST.values(), ids=HONEST.keys())
def test_odd_but_plain_messages_are_read_without_a_finding(mail: bytes):
    contents, findings = read(mail)
    assert PAYLOAD in contents
    assert findings == set()


@pytest.mark.parametrize("rest", [b"; foo", b"; foo bar", b'; foo="b', b"; ; foo"])
def test_what_only_begins_like_a_parameter_leaves_doubt(rest: bytes):
    assert boundaries(b"multipart/mixed; boundary=b1" + rest).doubtful
    assert not boundaries(b"multipart/mixed; boundary=b1; foo=bar;").doubtful


def test_footer_after_base64_is_no_ambiguity():
    mail = HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + ENCODED + b"\r\n______\r\na list\r\n"
    contents, findings = read(mail)
    assert PAYLOAD in contents
    assert findings == set()


@pytest.mark.parametrize("seed", range(20))
def test_forms_without_nul_and_bare_cr(seed: int):
    draw = random.Random(seed)
    data = b"".join(draw.choice((b"\r", b"\n", b"\r\n", b" ", b"\t", b"a", b"\0", b"--")) for _ in range(300))
    # With all octets there is none to stand for line ends.
    data += bytes(range(256)) if seed % 2 else b""
    plain = data.replace(b"\0", b"")
    forms = list(variants(data))
    assert re.sub(rb"(?<![ \t])[ \t]*\r(?!\n)", b"\r\n", plain) in forms
    assert re.sub(rb"\r(?!\n)", b"", plain) in forms


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"a\r--b", True),
        (b"a\r \t\0\r--b", True),
        (b"a \0\rContent-Type", True),
        (b"a\r" + b"\r " * 50 + b"content-", True),
        (b"a\r\n--b", False),
        (b"a\r\r\n--b", False),
        (b"a\rx--b", False),
        (b"\n--b\0", True),
        (b"\ncontent-type: a\rb", True),
    ],
)
def test_what_stands_at_the_structure(text: bytes, found: bool):
    assert in_structure(text) is found
