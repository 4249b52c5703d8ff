"""VBA that hides: removed source, broken directories, projects from elsewhere, databases."""

from __future__ import annotations

import struct

import pytest

from contentfilter.content.scan import scan_document
from mailbase.vocabulary import Finding
from tests.samples.archives import plain_zip
from tests.samples.compound import Tree, compound_file, vba_compress, vba_storage
from tests.samples.office import CONTENT_TYPES, EMPTY, MACRO, TAME, doc, docm, vba_project

from ..scanned import scan

MACROS = {"office-macro", "office-macro-suspicious"}
PROCEDURE, COMMENT = 0x96, 0xE0


def findings(data: bytes) -> list[Finding]:
    return list(scan(data).findings)


def found(data: bytes) -> set[str]:
    return {finding.name for finding in findings(data)}


def unscanned(data: bytes) -> set[str]:
    return {item.reason for item in scan_document("document", data).unscanned}


def compiled(*instructions: int) -> bytes:
    """A performance cache with lines that begin with those instructions."""
    table = b"".join(struct.pack("<IHHI", 0, 4, 0, 8 * number) for number in range(len(instructions)))
    code = b"".join(struct.pack("<HHI", instruction, 0, 0) for instruction in instructions)
    return b"\x01\x16\x03\xfe\xca\x01\x00" + struct.pack("<H", len(instructions)) + table + bytes(10) + code


@pytest.mark.parametrize(
    ("code", "cache", "names"),
    [
        (EMPTY, compiled(COMMENT, COMMENT), set()),
        (EMPTY, compiled(PROCEDURE, COMMENT), MACROS),
        ("' nothing\r\n" * 20, compiled(PROCEDURE, 0x20, 0x6F), MACROS),
        (EMPTY, compiled(COMMENT, 0x400 | PROCEDURE), MACROS),
        (TAME, compiled(PROCEDURE), {"office-macro"}),
    ],
)
def test_source_that_was_removed(code: str, cache: bytes, names: set[str]):
    data = compound_file({"VBA": vba_storage({"M": code}, cache)})
    assert found(data) == names
    if names == MACROS:
        assert {finding.digest for finding in findings(data)} == {""}


def test_compiled_code_that_names_what_its_source_does_not_cannot_be_allowed():
    storage = vba_storage({"M": TAME})
    honest = findings(compound_file({"VBA": storage}))
    storage["_VBA_PROJECT"] = b"\xcc\x61\xff\xff\x00\x00\x00\x05\x00Twice\x05\x00Shell\x00"
    [finding] = findings(compound_file({"VBA": storage}))
    assert finding.name == honest[0].name == "office-macro"
    assert honest[0].digest
    assert not finding.digest
    storage = vba_storage({"M": MACRO})
    storage["_VBA_PROJECT"] = b"\xcc\x61\xff\xff\x00\x00\x00\x05\x00Shell\x00"
    assert all(finding.digest for finding in findings(compound_file({"VBA": storage})))


def test_directory_that_cannot_be_read_is_told():
    storage: Tree = {"dir": b"\x01garbage", "_VBA_PROJECT": bytes(50), "M": b"\x01\x16" * 500}
    assert unscanned(compound_file({"VBA": storage})) == {"malformed"}
    storage["dir"] = vba_compress(b"\x0f\0\x02\0\0\0\0\0")  # there are no modules
    assert unscanned(compound_file({"VBA": storage})) == set()


def reference(kind: int, text: bytes) -> bytes:
    return struct.pack("<HII", kind, len(text) + 10, len(text)) + text + bytes(6)


@pytest.mark.parametrize(
    ("text", "remote"),
    [
        (b"*\\C\\\\evil.example\\share\\x.dotm", True),
        (b"*\\Chttp://evil.example/x.dotm", True),
        (b"*\\CC:\\Users\\x\\Normal.dotm", False),
        (b"*\\G{00020430-0000-0000-C000-000000000046}#2.0#0#C:\\Windows\\stdole2.tlb#OLE", False),
        (b"*\\G{00020430-0000-0000-C000-000000000046}#2.0#0#\\\\evil.example\\x\\a.tlb#OLE", True),
    ],
)
def test_projects_that_are_loaded_from_elsewhere(text: bytes, remote: bool):
    storage = vba_storage({"M": TAME})
    storage["dir"] = vba_compress(reference(0x000E, text) + b"\x0f\0\x02\0\0\0\0\0")
    got = findings(compound_file({"VBA": storage}))
    assert {finding.name for finding in got} == {"office-macro"} | (
        {"office-remote-template"} if remote else set()
    )
    assert any(finding.digest for finding in got) is not remote


@pytest.mark.parametrize("engine", [b"Standard Jet DB", b"Standard ACE DB"])
def test_modules_in_a_database(engine: bytes):
    page = b"\0\x01\0\0" + engine + bytes(4096)
    assert found(page + vba_compress(b'Attribute VB_Name = "M"\r\n' + MACRO.encode())) >= MACROS
    assert not found(page + vba_compress(b'Attribute VB_Name = "M"\r\nOption Compare Database\r\n')) & MACROS
    assert "unsupported" in unscanned(page)


def test_project_in_a_damaged_file_is_carved():
    whole = bytearray(vba_project(MACRO))
    directory = int.from_bytes(whole[48:52], "little")
    at = (directory + 1) * 512
    for entry in range(at, at + 1024, 128):
        if whole[entry + 66] == 2:
            struct.pack_into("<I", whole, entry + 116, 0x00FFFFF0)
    assert "office-macro" in found(bytes(whole))


@pytest.mark.parametrize("size", range(512, 4096, 256))
def test_project_that_is_cut_off_is_no_silent_pass(size: int):
    result = scan_document("x", vba_project(MACRO)[:size])
    assert result.findings or result.unscanned


NAMES = (
    "word/vbaProject.bin",
    "xl/vbaProject.bin",
    "ppt/vbaProject.bin",
    "visio/vbaProject.bin",
    "a/b/c.png",
    "1",
)


@pytest.mark.parametrize("name", NAMES)
def test_project_under_any_name(name: str):
    assert found(docm(name=name)) >= MACROS


@pytest.mark.parametrize("depth", [1, 3, 5])
def test_document_in_documents(depth: int):
    data = doc()
    for number in range(depth):
        if number % 2:
            data = compound_file({"ObjectPool": {"_1": {"Package": data}}})
        else:
            data = plain_zip({"[Content_Types].xml": CONTENT_TYPES, "word/embeddings/o.bin": data})
    assert found(data) == MACROS


def test_modules_beyond_the_names_of_a_directory():
    assert (
        found(compound_file({"VBA": vba_storage({f"M{n}": EMPTY for n in range(2100)} | {"Z": MACRO})}))
        == MACROS
    )


def test_what_olevba_reads_is_bounded():
    """It copies the rest of the stream at each mark."""
    mark = b"\x01\x00\xb0\x00Attribut\x00"

    def project(marks: int) -> bytes:
        return compound_file({"VBA": {"dir": bytes(10), "m": mark * marks}})

    assert unscanned(project(1000)) == {"malformed"}
    assert unscanned(project(9000)) == {"malformed", "too-large"}


def test_marks_in_a_damaged_file_are_bounded():
    damaged = bytes.fromhex("d0cf11e0a1b11ae1") + b"\x01\x00\xb0\x00Attribut\x00" * 40_000
    assert unscanned(damaged) == {"malformed", "too-large"}
