"""Archives that are made to take all memory or time: each ends soon, within its bounds, and is told."""

from __future__ import annotations

import gzip

import pytest

from contentfilter.content.limits import MIB, Budget
from contentfilter.content.results import ScanResult
from contentfilter.content.scan import ScanOptions, scan_document
from tests.samples import bombs

SMALL = ScanOptions(member_size=4 * MIB, expanded=32 * MIB, parts=500, members=100)


@pytest.fixture(autouse=True)
def low_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bombs begin at a megabyte here, so that tests need not expand more."""
    monkeypatch.setattr(Budget, "BOMB_FLOOR", MIB)


def scan(data: bytes, options: ScanOptions = SMALL) -> ScanResult:
    result = scan_document("x", data, options)
    assert "failed" not in {item.reason for item in result.unscanned}, result.unscanned
    return result


def names(result: ScanResult) -> set[str]:
    return {finding.name for finding in result.findings}


@pytest.mark.parametrize(
    "data",
    [
        bombs.zip_of_zeros(10 << 30),
        bombs.zip_of_zeros(3 * MIB, members=200),
        bombs.overlapping_zip(200, MIB),
        *(bombs.compressed_zeros(kind, 1 << 30) for kind in ("gzip", "bzip2", "xz")),
    ],
    ids=["10 GB", "many", "overlapping", "gzip", "bzip2", "xz"],
)
def test_zeros(data: bytes):
    result = scan(data)
    assert names(result) >= {"archive-bomb", "too-large"}
    assert "too-large" in {item.reason for item in result.unscanned}


def test_archives_of_archives_of_zeros():
    result = scan(bombs.nested_zips(4, 8, 4 * MIB))
    assert names(result) >= {"archive-bomb", "too-large"}
    assert result.parts < 100


@pytest.mark.parametrize("make", [bombs.zip_of_many, bombs.tar_of_many, bombs.seven_zip_of_many])
def test_many_members(make):
    for count, told in ((100, False), (101, True), (5000, True)):
        result = scan(make(count))
        assert ("too-large" in names(result)) == told
        assert result.parts <= 103


@pytest.mark.parametrize("make", [bombs.zip_quine, bombs.gzip_quine])
def test_archives_that_hold_themselves(make):
    data = make()
    assert data == (gzip.decompress(data) if data[:1] == b"\x1f" else bombs.opened_by_zipfile(data)[0])
    result = scan(data)
    assert names(result) == {"too-deep"}
    assert result.parts == SMALL.depth + 1


@pytest.mark.parametrize(("levels", "told"), [(12, False), (13, True), (100, True)])
def test_archives_in_archives(levels: int, told: bool):
    assert names(scan(bombs.nested(levels))) == ({"too-deep"} if told else set())


@pytest.mark.parametrize("make", [bombs.seven_zip_of_memory, bombs.xz_of_memory])
def test_dictionaries(make):
    assert names(scan(make(16 * MIB))) <= {"archive-malformed"}
    result = scan(make(512 * MIB))
    assert names(result) == {"too-large"}
    assert {item.reason for item in result.unscanned} == {"too-large"}


def test_no_more_time_in_the_middle_of_an_archive():
    ticks = iter(range(1_000_000))
    options = ScanOptions(seconds=50)
    for data in (
        bombs.zip_of_many(500),
        bombs.seven_zip_of_many(500),
        gzip.decompress(bombs.tar_of_many(500)),
    ):
        result = scan_document("x", data, options, clock=lambda: float(next(ticks)))
        assert "timed-out" in {item.reason for item in result.unscanned}
