"""Charsets: text as a client shows it."""

from __future__ import annotations

import base64
import codecs
import time

import pytest

from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Context, Part
from contentfilter.content.text import MAX_TEXT, hidden_from_bytes, text_of
from contentfilter.message import BytesWire, MessageReader
from contentfilter.scanners.wide_text import WideText
from tests.samples.messages import HEAD

PAGE = "<html><script>atob('ä')</script></html>"


@pytest.mark.parametrize(
    ("data", "charset"),
    [
        (PAGE.encode(), ""),
        (PAGE.encode(), "utf-8"),
        (PAGE.encode("latin-1"), "ISO-8859-1"),
        (PAGE.encode("cp1252"), ""),
        (PAGE.encode("utf-16"), ""),
        (codecs.BOM_UTF16_BE + PAGE.encode("utf-16-be"), "us-ascii"),
        (PAGE.encode("utf-16-le"), "utf-16"),
        (PAGE.encode("utf-16-be"), "UTF-16BE"),
        (PAGE.encode("utf-16-le"), ""),
        (PAGE.encode("utf-16-be"), ""),
        (PAGE.encode("utf-32"), ""),
        (PAGE.encode("utf-7"), '"UTF-7"'),
        (codecs.BOM_UTF8 + PAGE.encode(), "koi8-r"),
        (PAGE.encode(), "no-such-charset"),
        (PAGE.encode(), "punycode"),
        (PAGE.encode(), "unicode_escape"),
    ],
)
def test_text_is_what_a_client_shows(data: bytes, charset: str):
    assert text_of(data, charset) == PAGE


def test_a_page_that_names_its_charset_itself():
    data = b'<meta charset="utf-7">' + "<script>".encode("utf-7")
    assert text_of(data) == '<meta charset="utf-7"><script>'


def test_damaged_text_is_read_all_the_same():
    assert text_of(b"<\0h\0\xff", "utf-16").startswith("<h")
    assert "script" in text_of(b"+ADw-script+AD", "utf-7")


def test_text_is_bounded():
    assert len(text_of(b"x" * (MAX_TEXT + 9))) == MAX_TEXT


@pytest.mark.parametrize("charset", ["utf-7", "hz", "iso-2022-jp", "punycode", "idna", "utf-16", "x" * 999])
def test_decoding_is_linear(charset: str):
    started = time.process_time()
    text_of(b"a-" * 500_000, charset)
    assert time.process_time() - started < 2


def pieces(data: bytes, charset: str = "") -> list[bytes]:
    part = Part("1", data, charset=charset)
    found = WideText().scan(part, Context(part, Budget(ScanOptions())))
    return [bytes(item.data) for item in found if isinstance(item, Part)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7"])
def test_scanners_see_it_in_utf_8(encoding: str):
    declared = encoding if encoding == "utf-7" else ""
    assert pieces(PAGE.encode(encoding), declared) == [PAGE.encode()]


@pytest.mark.parametrize(
    "data", [PAGE.encode(), b"", b"\0", b"\0\0\0\0", b"PK\3\4", b"+ADw-", b"\x89PNG\r\n\x1a\n"]
)
def test_what_octets_show_is_not_decoded_again(data: bytes):
    assert not hidden_from_bytes(data)
    assert pieces(data) == []


def test_the_charset_of_a_mail_reaches_the_part():
    body = base64.b64encode(PAGE.encode("utf-16-le"))
    mail = (
        HEAD
        + b'Content-Type: text/html; charset="UTF-16"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + body
    )
    [part] = MessageReader(BytesWire(mail), Budget(ScanOptions())).read()
    assert isinstance(part, Part)
    assert part.charset == "UTF-16"
    assert pieces(bytes(part.data), part.charset) == [PAGE.encode()]
