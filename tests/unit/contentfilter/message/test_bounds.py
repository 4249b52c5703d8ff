"""Messages built to exhaust a reader: each ends within its bound, and says so."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Part
from contentfilter.content.scan import scan_message
from contentfilter.message import BytesWire, MessageReader
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


@pytest.mark.parametrize("kind", [b"text/plain", b"message/rfc822", b"multipart/mixed; boundary=b"])
def test_base64_in_more_pieces_than_are_joined_is_told(kind: bytes):
    mail = HEAD + b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    result = scan_message(mail + b"LS1iDQo=\r\n" * 300_010)
    assert "too-large" in {finding.name for finding in result.findings}
    assert "base64 in too many pieces" in {item.detail for item in result.unscanned}


def test_broken_escapes_count_as_work():
    mail = HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=" * 50_000
    assert scan_message(mail, replace(OPTIONS, work=16 << 20)).unscanned == ()
    result = scan_message(mail, replace(OPTIONS, work=4 << 20))
    assert {item.reason for item in result.unscanned} == {"too-large"}


@pytest.mark.parametrize(
    "noise", [b"\r", b"\0", b"\r\0", b" \r", b"\r ", b"\r\r\n", b"\r--", b"\r\n\0", b"\r-"]
)
def test_nul_and_bare_cr_take_linear_time(noise: bytes):
    mail = HEAD + b"\r\n" + noise * (500_000 // len(noise))
    started = time.process_time()
    scan_message(mail)
    assert time.process_time() - started < 5


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
    "encoded words without number": HEAD
    + b'Content-Type: text/plain; name="'
    + b"=?" * 1_000_000
    + b'"\r\n\r\nx',
    "blanks behind a parameter": HEAD
    + (b"Content-Type: multipart/mixed; x=y" + b" " * 16_000 + b"(\r\n") * 30
    + b"\r\nx",
    "a hundred thousand blanks behind a parameter": HEAD
    + (b"Content-Type: multipart/mixed; x=y" + b" " * 120_000 + b"(\r\n") * 2
    + b"\r\nx",
    "names without number": HEAD + b"Content-Type: text/plain; " + b"name " * 24_000 + b"\r\n\r\nx",
    "stray names": HEAD + b"x\r\n" + b"name=a\r\n" * 30_000 + b"\r\nx",
    "descriptions": HEAD + b"Content-Description: a\r\n" * 10_000 + b"\r\nx",
    "blanks in a disposition": HEAD + b" Content-Disposition: " + b"\v" * 16_000 + b"x\r\n\r\nx",
    "boundaries without number": HEAD
    + b"Content-Type: multipart/mixed; "
    + b"boundary=" * 1_000_000
    + b"\r\n\r\n--x",
    "boundaries in other fields": HEAD
    + b"Content-Type: multipart/mixed\r\n"
    + b"X: boundary=a\r\n" * 10_000
    + b"\r\n--a\r\n\r\nx",
    "comments without number": HEAD
    + b"Content-Type: multipart/mixed; "
    + b"(boundary=" * 100_000
    + b"\r\n\r\n--x",
    "lines with two hyphens": HEAD + b"Content-Type: multipart/mixed\r\n\r\n" + b"--x\r\nA: b\r\n" * 300_000,
    "hyphens of different kinds": HEAD
    + b"Content-Type: multipart/mixed\r\n\r\n"
    + b"".join(b"--x%d\r\nA: b\r\n" % n for n in range(200_000)),
    "delimiters with text": HEAD
    + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
    + b"--x y\r\nContent-Type: a/b\r\n\r\n" * 60_000,
    "blanks in quoted-printable": HEAD
    + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=ZZ"
    + (b" " * 100_000 + b"x") * 20,
    "broken escapes": HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=Z" * 1_000_000,
    "blanks and a bare CR": HEAD + b"X: a\rb\r\n\r\n" + (b" " * 100_000 + b"x") * 20,
    "bare CR without number": HEAD + b"\r\n" + b"\r--\r" * 300_000,
    "NUL without number": HEAD + b"\r\n" + b"\0--\0\n" * 300_000,
    "NUL in every delimiter": HEAD
    + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
    + b"--x\0\r\n" * 60_000,
    "padding in every place": HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"A=B=" * 500_000,
    "a letter in every line": HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"A\r\n" * 500_000,
    "junk in every line": HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"AAA#\r\n" * 300_000,
    "beginnings in base64": HEAD + b"\r\n" + b"UEsDB " * 400_000,
    "runs of BinHex": HEAD
    + b"\r\n(This file must be converted with BinHex 4.0)\r\n:"
    + b"(*r$r" * 400_000
    + b":",
    "beginnings of BinHex": HEAD + b"\r\nBinHex" + b"\r\n:!!!!!!!!!!!" * 200_000,
    "escapes of yEnc": HEAD + b"\r\n=ybegin line=1 size=1 name=x\r\n" + b"=a" * 500_000,
    "headers that are none": HEAD + b"no header\r\n" * 20_000 + b"\r\nx",
    "parts without a header": HEAD
    + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
    + b"--x\r\nno header\r\nContent-Type: a/b\r\n" * 20_000,
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


def test_more_fields_than_are_read_are_too_large():
    fields = b"".join(b"Content-Type: a/b%d\r\n" % number for number in range(60))
    assert any(item.reason == "too-large" for item in scan_message(HEAD + fields + b"\r\nx").unscanned)


@pytest.mark.parametrize("size", [1 << 20, 16 << 20])
def test_a_header_line_without_end_is_read_over_once(size: int):
    """The line may as well have a gigabyte: what is parsed of it is bounded, what is looked at is counted."""
    mail = HEAD + b"X: " + b"x" * size + b"\r\n" + attachment(b"payload", "p")
    budget = Budget(OPTIONS)
    items = list(MessageReader(BytesWire(mail), budget).read())
    assert Unscanned("", "too-large", "header block") in items
    assert budget.work <= 4 * len(mail) + 64 * Budget.LEAST_WORK


def test_work_is_linear_in_the_message():
    """Twice as many parts, delimiters and hidden headers cost about twice as much."""

    def work(count: int) -> int:
        part = attachment(b"x" * 500, "a.bin") + b"\r\n--=_b x\r\nContent-Type: text/plain\r\n\r\ny\r\n"
        budget = Budget(OPTIONS)
        for _item in MessageReader(BytesWire(message(multipart(*[part] * count))), budget).read():
            pass
        return budget.work

    assert work(200) < 2.5 * work(100) < 6.5 * work(50)


def test_honest_large_multipart_is_within_the_bounds():
    mail = message(multipart(*[attachment(b"x" * 2000, f"{n}.txt") for n in range(3000)]))
    result = scan_message(mail)
    assert (result.findings, result.unscanned, result.parts) == ((), (), 3000)
