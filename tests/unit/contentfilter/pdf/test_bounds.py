"""PDF: bombs, noise, and what is built to stall a reader."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable

import pikepdf
import pytest

from contentfilter.content.scan import ScanOptions
from tests.samples.bombs import deflated_zeros
from tests.samples.pdf import pdf, raw_pdf, stream, with_object_stream

from ..scanned import scanned
from .pdfs import LOCKED_OLD, lzw_encoded


def zeros(levels: int, size: int = 400 << 20) -> bytes:
    data = b"\x78\x9c" + deflated_zeros(size)
    for _ in range(levels - 1):
        data = zlib.compress(data, 9)
    return data


BOMB = zeros(1)
BOMBS: dict[str, Callable[[], bytes]] = {
    "embedded file": lambda: raw_pdf(objects={4: stream(BOMB, b"/Type/EmbeddedFile/Filter/FlateDecode")}),
    "embedded file, chain": lambda: raw_pdf(
        objects={4: stream(zeros(3), b"/Type/EmbeddedFile/Filter[/FlateDecode/FlateDecode/FlateDecode]")}
    ),
    "too many filters": lambda: raw_pdf(
        objects={4: stream(b"x", b"/Type/EmbeddedFile/Filter[%s]" % (b"/ASCIIHexDecode" * 100))}
    ),
    "predictor": lambda: raw_pdf(
        objects={
            4: stream(BOMB, b"/Type/EmbeddedFile/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 9>>")
        }
    ),
    "object stream": lambda: with_object_stream(b"<</A 1>>", 400 << 20),
    "form": lambda: raw_pdf(b"/AcroForm<</XFA 4 0 R>>", {4: stream(BOMB, b"/Filter/FlateDecode")}),
    "run lengths": lambda: raw_pdf(
        objects={4: stream(b"\x81x" * 2_000_000, b"/Type/EmbeddedFile/Filter/RunLengthDecode")}
    ),
    "lzw": lambda: raw_pdf(
        objects={4: stream(lzw_encoded(bytes(9 << 20)), b"/Type/EmbeddedFile/Filter/LZWDecode")}
    ),
}


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS.keys())
def test_bombs(make: Callable[[], bytes]):
    data = make()
    started = time.process_time()
    names, reasons = scanned(data)
    assert time.process_time() - started < 10
    assert names == {"too-large"}
    assert reasons == {"too-large"}


def test_table_that_is_a_bomb():
    data = with_object_stream(b"<<>>")
    at = data.rindex(b"6 0 obj")
    table = stream(BOMB, b"/Type/XRef/Size 7/W[1 4 1]/Root 1 0 R/Filter/FlateDecode")
    names, reasons = scanned(data[:at] + b"6 0 obj\n" + table + b"\nendobj\nstartxref\n%d\n%%%%EOF\n" % at)
    assert names | reasons
    assert reasons <= {"too-large", "malformed"}


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7\n" * 300_000,
        b"%PDF-1.7\n" + b"trailer<</Encrypt " * 200_000,
        b"%PDF-1.7\n" + b"startxref 9 " * 300_000,
        b"%PDF-1.7\n" + b"/Catalog" * 500_000,
        b"%PDF-1.7\n" + b"1 0 obj " * 500_000 + b"/Catalog",
        b"%PDF-1.7\n" + b"/#4A#53" * 500_000,
        b"%PDF-1.7\n" + b"/Encrypt 7 0 R 7 0 obj<<" * 200_000,
        raw_pdf(objects={4: b"[" * 100_000}),
        raw_pdf(objects={4: b"<</A" * 100_000}),
        raw_pdf(objects={4: b"[%s]" % (b"<</JS 1>>" * 200_000)}),
        raw_pdf(objects=dict.fromkeys(range(4, 40000), b"<</S/JavaScript/JS(x)>>")),
        raw_pdf(objects={2: b"<</Type/Pages/Kids[2 0 R 2 0 R 3 0 R]/Count 9999999>>"}),
        raw_pdf(b"/Names 4 0 R", {4: b"<</Kids[4 0 R 5 0 R]>>", 5: b"<</Kids[4 0 R]/EF 5 0 R>>"}),
        raw_pdf(trailer=b"/Prev 9"),
        raw_pdf().replace(b"/Size 4", b"/Size 4294967295"),
        raw_pdf(b"/AcroForm<</XFA 4 0 R>>", {4: stream(b"<!DOCTYPE x[" + b'<!ENTITY a "&b;&b;">' * 100_000)}),
        raw_pdf(b"/Metadata 4 0 R", {4: stream(b"<!DOCTYPE x[" + b'<!ENTITY a "&a;&a;">' * 100_000)}),
    ],
)  # fmt: skip
def test_what_is_built_to_stall_a_reader(data: bytes):
    started = time.process_time()
    scanned(data)
    assert time.process_time() - started < 10


def test_files_in_a_document_are_counted():
    objects = {number: stream(b"x", b"/Type/EmbeddedFile") for number in range(4, 104)}
    names, reasons = scanned(raw_pdf(objects=objects), ScanOptions(parts=100))
    assert (names, reasons) == ({"too-large"}, {"too-large"})
    assert scanned(raw_pdf(objects=objects), ScanOptions(parts=101)) == (set(), set())


@pytest.mark.parametrize("data", [LOCKED_OLD, pdf(lock=pikepdf.Encryption(user="s", owner="o"))])
def test_locked_document_cut_anywhere_is_no_pass(data: bytes):
    for size in range(20, len(data), 11):
        names, reasons = scanned(data[:size])
        assert names or reasons, size
