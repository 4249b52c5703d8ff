"""Office documents for tests, and what is found in them."""

from __future__ import annotations

import struct

from contentfilter.content.scan import scan_document
from tests.samples.office import (
    MACRO,
    vba_project,
)

SUSPICIOUS = {"office-macro", "office-macro-suspicious"}
PROJECT = vba_project(MACRO)


def unscanned(data: bytes) -> set[str]:
    return {item.reason for item in scan_document("document", data).unscanned}


def ole_package(name: bytes, content: bytes) -> bytes:
    body = (
        b"\x02\x00" + name + b"\0" + b"C:\\" + name + b"\0" + b"\0\0\x03\0" + struct.pack("<I", 4) + b"C:\\\0"
    )
    body += struct.pack("<I", len(content)) + content
    return struct.pack("<I", len(body)) + body


def ole1(kind: bytes, content: bytes) -> bytes:
    name = struct.pack("<I", len(kind) + 1) + kind + b"\0"
    return struct.pack("<II", 0x501, 2) + name + bytes(8) + struct.pack("<I", len(content)) + content


def rtf(objdata: bytes) -> bytes:
    return b"{\\rtf1 text{\\object\\objemb{\\*\\objdata " + objdata + b"}}}"
