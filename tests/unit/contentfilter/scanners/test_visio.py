"""Visio's binary drawings: macros and documents in the streams within their stream."""

from __future__ import annotations

import pytest

from contentfilter.containers import visio
from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Context, Part
from contentfilter.content.scan import scan_document
from contentfilter.scanners.visio import Visio
from mailbase.vocabulary import Unscanned
from tests.samples.compound import compound_file
from tests.samples.office import EMPTY, MACRO, TAME, doc, vba_project
from tests.samples.visio import drawing, lzss, vsd

from ..scanned import scan, told


def scanned(data: bytes) -> tuple[set[str], set[str]]:
    return told(scan(data, name="plan.vsd"))


@pytest.mark.parametrize("version", [5, 6, 11])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("piece", [512, 8192, 1 << 20])
def test_macros_of_a_drawing(version: int, packed: bool, piece: int):
    stream = drawing(vba_project(TAME), version=version, packed=packed, piece=piece)
    assert scanned(vsd(stream)) == ({"office-macro"}, set())
    result = scan_document("plan.vsd", vsd(stream))
    assert all(finding.digest for finding in result.findings)
    assert "Module1" in " ".join(finding.detail for finding in result.findings)


def test_documents_in_a_drawing():
    assert "office-macro" in scanned(vsd(drawing(doc(None), doc(MACRO))))[0]
    assert "office-macro" in scanned(drawing(doc(MACRO)))[0]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_documents_one_after_another_in_one_list(place: int):
    files = [doc(None)[:-1], doc(None), doc(None) + b"x"]
    files[place] = doc(MACRO)
    assert "office-macro" in scanned(vsd(drawing(*files, piece=2048, together=True)))[0]


def test_honest_drawings():
    assert scanned(vsd(drawing())) == (set(), set())
    assert scanned(vsd(drawing(doc(None), vba_project(EMPTY)))) == (set(), set())


def test_drawings_that_are_damaged():
    assert scanned(vsd(drawing(vba_project(TAME), damaged=True))) == (set(), {"malformed"})
    assert scanned(vsd(drawing(vba_project(TAME))[:40])) == (set(), {"malformed"})
    assert scanned(compound_file({"VisioDocument": b""})) == (set(), {"malformed"})


def test_a_drawing_that_is_larger_than_what_is_looked_at(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(visio, "_MAX_STREAMS", 3)
    assert "too-large" in scanned(vsd(drawing(*[doc(None)] * 4)))[0]


@pytest.mark.parametrize("size", [0, 1, 3, 4095, 4096, 4097, 20_000])
def test_what_is_compressed_comes_out_again(size: int):
    plain = (bytes(range(256)) + b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" + bytes(500)) * 40
    assert visio.expand(lzss(plain[:size]), 1 << 20) == plain[:size]
    assert visio.expand(lzss(plain[:size]), 1000) == plain[:size][:1000]


def test_places_in_the_ring_before_the_text():
    # The first octets may refer to zeros that were never written.
    assert visio.expand(b"\0\0\0", 100) == bytes(3)


def test_work_on_all_drawings_of_a_mail_is_bounded():
    stream = drawing(doc(None))
    part = Part("plan.vsd", stream)
    budget = Budget(ScanOptions())
    assert [type(item) for item in Visio().scan(part, Context(part, budget))] == [Part]
    assert budget.work > len(doc(None))
    budget = Budget(ScanOptions(work=1))
    found = [item for item in Visio().scan(part, Context(part, budget)) if isinstance(item, Unscanned)]
    assert [item.reason for item in found] == ["too-large"]


def test_streams_that_come_out_no_more_are_told():
    whole = visio.Drawing(stream := drawing(vba_project(TAME)))
    assert (list(whole.files(1 << 20)) != [], whole.cut) == (True, False)
    part = visio.Drawing(stream, room=visio.MAX_EXPANDED - whole.room)
    list(part.files(1 << 20))
    assert part.cut


def test_groups_count_whatever_comes_of_them():
    """A flag and eight places, three octets each: two microseconds."""
    packed = (b"\0" + b"\xee\xf0" * 8) * 100
    assert visio.expanded(packed, 1 << 20, 1 << 20) == (bytes(2400), 6400)
    assert visio.expanded(packed, 1 << 20, 640) == (bytes(240), 640)
    literals = (b"\xff" + b"12345678") * 100
    assert visio.expanded(literals, 1 << 20, 1 << 20) == (b"12345678" * 100, 800)


@pytest.mark.parametrize("size", range(40))
def test_what_is_cut_off_gives_what_was_there(size: int):
    packed = b"\x0fabcd" + b"\x12\xf0" * 4 + b"\xff12345678" + b"\xaa" + b"\0\1x\2\3y\4\5z\6\7w"
    whole = visio.expand(packed, 1 << 20)
    assert whole.startswith(visio.expand(packed[:size], 1 << 20))
