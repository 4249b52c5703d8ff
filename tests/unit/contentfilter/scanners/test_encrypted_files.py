"""Files that are nothing but encrypted, and PDF in XML."""

from __future__ import annotations

import base64

import pytest

from contentfilter.content.scan import ScanOptions
from tests.samples.archives import plain_zip
from tests.samples.pdf import raw_pdf

from ..scanned import scanned


@pytest.mark.parametrize(
    "beginning",
    [
        b"AES\1\0",
        b"AES\2\0",
        bytes.fromhex("c0b9072e4f93f146a015792ca1d9e821"),
        b"age-encryption.org/v1\n",
        b"-----BEGIN AGE ENCRYPTED FILE-----",
        b"Salted__",
        b"encrcdsa",
        b"LUKS\xba\xbe",
        b"\xeb\x58\x90-FVE-FS-",
    ],
)
def test_files_that_are_encrypted(beginning: bytes):
    names, reasons = scanned(beginning + bytes(range(256)) * 4)
    assert "archive-encrypted" in names
    assert "encrypted" in reasons
    assert "archive-encrypted" not in scanned(b"." + beginning + bytes(100))[0]
    assert "archive-encrypted" not in scanned(beginning[:-1])[0]


def test_documents_of_iwork():
    assert scanned(plain_zip({".iwpv2": b"x" * 50, "Index.zip": b"x" * 50}))[0] == {"office-encrypted"}
    assert scanned(plain_zip({"notes about .iwpv2 files": b"x"})) == (set(), set())


def test_documents_of_wordperfect():
    head = b"\xffWPC\x10\0\0\0\x01\x0a\x02\x01"
    assert scanned(head + b"\x34\x12" + bytes(500)) == ({"office-encrypted"}, {"encrypted"})
    assert scanned(head + bytes(502)) == (set(), set())


def xdp(*documents: bytes, form: bytes = b"") -> bytes:
    head = b'<?xml version="1.0"?><xdp:xdp xmlns:xdp="http://ns.adobe.com/xdp/">' + form
    chunks = b"".join(b"<chunk>\n" + base64.encodebytes(document) + b"</chunk>" for document in documents)
    return (
        head
        + b'<pdf xmlns="http://ns.adobe.com/xdp/pdf/"><document>'
        + chunks
        + b"</document></pdf></xdp:xdp>"
    )


def test_pdf_in_xml():
    launch = raw_pdf(b"/OpenAction<</S/Launch/F(cmd.exe)>>")
    assert scanned(xdp(launch)) == ({"pdf-launch"}, set())
    assert scanned(xdp(raw_pdf(), launch)) == ({"pdf-launch"}, set())
    assert scanned(xdp(raw_pdf())) == (set(), set())
    assert scanned(xdp(form=b"<template><script>x</script></template>"))[0] == {"pdf-javascript"}
    assert scanned(xdp(*[raw_pdf()] * 5), ScanOptions(members=4)) == ({"too-large"}, {"too-large"})
    assert scanned(xdp(*[raw_pdf()] * 4), ScanOptions(members=4)) == (set(), set())
