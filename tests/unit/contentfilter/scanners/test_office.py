"""Office documents: macros, wherever they are, and documents that are damaged or built to exhaust."""

from __future__ import annotations

import base64
import binascii
import random
import struct
import time
import zlib

import pytest

from contentfilter.content.scan import scan_document
from tests.samples.archives import plain_zip
from tests.samples.compound import compound_file, vba_storage
from tests.samples.office import (
    BOF,
    CURRENT_USER,
    EMPTY,
    EOF,
    MACRO,
    TAME,
    doc,
    docm,
    docx,
    encrypted_ooxml,
    ppt,
    record,
    vba_project,
    workbook,
    xls,
)

from ..scanned import found
from .officefiles import PROJECT, SUSPICIOUS, ole1, ole_package, rtf, unscanned


def powerpoint(project: bytes, packed: bool = True) -> bytes:
    content = struct.pack("<I", len(project)) + zlib.compress(project) if packed else project
    head = struct.pack("<HHI", 0x0010 if packed else 0, 0x1011, len(content))
    stream = struct.pack("<HHI", 0x0F, 0x03E8, 100) + bytes(100) + head + content
    return ppt(stream.ljust(5000, b"\0"))


def dynamic(project: bytes) -> bytes:
    """The same with codes of its own, that take more than 100 octets, and no end to its zlib stream."""
    draw = random.Random(4)
    weights = [2 ** draw.randrange(11) for _ in range(256)]
    text = bytes(draw.choices(range(256), weights, k=40_000))
    stream = zlib.compressobj(9, strategy=zlib.Z_HUFFMAN_ONLY)
    packed = stream.compress(project + text) + stream.flush(zlib.Z_SYNC_FLUSH)
    assert not zlib.decompressobj().decompress(packed[:110])
    content = struct.pack("<I", len(project + text)) + packed
    record = struct.pack("<HHI", 0x0010, 0x1011, len(content)) + content
    return ppt(record.ljust(5000, b"\0"))


def active_mime(project: bytes) -> bytes:
    return b"ActiveMime" + bytes(0x32 - 10) + zlib.compress(project)


OBJECT = ole1(b"Word.Document.8", doc())
HEX = binascii.hexlify(OBJECT)
WITH_MACROS = {
    "docm": docm(),
    "project under another name": docm(name="word/image1.png"),
    "project at the top": docm(name="x"),
    "doc": doc(),
    "xls": compound_file(
        {"Workbook": workbook().ljust(4096, b"\0"), "_VBA_PROJECT_CUR": {"VBA": vba_storage({"M": MACRO})}}
    ),
    "publisher or visio": compound_file({"VisioDocument": bytes(5000), "VBA": vba_storage({"M": MACRO})}),
    "ppt": powerpoint(PROJECT),
    "ppt, with long codes": dynamic(PROJECT),
    "ppt, not packed": powerpoint(PROJECT, packed=False),
    "vbaProject.bin itself": PROJECT,
    "document in a document": docx(
        extra={"word/embeddings/oleObject1.bin": compound_file({"Package": docm()})}
    ),
    "ooxml in an ole package": doc(None)
    and compound_file({"\x01Ole10Native": ole_package(b"a.doc", docm())}),
    "activemime": active_mime(PROJECT),
    "word 2003 xml": b'<?xml version="1.0"?><?mso-application progid="Word.Document"?><w:wordDocument>'
    b"<w:binData "
    b'w:name="editdata.mso">' + base64.encodebytes(active_mime(PROJECT)) + b"</w:binData></w:wordDocument>",
    "flat opc, characters by number": b"<pkg:package><pkg:binaryData>"
    + base64.encodebytes(PROJECT).replace(b"A", b"&#65;").replace(b"B", b"&#x0042;")
    + b"</pkg:binaryData></pkg:package>",
    "flat opc": b'<?xml version="1.0"?><pkg:package><pkg:part pkg:name="/word/vbaProject.bin">'
    b"<pkg:binaryData>" + base64.encodebytes(PROJECT) + b"</pkg:binaryData></pkg:part></pkg:package>",
    "flat opc in utf-16": (
        '<?xml version="1.0" encoding="UTF-16"?><pkg:package><pkg:binaryData>'
        + base64.b64encode(PROJECT).decode()
        + "</pkg:binaryData></pkg:package>"
    ).encode("utf-16"),
    "mht": b"MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<html>\r\n--b\r\nContent-Location: editdata.mso\r\n"
    b"Content-Transfer-Encoding: base64\r\n"
    b"Content-Type: application/x-mso\r\n\r\n" + base64.encodebytes(active_mime(PROJECT)) + b"\r\n--b--\r\n",
    "rtf object": rtf(HEX),
    "rtf object on lines": rtf(b"\r\n".join(HEX[at : at + 64] for at in range(0, len(HEX), 64))),
    "rtf object with escapes": rtf(HEX[:32] + b"\\'41" + HEX[32:33] + b"{\\*\\x ffff}" + HEX[33:]),
    "rtf object with half octets": rtf(HEX[:31] + b"f\\'41" * 2 + b"\\'41" + HEX[31:]),
    "rtf object with a half octet that Word drops": rtf(HEX[:32] + b"4\\'41" + HEX[32:]),
    "rtf object in binary": rtf(b"\\bin%d " % len(OBJECT) + OBJECT),
    "rtf with an odd start": rtf(HEX).replace(b"{\\rtf1", b"{\\rtx"),
    "default password": encrypted_ooxml(docm(), "VelvetSweatshop"),
    "powerpoint's default password": encrypted_ooxml(docm(), "/01Hannes Ruescher/01"),
    "outlook message": compound_file(
        {
            "__properties_version1.0": bytes(64),
            "__attach_version1.0_#00000000": {
                "__substg1.0_37010102": docm(),
                "__substg1.0_3707001F": "rechnung.docm".encode("utf-16-le"),
            },
        }
    ),
}


@pytest.mark.parametrize("data", WITH_MACROS.values(), ids=WITH_MACROS.keys())
def test_macros_are_found(data: bytes):
    assert found(data) >= SUSPICIOUS


def test_attachment_of_an_outlook_message_goes_by_its_name():
    attached = {
        "__substg1.0_37010102": b"=cmd|'/k calc'!A0\r\n",
        "__substg1.0_3707001F": "liste.csv".encode("utf-16-le"),
    }
    result = scan_document("mail.msg", compound_file({"__attach_version1.0_#00000000": attached}))
    assert [(finding.name, finding.part) for finding in result.findings] == [
        ("office-dde", "mail.msg/liste.csv")
    ]


@pytest.mark.parametrize(
    ("data", "findings"),
    [
        (docm(TAME), {"office-macro"}),
        (docm(EMPTY), set()),
        (doc(EMPTY), set()),
        (doc(None), set()),
        (docx(), set()),
        (powerpoint(vba_project(EMPTY)), set()),
        (xls(workbook()), set()),
        (docm("Sub AutoOpen()\r\n  x = 1\r\nEnd Sub\r\n"), {"office-macro"}),
        (docm("Sub Go()\r\n  Shell x\r\nEnd Sub\r\n"), {"office-macro"}),
        (docm("Sub Workbook_Open()\r\n  She _\r\nll x\r\nEnd Sub\r\n"), {"office-macro"}),
    ],
)
def test_two_levels_of_macros(data: bytes, findings: set[str]):
    assert found(data) == findings


def test_name_of_the_document_is_the_path_and_its_piece_the_detail():
    [first, *_rest] = scan_document("a.docm", docm()).findings
    assert first.part == "a.docm"
    assert "word/vbaProject.bin" in first.detail


def test_long_lines_of_a_macro_take_no_time():
    started = time.process_time()
    found(docm("Sub AutoOpen()\r\n" + "Open x: " * 150_000 + "\r\nEnd Sub\r\n"))
    assert time.process_time() - started < 5


EXHAUSTING = {
    "modules": compound_file({"VBA": vba_storage({f"M{n}": "x = 1\r\n" for n in range(2000)})}),
    "directories": compound_file({f"s{n}": {"dir": b"\x01" * 2000} for n in range(1000)}),
    "beginnings of source": compound_file({"a": b"\x01\xb3\xb0\x00Attribut" * 200_000, "dir": b""}),
    "source that expands": compound_file({"VBA": {"dir": b"\x01" + b"\x03\xb0\x02A\xff\x0f" * 500_000}}),
    "macro sheets": xls(
        workbook(*[record(0x0085, struct.pack("<IBB", 0, 0, 1) + b"\x06\x00Macro1")] * 50_000)
    ),
    "records": xls(workbook(record(0x0055) * 500_000)),
    "beginnings of fields": doc(None, b"\x13 " * 1_000_000),
    "powerpoint objects": compound_file(
        {
            "PowerPoint Document": (
                b"\x10\0\x11\x10" + struct.pack("<I", 40_000) + zlib.compress(bytes(30 << 20))
            )
            * 50
        }
    ),
    "powerpoint objects that overlap": compound_file(
        {"PowerPoint Document": b"\0\0\x11\x10\xff\xff\x3f\x00\xd0\xcf\x11\xe1" * 300_000}
    ),
    "rounds of hashing": encrypted_ooxml(docx(), "x").replace(b'spinCount="100000"', b'spinCount="9999999"'),
}


@pytest.mark.parametrize("data", EXHAUSTING.values(), ids=EXHAUSTING.keys())
def test_documents_built_to_exhaust(data: bytes):
    started = time.process_time()
    found(data)
    assert time.process_time() - started < 5


def test_records_beyond_the_bound_are_told():
    data = BOF + record(0x0055) * 1_000_001 + record(0x002F, bytes(54)) + EOF
    assert unscanned(data) == {"too-large"}


def test_powerpoint_object_with_a_damaged_end_is_scanned_as_far_as_it_goes():
    broken = bytearray(powerpoint(vba_project(MACRO, bytes(3000))))
    at = broken.index(b"\x11\x10") + 6 + 4
    size = int.from_bytes(broken[at - 8 : at - 4], "little") - 4
    broken[at + size - 20 : at + size] = b"\xff" * 20
    result = scan_document("x", bytes(broken))
    assert "malformed" in {item.reason for item in result.unscanned}


def test_damaged_project_is_told():
    broken = bytearray(PROJECT)
    broken[512:] = bytes(len(broken) - 512)
    assert unscanned(docx(extra={"word/vbaProject.bin": bytes(broken)})) == {"malformed"}


def test_macro_in_a_file_without_directory_is_carved():
    broken = PROJECT[:44] + b"\xfe\xff\xff\x00" + PROJECT[48:48] + PROJECT[48:]
    assert found(broken[:48] + b"\xf0\xff\xff\xff" + broken[52:]) >= {"office-macro"}


def test_visual_basic_of_excel_95_is_not_looked_into():
    module = record(0x0085, struct.pack("<IBB", 0x1000, 0, 6) + b"\x07Module1")
    data = xls(BOF.replace(b"\x00\x06", b"\x00\x05") + module + EOF, "Book")
    assert unscanned(data) == {"unsupported"}


def test_presentations_as_programs_write_them_are_whole():
    assert unscanned(dynamic(vba_project(EMPTY))) == set()
    shapes = plain_zip({"[Content_Types].xml": b"<a/>" * 900, "drs/shapexml.xml": b"<b/>" * 900})
    torn = shapes[:100] + bytes(512) + shapes[100:]
    assert unscanned(ppt(bytes(600) + torn + bytes(5000))) == set()
    assert unscanned(ppt(bytes(5000), bytes(range(36)))) == set()  # PowerPoint 95


@pytest.mark.parametrize("stream", [b"", bytes(5000), b"\x93\2\4\0" + bytes(5000)])
def test_documents_without_a_beginning(stream: bytes):
    for name in ("WordDocument", "Workbook", "Book"):
        assert unscanned(compound_file({name: stream})) == {"malformed"}


@pytest.mark.parametrize("magic", ["eca5", "dca5", "dba5", "97a6", "98a6", "99a6"])
def test_documents_of_every_version_of_word(magic: str):
    whole = doc(None).replace(b"\xec\xa5", bytes.fromhex(magic), 1)
    assert (found(whole), unscanned(whole)) == (set(), set())
    locked = doc(None, flags=0x0100).replace(b"\xec\xa5", bytes.fromhex(magic), 1)
    assert found(locked) == {"office-encrypted"}


@pytest.mark.parametrize("user", [b"", bytes(36), CURRENT_USER[:10], CURRENT_USER.replace(b"\xe3", b"\xe1")])
def test_presentations_that_do_not_say_whether_they_are_locked(user: bytes):
    assert unscanned(ppt(bytes(5000), user)) == {"malformed"}
    assert unscanned(compound_file({"PowerPoint Document": bytes(5000)})) == {"malformed"}
