"""Names that mislead about the content or about themselves."""

from __future__ import annotations

import pytest

from contentfilter.content.filename import deception, suffix, suffixes
from contentfilter.content.scan import scan_message
from tests.samples.archives import plain_zip
from tests.samples.compound import compound_file
from tests.samples.messages import attachment, message, multipart, text
from tests.samples.office import docx
from tests.samples.programs import pe, shortcut

from ..scanned import scan

PAGE = b"<!DOCTYPE html><html><body>hello, this is a page</body></html>"
RTF = b"{\\rtf1\\ansi hello, this is a text}"
OLE = compound_file({"WordDocument": b"\xec\xa5" + bytes(100)})
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
TEXT = b"a,b,c\r\n1,2,3\r\n4,5,6\r\n"


def mismatches(data: bytes, name: str) -> list[str]:
    result = scan(data, name=name)
    return [finding.detail for finding in result.findings if finding.name == "name-mismatch"]


@pytest.mark.parametrize(
    ("data", "name", "detail"),
    [
        (PAGE, "invoice.pdf", "web page named .pdf"),
        (b"<?xml version='1.0'?><svg><script>x</script></svg>", "photo.png", "web page named .png"),
        (PAGE.decode().encode("utf-16"), "invoice.PDF", "web page named .pdf"),
        (OLE, "invoice.pdf", "OLE named .pdf"),
        (plain_zip({"a.txt": b"x"}), "invoice.pdf", "ZIP named .pdf"),
        (plain_zip({"a.txt": b"x"}), "photo.jpg", "ZIP named .jpg"),
        (b"var x = 1; // and so on, a script", "invoice.pdf", "text named .pdf"),
        (RTF, "invoice.pdf", "RTF named .pdf"),
        (pe(), "invoice.pdf", "program named .pdf"),
        (pe(), "letter.docx", "program named .docx"),
        (shortcut(), "photo.jpg", "shortcut named .jpg"),
        (b"Rar!\x1a\x07\x00" + bytes(60), "letter.doc", "RAR named .doc"),
        (OLE, "table.csv", "OLE named .csv"),
        (PAGE, "archive.zip", "web page named .zip"),
        (TEXT, "setup.exe", "text named .exe"),
        (b"%PDF-1.4\n" + bytes(50), "photo.jpg", "PDF named .jpg"),
    ],
)
def test_content_that_is_more_than_its_name_promises(data: bytes, name: str, detail: str):
    assert mismatches(data, name) == [detail]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (RTF, "letter.doc"),
        (PAGE, "table.xls"),
        (TEXT, "table.xls"),
        (docx(), "letter.doc"),
        (docx(), "letter.docx"),
        (docx(), "letter.zip"),
        (OLE, "letter.docx"),
        (OLE, "letter.doc"),
        (OLE, "data.bin"),
        (PNG, "photo.jpg"),
        (PNG, "scan.pdf"),
        (b"\xff\xd8\xff\xe0" + bytes(90), "photo.png"),
        (PAGE, "page.html"),
        (PAGE, "readme.txt"),
        (PAGE, ""),
        (PAGE, "page"),
        (RTF, "letter.txt"),
        (TEXT, "table.csv"),
        (TEXT, "notes.txt"),
        (b"junk\r\n" * 20 + b"%PDF-1.4\n" + bytes(50), "late.pdf"),
        (b"%PDF-1.4\n" + bytes(50), "a.pdf"),
        (b"%!PS-Adobe-3.0\n%%Title: a figure\n", "figure.pdf"),
        (plain_zip({"a.txt": b"x"}), "a.zip"),
        (plain_zip({"a.txt": b"x"}), "a.jar"),
        (pe(), "setup.exe"),
        (pe(), "driver.dll"),
        (b"short", "a.pdf"),
        (b"", "a.pdf"),
        (b"\xc3\xa4\xc3\xb6 and other text that is no ASCII", "a.pdf"),
        (bytes(100), "a.pdf"),
        (b"\x1f\x8b\x08" + bytes(50), "a.tgz"),
    ],
)
def test_honest_and_harmless_names(data: bytes, name: str):
    assert mismatches(data, name) == []


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("annexe\u202efdp.exe", "the name's direction is overridden"),
        ("a\u202dgpj.scr", "the name's direction is overridden"),
        ("invoice.pdf.exe", "two suffixes, .pdf and .exe"),
        ("invoice.PDF .js", "two suffixes, .pdf and .js"),
        ("photo.jpg.lnk.", "two suffixes, .jpg and .lnk"),
        ("invoice.docx.html", "two suffixes, .docx and .html"),
        ("report.pdf.iso", "two suffixes, .pdf and .iso"),
        ("invoice.pdf" + " " * 60 + ".exe", "blanks in front of the suffix"),
        ("invoice.pdf" + "\u2800" * 20 + ".scr", "blanks in front of the suffix"),
        ("invoice.pdf" + "\u00a0" * 20 + "x.js", "blanks in front of the suffix"),
        ("invoice.exe\0.pdf", "NUL in the name"),
    ],
)
def test_names_made_to_mislead(name: str, how: str):
    assert deception(name) == how
    assert mismatches(b"x", name) == [how]


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "...", "invoice.pdf", "report.v1.2.docx", "backup.tar.gz", "report.pdf.zip", "jquery.min.js",
        "Mr. Smith.pdf", "a.b.c.d", "mail from example.com", "index.html", "setup.exe", "data.csv.gz",
        "report.pdf.p7s", "report.pdf.sig", "report.pdf.asc", "letter.docx.pdf", "photo.jpg.png", "a  b.pdf",
        "\u05d3\u05d5\u05d7.pdf", "\u202b\u05d3\u05d5\u05d7 2026\u202c.pdf", "\u0645\u0644\u0641\u200f.docx",
        "Stra\u00dfe \u2013 Plan.pdf", "\u8acb\u6c42\u66f8\u3000\uff11.pdf", "x" * 3000, " " * 3000,
        "page.html.html", "notes.txt.bak", "____________________.pdf", "program.exe.config", "CV (final).doc",
    ],
)  # fmt: skip
def test_honest_names(name: str):
    assert deception(name) == ""


def test_suffixes():
    assert suffix("a.PDF") == "pdf"
    assert suffix("README") == suffix("") == suffix("...") == ""
    assert list(suffixes("a.exe\0.pdf")) == ["pdf", "exe"]
    assert list(suffixes("a.p\u200bdf")) == ["p\u200bdf", "pdf"]
    assert list(suffixes("a.pdf\u2003")) == ["pdf"]
    assert list(suffixes("a%2Ep%64f")) == ["pdf"]
    assert list(suffixes("100%.pdf")) == ["pdf"]
    assert list(suffixes("<a.p|df>")) == ["p|df>", "pdf"]
    assert list(suffixes("a.pdf?")) == ["pdf?", "pdf"]


def test_found_in_mail_by_the_encoded_name():
    name = "=?utf-8?b?YW5uZXhl4oCuZmRwLmV4ZQ==?="
    result = scan_message(message(multipart(text(), attachment(pe(), name))))
    assert {finding.name for finding in result.findings} == {"executable", "name-mismatch"}
    assert "\u202e" not in "".join(finding.part for finding in result.findings)


def test_web_page_that_is_a_text_without_name_is_none():
    assert scan_message(message(multipart(text(), text(PAGE)))).findings == ()
