"""Office documents made for tests: with macros, without, locked, and with what else scanners look for."""

from __future__ import annotations

import hashlib
import io
import struct

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher

from tests.samples.archives import plain_zip
from tests.samples.compound import Tree, compound_file, vba_storage

MACRO = 'Sub AutoOpen()\r\n    Shell Environ("TEMP") & "\\x.exe"\r\nEnd Sub\r\n'
"""Runs by itself and executes."""
TAME = "Function Twice(a)\r\n    Twice = a * 2\r\nEnd Function\r\n"
"""Code, but nothing that starts by itself."""
EMPTY = "' only a comment\r\nOption Explicit\r\n"
"""No executable code."""

CONTENT_TYPES = (
    b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    b'<Default Extension="xml" ContentType="application/xml"/></Types>'
)


def vba_project(code: str, cache: bytes = b"\x01\x16\x03\x00") -> bytes:
    """A ``vbaProject.bin``."""
    return compound_file({"VBA": vba_storage({"Module1": code}, cache), "PROJECT": b'ID="{0}"\r\n'})


def damaged_project() -> bytes:
    """A VBA project whose module cannot be read."""
    storage = vba_storage({"Module1": MACRO})
    storage["Module1"] = b""
    return compound_file({"VBA": storage, "PROJECT": b'ID="{0}"\r\n'})


def docx(document: bytes = b"<w:document/>", extra: dict[str, bytes] | None = None) -> bytes:
    """An OOXML Word document."""
    return plain_zip({"[Content_Types].xml": CONTENT_TYPES, "word/document.xml": document, **(extra or {})})


def docm(code: str = MACRO, name: str = "word/vbaProject.bin") -> bytes:
    """An OOXML Word document with a VBA project."""
    return docx(extra={name: vba_project(code)})


def doc(code: str | None = MACRO, text: bytes = b"", flags: int = 0) -> bytes:
    """A binary Word document."""
    head = struct.pack("<HHHHHH", 0xA5EC, 0xC1, 0, 0x409, 0, flags)
    tree: Tree = {"WordDocument": (head + bytes(500) + text).ljust(4096, b"\0"), "1Table": bytes(5000)}
    if code is not None:
        tree["Macros"] = {"VBA": vba_storage({"ThisDocument": code})}
    return compound_file(tree)


CURRENT_USER = struct.pack("<HHIII", 0, 0x0FF6, 20, 20, 0xE391C05F) + bytes(20)
"""The stream of a presentation that says that it is not encrypted."""


def ppt(stream: bytes, user: bytes = CURRENT_USER) -> bytes:
    """A binary presentation."""
    return compound_file({"PowerPoint Document": stream, "Current User": user})


def record(kind: int, data: bytes = b"") -> bytes:
    """A record of Excel's binary format."""
    return struct.pack("<HH", kind, len(data)) + data


BOF = record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0005, 0, 0, 0, 0))
EOF = record(0x000A)


def workbook(*records: bytes) -> bytes:
    """A ``Workbook`` stream with those global records."""
    return BOF + b"".join(records) + EOF


def xls(stream: bytes, name: str = "Workbook") -> bytes:
    """A binary Excel workbook."""
    return compound_file({name: stream.ljust(4096, b"\0")})


def encrypted_xls(password: str, *records: bytes) -> bytes:
    """A binary workbook as Excel 97 locks it: RC4, 40 bits (MS-OFFCRYPTO 2.3.6, MS-XLS 2.2.10)."""
    salt, verifier = bytes(range(16)), b"sixteen octets.."

    def digest(data: bytes) -> bytes:
        return hashlib.md5(data, usedforsecurity=False).digest()

    base = digest((digest(password.encode("utf-16-le"))[:5] + salt) * 16)[:5]

    def encrypt(block: int, data: bytes) -> bytes:
        return Cipher(ARC4(digest(base + struct.pack("<I", block))), None).encryptor().update(data)

    proof = encrypt(0, verifier + digest(verifier))
    head = BOF + record(0x002F, struct.pack("<HHH", 1, 1, 1) + salt + proof)
    plain = b"".join(records) + EOF + record(0x005C, bytes(5000))
    stream, secret = head + plain, bytearray()
    for block in range(len(stream) // 1024 + 1):
        secret += encrypt(block, stream[block * 1024 : block * 1024 + 1024])
    at = len(head)
    # The heads of records are left as they are.
    while at < len(stream):
        size = struct.unpack_from("<H", stream, at + 2)[0]
        secret[at : at + 4] = stream[at : at + 4]
        at += 4 + size
    return xls(head + bytes(secret[len(head) :]))


def encrypted_ooxml(package: bytes, password: str) -> bytes:
    """An OOXML document locked with a password (agile encryption)."""
    from msoffcrypto.format.ooxml import OOXMLFile

    # The library's writer gets small packages wrong: what would lie in the mini stream cannot be read again.
    if len(package) < 5000:
        package = package[:-2] + struct.pack("<H", 5000) + bytes(5000)
    out = io.BytesIO()
    OOXMLFile(io.BytesIO(package)).encrypt(password, out)
    return out.getvalue()
