"""Messages built to exhaust a reader: each ends within its bound, and says so."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from contentfilter.limits import Budget, ScanOptions
from contentfilter.message import BytesWire, MessageReader
from contentfilter.part import Part
from contentfilter.scan import scan_message
from mailbase.vocabulary import Finding, Unscanned
from tests.samples.messages import HEAD, attachment, message, multipart, text

OPTIONS = ScanOptions()


def nested(levels: int) -> bytes:
    lines = [
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(levels)
    ]
    return HEAD + b"".join(lines) + attachment(b"payload", "p")


def read(data: bytes, options: ScanOptions = OPTIONS) -> list[Part | Finding | Unscanned]:
    return list(MessageReader(BytesWire(data), Budget(options)).read())


def test_nesting_up_to_the_bound_is_read():
    options = replace(OPTIONS, mime_depth=8)
    assert any(isinstance(item, Part) for item in read(nested(8), options))


def test_nesting_beyond_the_bound_is_told():
    options = replace(OPTIONS, mime_depth=8)
    items = read(nested(9), options)
    assert not any(isinstance(item, Part) for item in items)
    assert "too-deep" in {item.reason for item in items if isinstance(item, Unscanned)}
    assert "too-deep" in {item.name for item in items if isinstance(item, Finding)}


def test_header_block_up_to_the_bound_is_parsed():
    mail = b"X: " + b"x" * (OPTIONS.header_size - 200) + b"\r\n" + attachment(b"payload", "p")
    [part] = read(mail)
    assert isinstance(part, Part)
    assert part.data == b"payload"


def test_header_block_beyond_the_bound_is_told():
    mail = b"X: " + b"x" * OPTIONS.header_size + b"\r\n" + attachment(b"payload", "p")
    items = read(mail)
    assert Unscanned("", "too-large", "header block") in items


def test_parts_beyond_the_bound_are_told():
    mail = message(multipart(*[text(b"x")] * 30))
    assert scan_message(mail, replace(OPTIONS, parts=30)).unscanned == ()
    result = scan_message(mail, replace(OPTIONS, parts=29))
    assert result.parts == 29
    assert {item.reason for item in result.unscanned} == {"too-large"}


@pytest.mark.parametrize(("work", "reasons"), [(1 << 20, set()), (1 << 18, {"too-large"})])
def test_reading_over_and_over_is_bounded(work: int, reasons: set[str]):
    lines = [b"--x y" for _ in range(150)]
    mail = (
        HEAD
        + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n"
        + b"\r\n".join(lines)
        + b"\r\n--x--\r\n"
    )
    result = scan_message(mail, replace(OPTIONS, work=work))
    assert {item.reason for item in result.unscanned} == reasons


MANY = {
    "10,000 levels": nested(10_000),
    "10,000 messages in messages": HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 10_000,
    "levels with two boundaries each": HEAD
    + b"".join(
        b'Content-Type: multipart/mixed; boundary="a%d"\r\n'
        b'Content-Type: multipart/mixed; boundary="c%d"\r\n\r\n'
        b"--a%d\r\n--c%d\r\n" % (n, n, n, n)
        for n in range(500)
    ),
    "messages with three encodings each": HEAD
    + b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\nContent-Transfer-Encoding: base64\r\n\r\n" * 300,
    "delimiters": HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n" * 300_000,
    "closing delimiters": HEAD
    + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
    + b"--x--\r\n" * 300_000,
    "almost delimiters": HEAD
    + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
    + b"--xy\r\n" * 600_000,
    "headers in text": HEAD + b"\r\n" + b"\r\nContent-Type: text/plain\r\n" * 100_000,
    "encoded headers in text": HEAD
    + b"\r\n"
    + b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n" * 100_000,
    "uuencode beginnings": HEAD + b"\r\n" + b"begin 644 a\r\n" * 400_000,
    "base64 in pieces": HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"AAA=" * 1_000_000,
    "one header line": HEAD + b"X: " + b"x" * 8_000_000 + b"\r\n\r\n",
    "one folded header line": HEAD + b"X: " + b"x\r\n " * 2_000_000 + b"\r\n\r\n",
    "parameters": HEAD + b"Content-Type: multipart/mixed" + b"; a=b" * 100_000 + b"\r\n\r\nx",
    "quotes and backslashes": HEAD
    + b'Content-Type: multipart/mixed; boundary="'
    + b'\\"' * 8000
    + b"\r\n\r\n",
    "name in 1,000 pieces": HEAD
    + b"Content-Disposition: attachment"
    + b"".join(b"; filename*%d*=%%41" % n for n in range(1000))
    + b"\r\n\r\nx",
    "broken encoded words": HEAD
    + b'Content-Disposition: attachment; filename="'
    + b"=?utf-8?q?a" * 3000
    + b'"\r\n\r\nx',
}


@pytest.mark.parametrize("mail", MANY.values(), ids=MANY.keys())
def test_built_to_exhaust(mail: bytes):
    # Generous: what it guards against takes minutes. A loaded machine must not fail it.
    started = time.process_time()
    result = scan_message(mail, replace(OPTIONS, work=256 << 20))
    assert time.process_time() - started < 5
    assert result.parts <= OPTIONS.parts


def test_honest_large_multipart_is_within_the_bounds():
    mail = message(multipart(*[attachment(b"x" * 2000, f"{n}.txt") for n in range(3000)]))
    result = scan_message(mail)
    assert (result.findings, result.unscanned, result.parts) == ((), (), 3000)
