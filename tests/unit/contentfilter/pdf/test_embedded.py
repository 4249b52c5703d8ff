"""PDF: files in a document, and several readings of one file."""

from __future__ import annotations

import base64
import zlib

import pytest

from contentfilter.content.scan import scan_document
from contentfilter.pdf.streams import lzw
from contentfilter.pdf.syntax import documents
from tests.samples.pdf import pdf, raw_pdf, stream

from ..scanned import scanned
from .pdfs import LOCKED, MACROS, PROGRAM, SCRIPT, attach, lzw_encoded

# Embedded files.


def ascii85(data: bytes) -> bytes:
    return base64.a85encode(data) + b"~>"


def run_lengths(data: bytes) -> bytes:
    pieces = [data[at : at + 128] for at in range(0, len(data), 128)]
    return b"".join(bytes((len(piece) - 1,)) + piece for piece in pieces) + b"\x80"


def predicted(data: bytes, columns: int = 64) -> bytes:
    data += bytes(-len(data) % columns)
    return zlib.compress(b"".join(b"\0" + data[at : at + columns] for at in range(0, len(data), columns)))


FILTERS = {
    "none": (PROGRAM, b""),
    "flate": (zlib.compress(PROGRAM), b"/Filter/FlateDecode"),
    "flate, array": (zlib.compress(PROGRAM), b"/Filter[/FlateDecode]/DecodeParms[null]"),
    "flate, short name": (zlib.compress(PROGRAM), b"/Filter/Fl"),
    "flate, escaped": (zlib.compress(PROGRAM), b"/Filter/Fl#61teDecode"),
    "flate, twice": (zlib.compress(zlib.compress(PROGRAM)), b"/Filter[/FlateDecode/FlateDecode]"),
    "flate, cut": (zlib.compress(PROGRAM)[:-4], b"/Filter/FlateDecode"),
    "flate, predictor": (
        predicted(PROGRAM),
        b"/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 64>>",
    ),
    "hexadecimal": (PROGRAM.hex().encode() + b">", b"/Filter/ASCIIHexDecode"),
    "ascii85": (ascii85(PROGRAM), b"/Filter/ASCII85Decode"),
    "ascii85 of flate": (ascii85(zlib.compress(PROGRAM)), b"/Filter[/ASCII85Decode/FlateDecode]"),
    "ascii85, as PostScript has it": (b" <~" + ascii85(PROGRAM), b"/Filter/ASCII85Decode"),
    "run lengths": (run_lengths(PROGRAM), b"/Filter/RunLengthDecode"),
    "lzw": (lzw_encoded(PROGRAM), b"/Filter/LZWDecode"),
    "lzw, late": (
        lzw_encoded(PROGRAM, early=False),
        b"/Filter[/LZWDecode]/DecodeParms[<</EarlyChange 0>>]",
    ),
    "identity": (PROGRAM, b"/Filter[/Crypt]/DecodeParms[<</Name/Identity>>]"),
}


@pytest.mark.parametrize(("data", "about"), FILTERS.values(), ids=FILTERS.keys())
def test_filters_of_an_embedded_file(data: bytes, about: bytes):
    spec = b"<</Type/Filespec/F(a.docm)/EF<</F 5 0 R>>>>"
    whole = raw_pdf(
        b"/Names<</EmbeddedFiles<</Names[(a)4 0 R]>>>>",
        {4: spec, 5: stream(data, b"/Type/EmbeddedFile" + about)},
    )
    assert scanned(whole)[0] == MACROS


FILE = stream(PROGRAM, b"/Type/EmbeddedFile")
PLACES = {
    "annotation": {4: b"<</Subtype/FileAttachment/FS<</F(a)/EF<</F 5 0 R>>>>>>", 5: FILE},
    "other platform": {4: b"<</EF<</Unix 5 0 R>>/F(a)>>", 5: FILE},
    "related": {4: b"<</F(a)/RF<</F[(x)5 0 R]>>>>", 5: FILE},
    "rich media": {4: b"<</RichMediaContent<</Assets<</Names[(a)<</EF<</F 5 0 R>>>>]>>>>>>", 5: FILE},
    "stream for a dictionary": {4: b"<</EF 6 0 R/F(a)>>", 5: stream(PROGRAM), 6: stream(b"", b"/F 5 0 R")},
    "no type": {4: b"<</F(a)/E#46<</F 5 0 R>>>>", 5: stream(PROGRAM)},
    "nobody's": {5: FILE},
    "utf-16 name": {4: b"<</UF<feff0061>/EF<</UF 5 0 R>>>>", 5: FILE},
}  # fmt: skip


@pytest.mark.parametrize("objects", PLACES.values(), ids=PLACES.keys())
def test_places_of_an_embedded_file(objects: dict[int, bytes]):
    assert scanned(raw_pdf(objects=objects))[0] == MACROS


def test_a_file_of_which_a_filter_makes_nothing_is_malformed():
    for data, about in ((b">" + b"41" * 20, b"/ASCIIHexDecode"), (b"~>" + b"A" * 20, b"/ASCII85Decode")):
        assert scanned(raw_pdf(objects={4: stream(data, b"/Type/EmbeddedFile/Filter" + about)})) == (
            set(),
            {"malformed"},
        )
    for data, about in ((b">", b"/ASCIIHexDecode"), (b"~>", b"/ASCII85Decode"), (b"", b"/FlateDecode")):
        names, _reasons = scanned(raw_pdf(objects={4: stream(data, b"/Type/EmbeddedFile/Filter" + about)}))
        assert not names


SHELL = stream(b'new ActiveXObject("WScript.Shell").Run("calc")', b"/Type/EmbeddedFile")


@pytest.mark.parametrize(
    "objects",
    [
        {4: SHELL, 5: b"<</F(a.js)/EF<</F 4 0 R>>>>"},
        {4: b"<</F(a.txt)/EF<</F 6 0 R>>>>", 5: b"<</F(a.js)/EF<</F 6 0 R>>>>", 6: SHELL},
        {4: b"<</UF(a.txt)/F(a.js)/EF<</F 5 0 R>>>>", 5: SHELL},
        {4: b"<</F(a.txt)/Unix(a.js)/EF<</F 5 0 R>>>>", 5: SHELL},
    ],
)
def test_each_name_of_an_embedded_file_counts(objects: dict[int, bytes]):
    assert "executable" in scanned(raw_pdf(objects=objects))[0]


MEDIA = {
    4: b"<</Activation<</Scripts[6 0 R]>>>>",
    5: SHELL,
    6: b"<</F(spin.js)/EF<</F 5 0 R>>>>",
    7: b"<</RichMediaContent<</Assets<</Names[(spin.js)6 0 R]>>>>>>",
}


def test_script_of_a_picture_in_three_dimensions_is_the_readers_own():
    assert scanned(raw_pdf(objects=MEDIA)) == (set(), set())
    for listed in (b"/EmbeddedFiles<</Names[(a)6 0 R]>>", b"/FS 6 0 R", b"/AF[6 0 R]"):
        assert "executable" in scanned(raw_pdf(objects=MEDIA | {8: b"<<%s>>" % listed}))[0], listed
    for number in (4, 6):
        changed = MEDIA[number].replace(b"6 0 R", b"7 0 R").replace(b".js", b".vbs")
        assert "executable" in scanned(raw_pdf(objects=MEDIA | {number: changed}))[0]


def test_a_form_in_many_pieces():
    pieces = {number: stream(b"<a>") for number in range(4, 104)} | {104: stream(b"<script>")}
    form = b"/AcroForm<</XFA[%s]>>" % b"".join(b"(x)%d 0 R" % number for number in pieces)
    assert scanned(raw_pdf(form, pieces))[0] == {"pdf-javascript"}
    assert scanned(raw_pdf(b"/AcroForm<</XFA[%s]>>" % (b"4 0 R " * 2001), {4: stream(b"<a>")}))[1] == {
        "too-large"
    }


def test_embedded_document_is_named_and_looked_into():
    inner = pdf(lambda d: attach(d, "a.docm", PROGRAM))
    outer = pdf(lambda d: attach(d, "b.pdf", inner))
    result = scan_document("c.pdf", outer)
    assert {finding.part for finding in result.findings} == {"c.pdf/b.pdf/a.docm"}
    locked_inside = pdf(lambda d: attach(d, "b.pdf", LOCKED))
    assert [(f.name, f.part) for f in scan_document("c.pdf", locked_inside).findings] == [
        ("pdf-encrypted", "c.pdf/b.pdf")
    ]


# Several readings of one file.


def test_documents_in_a_row():
    scripted, plain = raw_pdf(b"/OpenAction" + SCRIPT), raw_pdf()
    for data in (scripted + plain, plain + scripted, plain + b"junk\n" + scripted + plain):
        assert "pdf-javascript" in scanned(data)[0]
    for data in (LOCKED + plain, plain + LOCKED):
        assert "pdf-encrypted" in scanned(data)[0]
    assert scanned(plain * 9)[1] >= {"too-large"}


def test_headers_without_number_are_no_documents_in_documents():
    result = scan_document("x", b"%PDF-1.7\n" * 100_000)
    assert result.parts <= 10
    assert {item.reason for item in result.unscanned} == {"malformed", "too-large"}


def test_stored_document_in_a_document_is_none_in_a_row():
    inner = raw_pdf()
    data = raw_pdf(objects={4: b"<</F(a)/EF<</F 5 0 R>>>>", 5: stream(inner, b"/Type/EmbeddedFile")})
    assert documents(data) == ([], False)
    assert scanned(data) == (set(), set())


def test_polyglots():
    from tests.samples.archives import plain_zip

    archive = plain_zip({"a.docm": PROGRAM})
    for data in (raw_pdf() + archive, archive + raw_pdf(b"/OpenAction" + SCRIPT)):
        assert scanned(data)[0] & {"office-macro", "pdf-javascript"}


def test_objects_of_an_earlier_revision_and_those_that_no_table_lists():
    superseded = raw_pdf(base=raw_pdf(b"/OpenAction" + SCRIPT))
    assert scanned(superseded)[0] == {"pdf-javascript"}
    data = raw_pdf()
    at = data.index(b"xref\n0 1")
    hidden = data[:at] + b"9 0 obj\n<</F(a)/EF<</F 10 0 R>>>>\nendobj\n10 0 obj\n" + FILE + b"\nendobj\n"
    hidden += data[at:].replace(b"startxref\n%d" % at, b"startxref\n%d" % len(hidden))
    assert scanned(hidden)[0] == MACROS


def test_documents_that_readers_repair():
    data = raw_pdf(b"/OpenAction" + SCRIPT)
    for damaged in (
        data[: data.index(b"trailer")],
        data[: data.index(b"xref")],
        data.replace(b"endobj", b"endob"),
        data.replace(b"startxref\n", b"startxref\n9"),
        data.replace(b"\nxref\n", b"\nxxxx\n"),
    ):
        names, reasons = scanned(damaged)
        assert names == {"pdf-javascript"}
        assert reasons == {"malformed"}


@pytest.mark.parametrize("data", [b"", b"a", b"abc" * 5000, bytes(range(256)) * 64, bytes(20_000)])
def test_lzw(data: bytes):
    assert lzw(lzw_encoded(data) if data else b"\x80\x40\x40", 1 << 20) == (data, "")


def test_lzw_at_its_bound():
    packed = lzw_encoded(bytes(5000))
    assert lzw(packed, 5000) == (bytes(5000), "")
    assert lzw(packed, 4999) == (bytes(4999), "too-large")
    assert lzw(b"\xff\xff\xff", 100) == (b"", "malformed")
