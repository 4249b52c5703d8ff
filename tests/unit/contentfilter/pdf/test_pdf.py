"""PDF: what a document does by itself, and which files are taken for one."""

from __future__ import annotations

import zlib
from collections import Counter

import pytest

from contentfilter.content.scan import scan_document
from contentfilter.pdf.syntax import encrypted_revisions, is_pdf, telling_names
from tests.samples.archives import stored_zip
from tests.samples.compound import compound_file
from tests.samples.pdf import PAGE, raw_pdf, stream, with_object_stream

from ..scanned import scanned
from .pdfs import SCRIPT, locked

SCRIPTS = {
    "open action": raw_pdf(b"/OpenAction" + SCRIPT),
    "open action, elsewhere": raw_pdf(b"/OpenAction 4 0 R", {4: SCRIPT}),
    "name tree": raw_pdf(b"/Names<</JavaScript<</Names[(a)%s]>>>>" % SCRIPT),
    "name tree, deep": raw_pdf(b"/Names<</JavaScript%s%s%s>>" % (b"<</Kids[" * 60, SCRIPT, b"]>>" * 60)),
    "name tree, late": raw_pdf(b"/Names<</JavaScript<</Names[%s%s]>>>>" % (b"(a)null" * 5000, SCRIPT)),
    "additional actions": raw_pdf(b"/AA<</WC" + SCRIPT + b">>"),
    "page": raw_pdf(objects={3: PAGE[:-2] + b"/AA<</O" + SCRIPT + b">>>>"}),
    "field": raw_pdf(objects={4: b"<</FT/Tx/T(a)/AA<</K" + SCRIPT + b">>>>"}),
    "escaped": raw_pdf(b"/OpenAction<</S/J#61v#61Script/J#53(x)>>"),
    "escaped, whole": raw_pdf(b"/OpenAction<</#53/#4a#61#76#61#53#63#72#69#70#74/#4A#53(x)>>"),
    "hexadecimal": raw_pdf(b"/OpenAction<</S/JavaScript/JS<6170702e616c657274>>>"),
    "stream": raw_pdf(b"/OpenAction<</S/JavaScript/JS 4 0 R>>", {4: stream(b"app.alert(1)")}),
    "rendition": raw_pdf(objects={4: b"<</S/Rendition/OP 0/JS(x)>>"}),
    "next action": raw_pdf(b"/OpenAction<</S/GoTo/D[3 0 R/Fit]/Next[<</S/Named/N/Print>>%s]>>" % SCRIPT),
    "object stream": with_object_stream(b"<</JavaScript<</Names[(a)%s]>>>>" % SCRIPT),
    "comments": raw_pdf(b"/OpenAction<<%x\n/S%y\n/JavaScript%z\r/JS%\n(x)>>"),
    "3D": raw_pdf(objects={4: stream(b"x", b"/Type/3D/OnInstantiate 5 0 R"), 5: stream(b"x")}),
    "XFA": raw_pdf(
        b"/AcroForm<</XFA 4 0 R>>",
        {4: stream(b"<xdp><script contentType='application/x-javascript'>x</script></xdp>")},
    ),
    "XFA in pieces": raw_pdf(
        b"/AcroForm<</XFA[(a)4 0 R(b)5 0 R]>>",
        {4: stream(b"<xdp><xfa:scr"), 5: stream(zlib.compress(b"ipt>x</xfa:script>"), b"/Filter/Fl")},
    ),
    "FDF": b"%FDF-1.2\n1 0 obj\n<</FDF<</JavaScript<</After(x)>>>>>>\nendobj\ntrailer\n<</Root 1 0 R>>\n",
    "late header": b"x" * 1000 + raw_pdf(b"/OpenAction" + SCRIPT),
    "no header": raw_pdf(b"/OpenAction" + SCRIPT).replace(b"%PDF", b"%XYZ"),
    "postscript header": b"%!PS-Adobe-3.0 PDF-1.4\n" + raw_pdf(b"/OpenAction" + SCRIPT)[9:],
}  # fmt: skip


@pytest.mark.parametrize("data", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_scripts(data: bytes):
    assert scanned(data)[0] == {"pdf-javascript"}


LAUNCH = b"<</S/Launch/F(cmd.exe)>>"
LAUNCHES = {
    "open action": raw_pdf(b"/OpenAction" + LAUNCH),
    "escaped": raw_pdf(b"/OpenAction<</S/L#61unch/Win<</F(cmd.exe)>>>>"),
    "annotation": raw_pdf(objects={4: b"<</Type/Annot/Subtype/Link/A" + LAUNCH + b">>"}),
    "object stream": with_object_stream(b"<</A" + LAUNCH + b">>"),
    "remote go-to": raw_pdf(b"/OpenAction<</S/GoToR/F(\\\\\\\\evil.example\\\\x)/D[0/Fit]>>"),
    "embedded go-to": raw_pdf(b"/OpenAction<</S/GoToE/F<</F(//evil.example/x)>>/D[0/Fit]>>"),
    "link to a program": raw_pdf(objects={4: b"<</S/URI/URI(file:///C:/Windows/System32/calc.exe)>>"}),
}


@pytest.mark.parametrize("data", LAUNCHES.values(), ids=LAUNCHES.keys())
def test_launch_actions(data: bytes):
    assert scanned(data) == ({"pdf-launch"}, set())


@pytest.mark.parametrize(
    "link", [b"search-ms:query=a&crumb=location:\\\\\\\\192.0.2.1\\\\a", b"MS-MSDT:/id PCWDiagnostic"]
)
def test_links_that_nobody_writes_but_to_run_something(link: bytes):
    data = raw_pdf(objects={4: b"<</S/URI/URI(%s)>>" % link, 5: b"<</S/URI/URI(file:///C:/a.pdf)>>"})
    assert scanned(data) == ({"pdf-launch", "executable"}, set())


@pytest.mark.parametrize(
    "data",
    [
        raw_pdf(b"/OpenAction[3 0 R/Fit]"),
        raw_pdf(objects={4: b"<</S/URI/URI(https://example.org/a.exe)>>"}),
        raw_pdf(objects={4: b"<</S/URI/URI(file:///C:/a/b.pdf)>>"}),
        raw_pdf(objects={4: b"<</S/GoToR/F(chapter2.pdf)/D[0/Fit]>>"}),
        raw_pdf(b"/Names<</JavaScript<</Names[]>>>>"),
        raw_pdf(objects={4: b"<</Title(how /JS and /Launch work)>>"}),
        raw_pdf(b"/AcroForm<</XFA 4 0 R>>", {4: stream(b"<xdp>describes a form</xdp>")}),
        raw_pdf(objects={4: b"[%s]" % (b"1 " * 200_000)}),
        b"%FDF-1.2\n1 0 obj\n<</FDF<</Fields[]>>>>\nendobj\ntrailer\n<</Root 1 0 R>>\n%%EOF\n",
    ],
)
def test_what_harmless_documents_do(data: bytes):
    assert scanned(data) == (set(), set())


EMF = b"\1\0\0\0".ljust(40, b"\0") + b" EMF".ljust(124, b"\0")
IN_OTHERS = {
    "OLE": lambda data: compound_file({"pad": b"x" * 5000, "CONTENTS": data}),
    "ZIP": lambda data: stored_zip({"pad.txt": b"x" * 5000, "a.pdf": data}),
    "EMF": lambda data: EMF + data + b"\1" * 3000,
}


@pytest.mark.parametrize("kind", IN_OTHERS)
def test_a_document_in_another_file_is_no_damaged_one(kind: str):
    pad = {4: b"(%s)" % (b"x" * 5000)}
    carry = IN_OTHERS[kind]
    names, reasons = scanned(carry(raw_pdf(objects=pad)))
    assert (names, reasons & {"malformed"}) == (set(), set())
    assert "pdf-launch" in scanned(carry(raw_pdf(b"/OpenAction<</S/Launch/F(cmd.exe)>>", pad)))[0]
    assert "pdf-encrypted" in scanned(carry(locked("secret")))[0]


def test_a_document_that_begins_like_another_file_is_damaged_all_the_same():
    assert "malformed" in scanned(b"PK\3\4" + raw_pdf()[:-40])[1]
    remark = b"%PDF-1.7\n%".ljust(40, b"x") + b" EMF\n"
    assert "malformed" in scanned(remark + raw_pdf()[:-40])[1]


@pytest.mark.parametrize("name", ["a.pdf", "a.PDF", "a.emf.pdf "])
def test_a_picture_that_is_called_a_document_is_damaged_all_the_same(name: str):
    result = scan_document(name, EMF + raw_pdf()[:-40] + b"\1" * 3000)
    assert "malformed" in {item.reason for item in result.unscanned}


def test_which_files_are_taken_for_pdf():
    assert is_pdf(b"x" * 1024 + b"%PDF-")
    assert not is_pdf(b"x" * 1025 + b"%PDF-")
    assert is_pdf(b"x" * 5000 + b"startxref\n5\n%%EOF" + b"\n" * 1000)
    assert not is_pdf(b"a text about startxref" + b"x" * 5000)
    assert not is_pdf(b"")


def test_names_that_tell():
    assert set(telling_names(b"/JS (x)/S/La#75nch /EmbeddedFile")) == {"JS", "Launch", "EmbeddedFile"}
    assert telling_names(b"/EF<</EF%a\n 1 0 R/EF 1/EFF 1 0 R/#45F<<>>/ObjStm/Objstm") == {
        "EF": 3,
        "ObjStm": 1,
    }
    assert set(telling_names(b"/JS 1 0 R/JS 12")) == {"JS"}
    assert set(telling_names(b"/#53 /JavaScript/JS/")) == {"JS"}
    assert (
        telling_names(b"/JSON(x)/S/Launcher/Launch/EmbeddedFiles/JavaScript/S/JavaScripts /JS/") == Counter()
    )


def test_encrypted_revisions_of_no_document():
    assert encrypted_revisions(b"") == []
    assert encrypted_revisions(b"trailer<</Encrypt 1 0 R>>") == [25]
    assert encrypted_revisions(b"trailer<</Encrypted 1 0 R>>") == []
