"""Office documents that are locked, and what only speaks of it."""

from __future__ import annotations

import struct

import pytest

from contentfilter.content.scan import ScanOptions, scan_document
from tests.samples.archives import plain_zip
from tests.samples.compound import compound_file
from tests.samples.office import (
    BOF,
    EOF,
    doc,
    docm,
    docx,
    encrypted_ooxml,
    record,
    workbook,
    xls,
)

from ..scanned import found
from .officefiles import SUSPICIOUS, unscanned


@pytest.mark.parametrize(
    "data",
    [
        encrypted_ooxml(docm(), "secret"),
        doc(None, flags=0x0100),
        xls(workbook(record(0x002F, struct.pack("<HHHH", 1, 1, 1, 0) + bytes(48)))),
        xls(BOF.replace(b"\x00\x06", b"\x00\x05") + record(0x002F, b"\x01\x02\x03\x04") + EOF, "Book"),
        compound_file(
            {"PowerPoint Document": bytes(5000), "Current User": bytes(12) + b"\xdf\xc4\xd1\xf3" + bytes(40)}
        ),
        plain_zip(
            {
                "mimetype": b"application/vnd.oasis.opendocument.text",
                "META-INF/manifest.xml": b"<manifest:manifest><manifest:file-entry>"
                b"<manifest:encryption-data/>",
            }
        ),
    ],
    ids=["ooxml", "doc", "xls", "xls 95", "ppt", "odt"],
)
def test_locked_documents(data: bytes):
    assert found(data) == {"office-encrypted"}
    assert "encrypted" in unscanned(data)


@pytest.mark.parametrize(
    "page",
    [
        b"<html><title>manifest.py</title><pre>encryption-data = Element(...)</pre></html>",
        b"<manifest><p>a manifest has &lt;manifest:encryption-data&gt; where it is locked</p></manifest>",
        b"<manifest:manifest><x:encryption-data-2/></manifest:manifest>",
    ],
)
def test_what_only_speaks_of_locked_documents(page: bytes):
    assert found(page) == set()


def test_default_password_is_told_and_the_inside_scanned():
    assert found(encrypted_ooxml(docm(), "VelvetSweatshop")) == SUSPICIOUS | {"office-default-password"}
    assert found(encrypted_ooxml(docx(), "VelvetSweatshop")) == {"office-default-password"}
    assert unscanned(encrypted_ooxml(docx(), "VelvetSweatshop")) == set()


def test_default_password_of_excel_95():
    rotate = bytes((byte << 5 | byte >> 3) & 255 for byte in range(256))
    key = bytes.fromhex("876b9ae21ee305621e699660986e9404")
    head = BOF.replace(b"\x00\x06", b"\x00\x05") + record(0x002F, bytes.fromhex("59b30a9a"))
    plain = struct.pack("<IBB", 0x1000, 0, 1) + b"\x06Macro1"
    at = len(head) + 4
    locked = plain[:4] + bytes(
        rotate[plain[n]] ^ key[(at + n + len(plain)) % 16] for n in range(4, len(plain))
    )
    result = scan_document("x", xls(head + record(0x0085, locked) + EOF, "Book"))
    assert {finding.name for finding in result.findings} == {"office-default-password", "office-xlm-macro"}
    assert any("Macro1" in finding.detail for finding in result.findings)


def test_attempts_with_passwords_are_bounded():
    locked = encrypted_ooxml(docx(), "VelvetSweatshop")
    archive = plain_zip({f"{n}.docx": locked for n in range(4)})
    result = scan_document("x.zip", archive, ScanOptions(passwords=2))
    names = [finding.name for finding in result.findings]
    assert names.count("office-default-password") == 2
    assert names.count("office-encrypted") == 2


def test_encryption_that_no_program_could_open_is_damage():
    locked = encrypted_ooxml(docx(), "secret").replace(b"encryptedKeyValue=", b"encryptedKeyVolue=")
    assert found(locked) == set()
    assert unscanned(locked) == {"malformed"}
