"""Objects in office documents, and the Basic of OpenDocument."""

from __future__ import annotations

import base64
import binascii
import struct
import zlib

import pytest

from contentfilter.content.scan import scan_document
from tests.samples.archives import plain_zip
from tests.samples.compound import compound_file
from tests.samples.office import (
    doc,
    docx,
    ppt,
)

from ..scanned import found
from .officefiles import PROJECT, ole1, ole_package, rtf, unscanned


def test_package_is_told_and_its_content_scanned():
    program = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(100)
    native = compound_file({"\x01Ole10Native": ole_package(b"a.exe", program)})
    assert found(docx(extra={"word/embeddings/o.bin": native})) == {"ole-object", "executable"}
    assert found(rtf(binascii.hexlify(ole1(b"Package", ole_package(b"a.exe", program)[4:])))) == {
        "ole-object",
        "executable",
    }


def packaged(label: bytes, source: bytes, temporary: bytes, wide: str = "") -> bytes:
    body = b"\x02\0" + label + b"\0" + source + b"\0\0\0\x03\0"
    body += struct.pack("<I", len(temporary) + 1) + temporary + b"\0" + struct.pack("<I", 8) + b"x = 1 \r\n"
    for name in (wide, wide, wide) if wide else ():
        body += struct.pack("<I", len(name)) + name.encode("utf-16-le")
    return compound_file({"\x01Ole10Native": struct.pack("<I", len(body)) + body})


@pytest.mark.parametrize(
    "names",
    [
        (b"a.js", b"C:\\a.txt", b"C:\\Temp\\a.txt"),
        (b"a.txt", b"C:\\a.js", b"C:\\Temp\\a.txt"),
        (b"a.txt", b"C:\\a.txt", b"C:\\Temp\\a.js"),
        (b"a.txt", b"C:\\a.txt", b"C:\\Temp\\a.txt", "C:\\Temp\\ä.js"),
    ],
)
def test_each_name_of_a_package_counts(names: tuple[bytes, bytes, bytes] | tuple[bytes, bytes, bytes, str]):
    assert found(packaged(*names)) == {"ole-object", "executable"}
    assert found(packaged(b"a.txt", b"C:\\a.txt", b"C:\\Temp\\a.txt")) == {"ole-object"}


def test_package_that_is_cut_off_is_no_crash():
    whole = ole_package(b"a.exe", b"x" * 50)
    for size in range(len(whole)):
        found(compound_file({"\x01Ole10Native": whole[:size] or b"x"}))


def test_basic_of_opendocument():
    def odt(code: str) -> bytes:
        text = f'<script:module script:name="M" script:language="StarBasic">{code}</script:module>'
        return plain_zip(
            {"META-INF/manifest.xml": b"<manifest:manifest/>", "Basic/Standard/M.xml": text.encode()}
        )

    assert found(odt("REM  *****  BASIC  *****\n\nSub Main\n\nEnd Sub\n")) == set()
    assert found(odt("Sub Main\nShell(&quot;x&quot;)\nEnd Sub\n")) == {"office-macro"}


FLAT = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<office:document'
    ' xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    ' xmlns:script="urn:oasis:names:tc:opendocument:xmlns:script:1.0"'
    ' xmlns:xhtml="http://www.w3.org/1999/xhtml"'
    ' office:mimetype="application/vnd.oasis.opendocument.text">\n<office:scripts>%s</office:scripts>\n%s'
    "</office:document>\n"
)
"""As LibreOffice writes it, with the namespace of web pages, in which it has nothing."""
LIBRARY = (
    '<office:script script:language="ooo:Basic"><ooo:libraries xmlns:ooo="http://openoffice.org/2004/office">'
    '<ooo:library-embedded ooo:name="Standard"><ooo:module ooo:name="Module1">\n<ooo:source-code>%s'
    "</ooo:source-code></ooo:module></ooo:library-embedded></ooo:libraries></office:script>"
)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("REM  *****  BASIC  *****\n\nSub Main\n\nEnd Sub\n", set()),
        ("Rem Attribute VBA_ModuleType=VBAModule\nOption VBASupport 1\n", set()),
        ("Sub Main\n  Shell(&quot;calc&quot;)\nEnd Sub\n", {"office-macro"}),
        ('Sub Main\n<![CDATA[Shell("calc")]]>\nEnd Sub\n', {"office-macro"}),
    ],
)
def test_basic_of_opendocument_in_one_file_of_xml(code: str, names: set[str]):
    assert found((FLAT % (LIBRARY % code, "")).encode()) == names
    assert found((FLAT % (LIBRARY % code, "")).replace("ooo:", "x:").encode("utf-16")) == names


def test_basic_has_one_digest_in_a_package_and_in_one_file_of_xml():
    code = "Sub Main\nBeep\nEnd Sub\n"
    module = f'<script:module script:name="M" script:language="StarBasic">{code}</script:module>'
    digests = {
        finding.digest
        for data in ((FLAT % (LIBRARY % code, "")).encode(), module.encode())
        for finding in scan_document("document", data).findings
    }
    assert len(digests) == 1
    assert digests != {""}


def test_a_document_in_a_document_of_one_file_of_xml():
    lines = base64.encodebytes(doc()).decode().replace("\n", "\n          ")
    inside = f"<draw:object-ole><office:binary-data>{lines}</office:binary-data></draw:object-ole>"
    assert "office-macro" in found((FLAT % ("", inside)).encode())
    lines = (
        base64.encodebytes(compound_file({"WordDocument": b"\xec\xa5" + bytes(5000)}))
        .decode()
        .replace("\n", "\n         ")
    )
    tame = (FLAT % ("", f"<office:binary-data>{lines}</office:binary-data>")).encode()
    assert found(tame) == set()
    assert unscanned(tame) == set()


def test_an_object_that_is_cut_off_is_told():
    stream = zlib.compress(PROJECT)
    head = struct.pack("<HHII", 0x0010, 0x1011, 4 + len(stream), len(PROJECT))
    data = ppt(bytes(5000) + head + stream[:-200])
    assert "malformed" in unscanned(data)
    beyond = b"\0\0\x11\x10\xff\xff\xff\x0f" + bytes(range(256)) * 20
    assert "malformed" in unscanned(ppt(beyond))
