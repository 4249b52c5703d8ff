"""PDF: files that other programs find where qpdf finds none."""

from __future__ import annotations

import zlib

import pytest

from tests.samples.pdf import PAGE, PAGES, raw_pdf, stream

from ..scanned import scanned
from .pdfs import MACROS, PROGRAM

CATALOG = b"<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles<</Names[(a)4 0 R]>>>>>>"
SPEC = b"<</F(a.docm)/EF<</F 5 0 R>>>>"
DECOY = b"<</F(a.txt)/EF<</F 6 0 R>>>>"
FILE, TEXT = stream(zlib.compress(PROGRAM), b"/Filter/FlateDecode"), stream(b"hello")


def laid(things: list[tuple[int, bytes]]) -> tuple[bytearray, dict[int, int]]:
    """Objects one after the other, and where each begins, the first of a number."""
    body, places = bytearray(b"%PDF-1.7\n"), {}
    for number, thing in things:
        places.setdefault(number, len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, thing)
    return body, places


def table(rows: list[tuple[int, int, int]], about: bytes) -> bytes:
    """A cross-reference stream (7.5.8)."""
    data = b"".join(
        kind.to_bytes(1, "big") + one.to_bytes(4, "big") + two.to_bytes(2, "big") for kind, one, two in rows
    )
    return stream(data, b"/Type/XRef/W[1 4 2]" + about)


def hybrid(*things: tuple[int, bytes], packed: bytes = b"", about: bytes = b"") -> bytes:
    """A hybrid-reference file: of ``things`` and ``packed``, which is object 4, its table knows nothing."""
    more = [(9, packed)] if packed else []
    body, places = laid([(1, CATALOG), (2, PAGES), (3, PAGE), *things, *more])
    beside = len(body)
    rows = [(2, 9, 0) if packed else (1, places[4], 0), (1, places[5], 0), (1, places.get(9, 0), 0)]
    body += b"8 0 obj\n%s\nendobj\n" % table(rows, b"/Size 10/Index[4 2 9 1]")
    start = len(body)
    body += b"xref\n0 10\n0000000000 65535 f \n"
    body += b"".join(b"%010d 00000 n \n" % places[number] for number in (1, 2, 3))
    body += b"0000000000 65535 f \n" * 6
    return bytes(body) + b"trailer\n<</Size 10/Root 1 0 R/XRefStm %d%s>>\nstartxref\n%d\n%%%%EOF\n" % (
        beside,
        about,
        start,
    )


def object_stream(content: bytes, count: int, first: int) -> bytes:
    return stream(zlib.compress(content), b"/Type/ObjStm/N %d/First %d/Filter/FlateDecode" % (count, first))


@pytest.mark.parametrize(
    "data",
    [
        hybrid((4, SPEC), (5, FILE)),
        # A reading that trusts no table takes the last of a number, and is led past the file.
        hybrid((4, SPEC), (5, FILE), (5, TEXT), (4, b"null")),
        b"\n" * 20 + hybrid((4, SPEC), (5, FILE)),
        hybrid((5, FILE), packed=object_stream(b"4 0 " + SPEC, 1, 4)),
    ],
    ids=["plain", "with decoys", "behind something", "in an object stream"],
)
def test_what_only_the_stream_beside_a_table_lists(data: bytes):
    assert scanned(data) == (MACROS, set())


def test_hybrid_file_with_nothing_in_it():
    assert scanned(hybrid((4, b"<<>>"), (5, TEXT))) == (set(), set())
    for place in (b"9", b"9999999"):
        # qpdf repairs it.
        assert scanned(raw_pdf(trailer=b"/XRefStm " + place)) == (set(), {"malformed"})


def packed(content: bytes, count: int, first: int, *more: tuple[int, bytes], listed: int = 4) -> bytes:
    """A document whose object 4 lies in the object stream 7, says its table."""
    things = [
        (1, CATALOG),
        (2, PAGES),
        (3, PAGE),
        (5, FILE),
        (7, object_stream(content, count, first)),
        *more,
    ]
    body, places = laid(things)
    rows = [(1, places[number], 0) if number in places else (0, 0, 0) for number in range(12)]
    rows[listed] = (2, 7, 0)
    rows[11] = (1, len(body), 0)
    start = len(body)
    body += b"11 0 obj\n%s\nendobj\n" % table(rows, b"/Size 12/Root 1 0 R")
    return bytes(body) + b"startxref\n%d\n%%%%EOF\n" % start


NUMBERS = {
    "too many": packed(b"4 0 " + SPEC, 5, 4),
    "far too many": packed(b"4 0 " + SPEC, 1_000_000, 4),
    "the same twice": packed(b"4 0 4 %d %s null" % (len(SPEC) + 1, SPEC), 2, 9),
    "another": packed(b"77 0 " + SPEC, 1, 5),
    "in no table": packed(b"4 0 " + SPEC, 1, 4, listed=10),
}


@pytest.mark.parametrize("data", NUMBERS.values(), ids=NUMBERS.keys())
def test_object_streams_whose_numbers_programs_take_in_different_ways(data: bytes):
    assert scanned(data)[0] == MACROS


def test_one_file_does_not_hide_another():
    shown = (6, TEXT), (8, DECOY)
    assert scanned(packed(b"4 0 4 %d %s null" % (len(SPEC) + 1, SPEC), 2, 9, *shown))[0] == MACROS


def test_objects_that_are_free_and_used():
    used = raw_pdf(objects={4: SPEC, 5: FILE})
    for number in (4, 5):
        at = used.index(b"%d 1\n" % number) + 4
        assert used[at + 17 : at + 18] == b"n"
        assert scanned(used[: at + 17] + b"f" + used[at + 18 :])[0] == MACROS


def test_a_file_that_an_update_took_away_is_looked_at_and_no_damage():
    earlier = raw_pdf(objects={4: DECOY, 6: TEXT})
    assert scanned(raw_pdf(objects={4: b"<</F(b.txt)/EF<</F 7 0 R>>>>", 7: TEXT}, base=earlier)) == (
        set(),
        set(),
    )


def test_entries_that_stand_twice():
    for twice in (
        b"/Filter/FlateDecode/Filter/ASCIIHexDecode",
        b"/DecodeParms<<>>/DecodeParms<</Predictor 2>>",
    ):
        assert scanned(raw_pdf(objects={4: SPEC, 5: stream(b"41", twice)}))[1] >= {"malformed"}
    assert scanned(raw_pdf(objects={4: b"<</F(a)/EF<</F 5 0 R/F 6 0 R>>>>", 5: TEXT, 6: TEXT}))[1] == {
        "malformed"
    }
    assert scanned(raw_pdf(objects={4: b"<</Type/Font/Type/Font>>"})) == (set(), set())
