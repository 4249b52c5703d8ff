"""Office documents: what is found in them, and what is not."""

from __future__ import annotations

import base64
import binascii
import random
import struct
import time
import zlib

import pytest

from contentfilter.content.scan import ScanOptions, scan_document
from tests.samples.archives import plain_zip
from tests.samples.compound import compound_file, vba_storage
from tests.samples.office import (
    BOF,
    CONTENT_TYPES,
    EMPTY,
    EOF,
    MACRO,
    TAME,
    doc,
    docm,
    docx,
    encrypted_ooxml,
    record,
    vba_project,
    workbook,
    xls,
)

SUSPICIOUS = {"office-macro", "office-macro-suspicious"}
PROJECT = vba_project(MACRO)


def found(data: bytes, options: ScanOptions | None = None) -> set[str]:
    result = scan_document("document", data, options)
    assert "failed" not in {item.reason for item in result.unscanned}, result.unscanned
    return {finding.name for finding in result.findings}


def unscanned(data: bytes) -> set[str]:
    return {item.reason for item in scan_document("document", data).unscanned}


def powerpoint(project: bytes, packed: bool = True) -> bytes:
    content = struct.pack("<I", len(project)) + zlib.compress(project) if packed else project
    head = struct.pack("<HHI", 0x0010 if packed else 0, 0x1011, len(content))
    stream = struct.pack("<HHI", 0x0F, 0x03E8, 100) + bytes(100) + head + content
    return compound_file({"PowerPoint Document": stream.ljust(5000, b"\0"), "Current User": bytes(60)})


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
    return compound_file({"PowerPoint Document": record.ljust(5000, b"\0"), "Current User": bytes(60)})


def active_mime(project: bytes) -> bytes:
    return b"ActiveMime" + bytes(0x32 - 10) + zlib.compress(project)


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


# Locked documents.


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


# Excel 4 macros.

MACRO_SHEET = record(0x0085, struct.pack("<IBB", 0, 0, 1) + b"\x06\x00Macro1")


def book_with_macro_sheet(*cells: bytes) -> bytes:
    head = workbook(MACRO_SHEET)
    sheet = record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0040, 0, 0, 0, 0)) + b"".join(cells) + EOF
    return xls(head.replace(MACRO_SHEET[:8], MACRO_SHEET[:4] + struct.pack("<I", len(head))) + sheet)


def typed(part: str, kind: str) -> dict[str, bytes]:
    entry = f'<Override PartName="{part}" ContentType="{kind}"/></Types>'.encode()
    return {"[Content_Types].xml": CONTENT_TYPES.replace(b"</Types>", entry)}


@pytest.mark.parametrize(
    ("data", "findings"),
    [
        (book_with_macro_sheet(record(0x0006, bytes(30))), {"office-xlm-macro"}),
        (book_with_macro_sheet(record(0x0203, bytes(14))), set()),
        (
            xls(workbook(MACRO_SHEET[:4] + b"\xff" * 4 + MACRO_SHEET[8:])),
            {"office-xlm-macro"},
        ),  # the sheet itself cannot be read
        (xls(workbook(record(0x0085, struct.pack("<IBB", 0, 0, 0) + b"\x06\x00Table1"))), set()),
        (record(0x0409, struct.pack("<HHH", 0, 0x40, 0)) + record(0x0206, bytes(20)), {"office-xlm-macro"}),
        (b"ID;P\r\nO;E\r\nNN;Nauto_open;ER1C1\r\nC;X1;Y1;EEXEC()\r\nE\r\n", {"office-xlm-macro"}),
        (b"ID;PWXL;N;E\r\nC;X1;Y1;K1\r\nE\r\n", set()),
        (b"ID;P\r\nC;X1;Y1;K0;EMSEXCEL|'\\..\\System32\\cmd.exe /c calc'!''\r\nE\r\n", {"office-dde"}),
        (b"ID;P\nC;X1;Y1;K0;E1+SUM(2)+cmd|'/c calc'!A0\nE\n", {"office-dde"}),
        (b"ID;P\nNN;Nx;Ecmd|'/c calc'!A0\nE\n", {"office-dde"}),
        (b"C;X1;Y1;K0;Ecmd|'/c calc'!A0\n", set()),
        (b'ID;P\nC;X1;Y1;K"Either|or!x"\nC;X1;Y2;K0;ER[-1]C\nE\n', set()),
        (plain_zip(typed("/xl/s1.xml", "application/vnd.ms-excel.macrosheet+xml")), {"office-xlm-macro"}),
        (plain_zip(typed("/xl/s1.bin", "application/vnd.ms-excel.intlmacrosheet")), {"office-xlm-macro"}),
        (docx(extra={"xl/x.xml": b'<?xml version="1.0"?>\n<xm:macrosheet xmlns="y">'}), {"office-xlm-macro"}),
    ],
)
def test_excel_4_macros(data: bytes, findings: set[str]):
    assert found(data) == findings


# DDE.


def field(*runs: str) -> bytes:
    cut = "".join(f"<w:r><w:instrText>{run}</w:instrText></w:r>" for run in runs)
    return (
        f'<w:document><w:fldChar w:fldCharType="begin"/>{cut}<w:fldChar w:fldCharType="separate"/>x'
        '<w:fldChar w:fldCharType="end"/></w:document>'
    ).encode()


QUOTED = "QUOTE " + " ".join(str(ord(c)) for c in "DDEAUTO")
DDE = {
    "field": docx(field('DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe "/k calc"')),
    "field, cut": docx(field("D", "DE", "AUTO cmd")),
    "field, entities": docx(field("&#68;DE cmd")),
    "field, other prefix": docx(field("DDE cmd").replace(b"w:", b"x:")),
    "field, without prefix": docx(field("DDE cmd").replace(b"w:", b"")),
    "field, quoted in numbers": docx(field(QUOTED, " cmd")),
    "field, nested": docx(
        b'<w:fldChar w:fldCharType="begin"/><w:fldChar w:fldCharType="begin"/><w:instrText>'
        + QUOTED.encode()
        + b'</w:instrText><w:fldChar w:fldCharType="end"/><w:instrText> cmd</w:instrText>'
        b'<w:fldChar w:fldCharType="end"/>'
    ),
    "simple field": docx(b'<w:document><w:fldSimple w:instr=" DDE cmd "/></w:document>'),
    "simple field, single quotes": docx(b"<w:document><w:fldSimple w:instr=' DDE cmd '/></w:document>"),
    "field in a footer, utf-16": docx(extra={"word/footer1.xml": field("DDE cmd").decode().encode("utf-16")}),
    "xlsx link": docx(
        extra={"xl/externalLinks/e.xml": b'<externalLink><ddeLink ddeService="cmd" ddeTopic="/c">'}
    ),
    "xlsb link": docx(
        extra={"xl/externalLinks/e.bin": b"\xe8\x02\x26\x01\x00\x03\x00\x00\x00c\x00m\x00d\x00" + bytes(30)}
    ),
    "doc field": doc(None, b"\x13 DDEAUTO cmd /k calc \x14 x\x15"),
    "doc field, wide": doc(None, "\x13 DDE cmd /k calc \x14 x\x15".encode("utf-16-le")),
    "xls link": xls(workbook(record(0x01AE, struct.pack("<HHB", 1, 11, 0) + b"cmd\x03/c calc"))),
    "xls 95 link": xls(
        BOF.replace(b"\x00\x06", b"\x00\x05") + record(0x0017, b"\x0bcmd\x03/c calc") + EOF, "Book"
    ),
    "excel 2003 xml": b'<?xml version="1.0"?><Workbook><Cell ss:Formula="=cmd|\'/c calc\'!A1"/></Workbook>',
    "csv": b"a,b\r\n=cmd|'/k calc'!A0,1\r\n",
    "csv, quoted": b"a;\"+cmd|'/k calc'!A0\"\r\n",
    "rtf": b"{\\rtf1{\\field{\\*\\fldinst { DDEAUTO cmd /k}}{\\fldrslt x}}}",
    "rtf, escaped": b"{\\rtf1{\\field{\\*\\fldinst {\\b D}{\\'44E cmd}}}}",
}


@pytest.mark.parametrize("data", DDE.values(), ids=DDE.keys())
def test_dde_is_found(data: bytes):
    assert found(data) == {"office-dde"}


@pytest.mark.parametrize("before", [-1, 0, 1, 2])
def test_dde_by_its_function_wherever_the_search_pauses(before: int):
    data = b"a,b\r\n".ljust((1 << 20) - before, b"x") + b'\n=DdE ("cmd","/c calc")\n'
    assert found(data) == {"office-dde"}


@pytest.mark.parametrize(
    "data",
    [
        docx(field("HYPERLINK x")),
        docx(field("ADDED DDEX")),
        docx(b"<w:document><w:t>DDEAUTO is a field</w:t></w:document>"),
        doc(None, b"text about DDE fields"),
        xls(workbook(record(0x01AE, struct.pack("<HHB", 1, 9, 0) + b"\x01\x03a.xls|x"))),
        xls(workbook(record(0x01AE, struct.pack("<HH", 1, 0x0401)))),
        b"a,b\r\n=SUM(A1)|x,1\r\n",
        b"a table | of | columns!\r\n- item|x!\r\n",
        b"see http://x/a=b|c'!d\r\n",
        b"{\\rtf1{\\field{\\*\\fldinst HYPERLINK dde}}}",
    ],
)
def test_what_only_looks_like_dde(data: bytes):
    assert found(data) == set()


# Remote templates.


def relation(kind: str, target: str, mode: str = ' TargetMode="External"') -> bytes:
    space = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
    text = (
        f'<Relationships><Relationship Id="r1" Type="{space}{kind}" Target="{target}"{mode}/></Relationships>'
    )
    return docx(extra={"word/_rels/settings.xml.rels": text.encode()})


@pytest.mark.parametrize(
    ("data", "findings"),
    [
        (relation("attachedTemplate", "https://evil.example/t.dotm"), {"office-remote-template"}),
        (relation("attachedTemplate", "HTTP://evil.example/t"), {"office-remote-template"}),
        (relation("attachedTemplate", "\\\\evil.example\\share\\t.dotm"), {"office-remote-template"}),
        (relation("attachedTemplate", "file:///\\\\evil.example\\share\\t.dotm"), {"office-remote-template"}),
        (relation("attachedTemplate", "file:///C:\\Templates\\Normal.dotm"), set()),
        (relation("attachedTemplate", "Normal.dotm"), set()),
        (relation("attachedTemplate", "&#104;ttps://evil.example/"), {"office-remote-template"}),
        (relation("oleObject", "mhtml:https://evil.example/x!y"), {"office-remote-template"}),
        (relation("frame", "https://evil.example/"), {"office-remote-template"}),
        (relation("hyperlink", "https://fine.example/"), set()),
        (relation("image", "https://fine.example/a.png"), set()),
        (b"{\\rtf1{\\*\\template https://evil.example/t.dotm}}", {"office-remote-template"}),
        (b"{\\rtf1{\\*\\template \\u104?ttp://evil.example/}}", {"office-remote-template"}),
        (b"{\\rtf1{\\*\\template C:\\\\Normal.dotm}}", set()),
    ],
)
def test_remote_templates(data: bytes, findings: set[str]):
    assert found(data) == findings


# Embedded objects.


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
        base64.encodebytes(compound_file({"WordDocument": bytes(5000)})).decode().replace("\n", "\n         ")
    )
    tame = (FLAT % ("", f"<office:binary-data>{lines}</office:binary-data>")).encode()
    assert found(tame) == set()
    assert unscanned(tame) == set()


def test_visual_basic_of_excel_95_is_not_looked_into():
    module = record(0x0085, struct.pack("<IBB", 0x1000, 0, 6) + b"\x07Module1")
    data = xls(BOF.replace(b"\x00\x06", b"\x00\x05") + module + EOF, "Book")
    assert unscanned(data) == {"unsupported"}


def sheet(kind: int, *cells: bytes) -> bytes:
    return record(0x0809, struct.pack("<HHHHII", 0x0600, kind, 0, 0, 0, 0)) + b"".join(cells) + EOF


@pytest.mark.parametrize("hidden", [0, 1, 2])
def test_macro_sheet_that_claims_to_be_another(hidden: int):
    def book(kind: int, claimed: int) -> bytes:
        entry = record(0x0085, struct.pack("<IBB", 0, hidden, claimed) + b"\x05\x00Sheet")
        start = len(workbook(entry))
        entry = record(0x0085, struct.pack("<IBB", start, hidden, claimed) + b"\x05\x00Sheet")
        return xls(workbook(entry) + sheet(kind, record(0x0006, bytes(30))))

    assert found(book(0x0040, 0)) == found(book(0x0040, 1)) == found(book(0x0040, 2)) == {"office-xlm-macro"}
    assert found(book(0x0010, 0)) == set()


def test_macro_sheet_behind_others_without_a_compound_file():
    head = record(0x0409, struct.pack("<HHH", 0, 0x0100, 0))
    table, macros = (record(0x0409, struct.pack("<HHH", 0, kind, 0)) + EOF for kind in (0x0010, 0x0040))
    assert found(head + table) == set()
    assert found(head + table + macros) == {"office-xlm-macro"}


def test_presentations_as_programs_write_them_are_whole():
    assert unscanned(dynamic(vba_project(EMPTY))) == set()
    shapes = plain_zip({"[Content_Types].xml": b"<a/>" * 900, "drs/shapexml.xml": b"<b/>" * 900})
    torn = shapes[:100] + bytes(512) + shapes[100:]
    assert unscanned(compound_file({"PowerPoint Document": bytes(600) + torn + bytes(5000)})) == set()


def test_an_object_that_is_cut_off_is_told():
    stream = zlib.compress(PROJECT)
    head = struct.pack("<HHII", 0x0010, 0x1011, 4 + len(stream), len(PROJECT))
    data = compound_file({"PowerPoint Document": bytes(5000) + head + stream[:-200]})
    assert "malformed" in unscanned(data)
    beyond = b"\0\0\x11\x10\xff\xff\xff\x0f" + bytes(range(256)) * 20
    assert "malformed" in unscanned(compound_file({"PowerPoint Document": beyond}))
