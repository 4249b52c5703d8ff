"""Macro documents in the wrappings of old Macintosh programs."""

from __future__ import annotations

import struct

import pytest

from contentfilter.content.scan import scan_document, scan_message
from tests.samples.messages import HEAD, attachment, multipart
from tests.samples.office import doc, docm


def apple(magic: int, *entries: tuple[int, bytes]) -> bytes:
    head = struct.pack(">II16sH", magic, 0x00020000, bytes(16), len(entries))
    at = len(head) + 12 * len(entries)
    table = body = b""
    for kind, content in entries:
        table += struct.pack(">III", kind, at + len(body), len(content))
        body += content
    return head + table + body


def macbinary(content: bytes, resources: bytes = b"", signature: bytes = b"mBIN") -> bytes:
    head = bytearray(128)
    head[1:9] = b"\7old.doc"
    head[65:73] = b"W8BNMSWD"
    struct.pack_into(">II", head, 83, len(content), len(resources))
    head[102:106] = signature
    return bytes(head) + content + bytes(-len(content) % 128) + resources


WRAPPED = {
    "AppleSingle": apple(0x00051600, (3, b"old.doc"), (1, doc())),
    "AppleSingle, resources": apple(0x00051600, (2, docm())),
    "AppleDouble": apple(0x00051607, (9, bytes(32)), (2, doc())),
    "MacBinary": macbinary(doc()),
    "MacBinary I": macbinary(docm(), signature=bytes(4)),
    "MacBinary, resources": macbinary(b"text", doc()),
}


@pytest.mark.parametrize("data", WRAPPED.values(), ids=WRAPPED.keys())
def test_the_macro_is_found(data: bytes):
    assert "office-macro" in {finding.name for finding in scan_document("x", data).findings}


def test_in_a_mail_by_halves():
    halves = multipart(
        attachment(apple(0x00051607, (9, bytes(32))), "old.doc", "application/applefile"),
        attachment(doc(), "old.doc"),
        kind=b"appledouble",
    )
    assert "office-macro" in {finding.name for finding in scan_message(HEAD + halves).findings}


def test_every_cut_is_read_without_stumbling():
    for whole in (apple(0x00051600, (3, b"n"), (1, b"x" * 20)), macbinary(b"x" * 20)):
        for end in range(len(whole)):
            assert "failed" not in {item.reason for item in scan_document("x", whole[:end]).unscanned}


@pytest.mark.parametrize("data", [b"", b"\0", bytes(128), bytes(5000), b"\0\5\x16\0" + b"\xff" * 5000])
def test_what_only_resembles_them(data: bytes):
    result = scan_document("x", data)
    assert result.findings == ()
    assert {item.reason for item in result.unscanned} <= {"malformed"}
