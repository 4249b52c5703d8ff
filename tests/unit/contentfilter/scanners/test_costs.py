"""What is dear counts against the bound on work, however small the parts are that cause it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contentfilter.content.limits import MIB, Budget, ScanOptions
from contentfilter.content.part import Context, Found, Part, Scanner
from contentfilter.scanners import pdf as pdf_scanner
from contentfilter.scanners import vba as vba_scanner
from contentfilter.scanners.office_xml import OfficeXml
from contentfilter.scanners.pdf import Pdf
from contentfilter.scanners.vba import Vba
from mailbase.vocabulary import Unscanned
from tests.samples.compound import compound_file
from tests.samples.pdf import pdf

FIELD = b"<w:fldSimple w:instr='PAGE'>"
RELATION = b"<Relationship Id='r' Type='x/oleObject' TargetMode='External' Target='http://a/b'/>"


def too_large(items: Iterator[Found]) -> bool:
    return any(isinstance(item, Unscanned) and item.reason == "too-large" for item in items)


def scanned(scanner: Scanner, data: bytes, budget: Budget) -> bool:
    """Whether it is told that something was too much."""
    part = Part("document", data)
    return too_large(scanner.scan(part, Context(part, budget)))


@pytest.mark.parametrize("element", [FIELD, RELATION])
def test_elements_whose_attributes_are_read(element: bytes):
    budget = Budget(ScanOptions(work=4 * MIB))
    document = b"<w:document>" + element * 200
    assert [scanned(OfficeXml(), document, budget) for _ in range(4)] == [False, False, True, True]


def test_fields_are_not_left_out_in_silence():
    budget = Budget(ScanOptions())
    assert not scanned(OfficeXml(), b"<w:document>" + FIELD * 100_000, budget)
    assert scanned(OfficeXml(), b"<w:document>" + FIELD * 100_001, budget)


def test_documents_that_qpdf_opens(monkeypatch: pytest.MonkeyPatch):
    opened = []
    real = pdf_scanner._open_in_front
    monkeypatch.setattr(pdf_scanner, "_open_in_front", lambda data: opened.append(1) or real(data))
    budget = Budget(ScanOptions(work=5 * MIB))
    told = [scanned(Pdf(), pdf(), budget) for _ in range(20)]
    assert told == [False] * 10 + [True] * 10
    assert len(opened) == 10


def test_projects_that_olevba_is_shown(monkeypatch: pytest.MonkeyPatch):
    shown = []
    real = vba_scanner._olevba

    def watched(part: Part, limit: int) -> tuple[str, bool]:
        shown.append(part)
        return real(part, limit)

    monkeypatch.setattr(vba_scanner, "_olevba", watched)
    project = compound_file({"VBA": {"dir": bytes(10), "m": b"Attribut"}})
    budget = Budget(ScanOptions(work=10 * MIB))
    assert [scanned(Vba(), project, budget) for _ in range(4)] == [False, False, True, True]
    assert len(shown) == 2
