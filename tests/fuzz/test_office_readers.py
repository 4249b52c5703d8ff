"""The readers of Office's formats on documents with any damage: they never stumble, and end in time."""

from __future__ import annotations

import binascii
import contextlib
import struct
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.containers import ovba
from contentfilter.containers.biff import read_workbook, starts_stream, xlsb_dde
from contentfilter.containers.cfb import CompoundError, CompoundFile
from contentfilter.containers.markup import as_utf8, attributes, elements, joined
from contentfilter.containers.vba_source import has_code, lines_of, normal_source
from contentfilter.containers.word_binary import WordDocument
from contentfilter.containers.xlslock import open_default
from contentfilter.content.scan import ScanOptions, scan_document
from contentfilter.scanners.macro_words import suspicious
from contentfilter.scanners.rtf import object_readings
from tests.samples.compound import compound_file, vba_compress, vba_storage
from tests.samples.office import EMPTY, MACRO, TAME, doc, docx, record, vba_project, workbook, xls
from tests.samples.word import word_6, word_document

EXAMPLES = settings(max_examples=150, deadline=None)
OPTIONS = ScanOptions(parts=200, members=100)
SECONDS = 5.0
"""CPU time in which a small document must be done, whatever it says."""

RTF = (
    b"{\\rtf1{\\*\\template http://x.example/t}{\\field{\\*\\fldinst DDE \\u68? {\\b cmd}}{\\fldrslt x}}"
    b"{\\object\\objupdate{\\*\\objdata "
    + binascii.hexlify(struct.pack("<IIIIII", 0x501, 2, 1, 0, 0, 0) + vba_project(MACRO))
    + b"\\bin4 abcd{\\*\\x 41}}}}"
)  # fmt: skip
XML = (
    b'<?xml version="1.0"?><!-- c --><w:d><w:fldChar w:fldCharType="begin"/><w:instrText><![CDATA[DDE]]>'
    b'</w:instrText><w:fldSimple w:instr="QUOTE 68"/><w:binData>QWN0aXZlTWltZQ==</w:binData>'
    b'<Relationship Type="a/oleObject" Target="http://x.example/" TargetMode="External"/>'
)
BOOK = workbook(
    record(0x0085, struct.pack("<IBB", 60, 1, 1) + b"\x06\x00Macro1"),
    record(0x01AE, struct.pack("<HHB", 1, 11, 0) + b"cmd\x03/c calc"),
    record(0x002F, bytes(54)),
)
SAMPLES = (
    doc(),
    vba_project(TAME),
    compound_file({"VBA": vba_storage({"a": EMPTY, "b": MACRO}), "\x01Ole": b"http://x.example/"}),
    xls(BOOK),
    BOOK,
    word_document(b"\x13DDE x\x15", ["\x13D", b"DE x"], "http://x.example/t"),
    word_6(b"\xff\x01\x01\x00"),
    RTF,
    XML,
    XML.decode().encode("utf-16"),
    docx(XML),
    b"ID;P\nO;E\nC;X1;Y1;K\"=cmd|'x'!A1\"\n",
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A document with octets changed, put in, taken out, doubled, or cut off."""
    data = bytearray(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        size = draw(st.sampled_from([1, 2, 4, 8, 64, 512]))
        match draw(st.integers(0, 4)):
            case 0:
                data[at : at + 4] = draw(
                    st.sampled_from([b"\xff" * 4, bytes(4), b"\xfe\xff\xff\xff", b"\x01\0\0\0"])
                )
            case 1:
                data[at:at] = draw(st.binary(max_size=8))
            case 2:
                del data[at : at + size]
            case 3:
                other = draw(st.integers(0, max(len(data) - 1, 0)))
                data[at : at + size] = data[other : other + size]
            case _:
                data[at:] = data[at : at + draw(st.integers(0, 2048))]
    return bytes(data)


@given(damaged())
@settings(max_examples=400, deadline=None)
def test_scanners_never_fail(data: bytes):
    started = time.process_time()
    result = scan_document("x", data, OPTIONS)
    assert "failed" not in {item.reason for item in result.unscanned}, result.unscanned
    assert time.process_time() - started < SECONDS


@given(st.binary(max_size=2000) | damaged())
@EXAMPLES
def test_compound_files(data: bytes):
    for start in (b"", bytes.fromhex("d0cf11e0a1b11ae1")):
        with contextlib.suppress(CompoundError):
            file = CompoundFile.find(start + data)
            if file is not None:
                assert sum(len(file.read(stream)) for stream in file.streams) <= 17 * (len(data) + 8)
                for stream in file.streams:
                    WordDocument(file, stream).text()
                    WordDocument(file, stream).template()
                    WordDocument(file, stream).has_word_basic()
                assert sum(len(module.code) for module in ovba.modules(file, 10_000)) <= 10_000 + 4097


@given(st.binary(max_size=3000), st.integers(0, 5000))
@EXAMPLES
def test_compression(data: bytes, limit: int):
    assert len(ovba.decompress(b"\x01" + data, limit)) < limit + 4097
    assert len(ovba.carve(data, limit)) <= limit
    assert ovba.decompress(vba_compress(data)).startswith(data)


@st.composite
def chunks(draw: st.DrawFn) -> bytes:
    """Chunks of compressed source, cut off or with any octets changed."""
    packed = vba_compress(draw(st.sampled_from([MACRO.encode(), b"abcab" * 900, bytes(range(99)) * 44])))[3:]
    chunk = bytearray(packed[: draw(st.integers(0, len(packed)))])
    for _ in range(draw(st.integers(0, 3))):
        if chunk:
            chunk[draw(st.integers(0, len(chunk) - 1))] = draw(st.integers(0, 255))
    return bytes(chunk)


@given(st.binary(max_size=300) | chunks())
@EXAMPLES
def test_the_quick_way_to_expand_a_chunk(chunk: bytes):
    careful = bytearray()
    whole = ovba._expand_doubtful(chunk, careful)
    quick = ovba._expand_sound(chunk)
    assert quick is None or (whole and quick == careful)


@given(st.binary(max_size=2000))
@EXAMPLES
def test_records_of_excel(data: bytes):
    for start in (b"", b"\x09\x08\x10\x00", b"\x85\x00\x20\x00", b"\xae\x01\x10\x00", b"\xe8\x02"):
        read_workbook(start + data)
        read_workbook(start + data, alone=True)
        starts_stream(start + data)
        xlsb_dde(start + data)
        open_default(start + data)


@given(
    st.lists(
        st.sampled_from([b"{", b"}", b"\\", b"\\'4", b"\\bin", b"\\*", b"41", b"zz", b"-1 ", b"\\par"])
    ).map(b"".join)
)
@EXAMPLES
def test_objects_in_rtf(data: bytes):
    readings, count = object_readings(data, 0, 50)
    assert count <= 50
    assert all(len(reading) <= len(data) for reading in readings)


PIECES = st.sampled_from(
    ["<!--", "-->", "<![CDATA[", "]]>", "<?", "?>", "<a ", "x='", '"', ">", "/", "&lt;", "ä", "\0"]
)


@given(st.lists(PIECES).map("".join))
@EXAMPLES
def test_markup(text: str):
    data = text.encode()
    whole = joined(data)
    assert whole is not None
    assert joined(whole) is not None
    for match in elements(data, b"a"):
        attributes(match[1])
    for charset in ("utf-8", "utf-16", "utf-32", "utf-7"):
        as_utf8(text.encode(charset))


@given(st.text(st.sampled_from("aA\"'_: \t\r\n\0ä()=")) | st.text())
@EXAMPLES
def test_source(text: str):
    lines = list(lines_of(text))
    assert all(lines)
    assert list(lines_of("\n".join(lines))) == lines
    assert normal_source(text) == normal_source("\n".join(lines))
    has_code(normal_source(text))
    suspicious("\n".join(lines))
