"""Archives of all formats, changed anywhere: scanned without a failure, without more than was allowed."""

from __future__ import annotations

import bz2
import gzip
import lzma

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.scan import ScanOptions, scan_document
from tests.fuzz.guided import rar_archive, sevenzip_archive, tar_archive, zip_archive
from tests.samples.cabinets import arj, cab, lha
from tests.samples.discs import udf
from tests.samples.written import compressed, written

EXAMPLES = settings(max_examples=150, deadline=None)
OPTIONS = ScanOptions(parts=100, members=30, member_size=1 << 20, expanded=4 << 20)
MEMBERS = {"a.txt": b"some text " * 20, "folder/b.bin": bytes(range(256)), "c": b""}
TARGETS = (zip_archive, rar_archive, sevenzip_archive, tar_archive)

WHOLE = [
    *(written(kind, MEMBERS) for kind in ("7zip", "cpio_newc", "cpio_odc", "xar", "ar_bsd", "pax", "zip")),
    *(compressed(kind, b"text " * 50) for kind in ("zstd", "lz4", "lzip", "compress")),
    *(pack(b"text " * 50) for pack in (gzip.compress, bz2.compress, lzma.compress)),
    cab(MEMBERS),
    cab(MEMBERS, 1),
    udf(MEMBERS),
    lha(MEMBERS),
    arj(MEMBERS),
    *(seed for module in TARGETS for seed in module.SEEDS),
]
EDIT = st.tuples(st.floats(0, 1), st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))


@pytest.mark.parametrize("module", TARGETS, ids=lambda module: module.__name__.rpartition(".")[2])
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_headers(module, draw: st.DataObject):
    seed = draw.draw(st.sampled_from(module.SEEDS))
    module.target(changed(seed, draw.draw(st.lists(EDIT, max_size=6)), draw.draw(st.floats(0, 1))))


def changed(data: bytes, edits: list[tuple[float, int]], end: float) -> bytes:
    out = bytearray(data)
    for place, octet in edits:
        if out:
            out[min(int(place * len(out)), len(out) - 1)] = octet
    return bytes(out[: max(1, int(end * len(out)))] if end < 0.3 else out)


@EXAMPLES
@given(st.sampled_from(WHOLE), st.lists(EDIT, max_size=5), st.floats(0, 1), st.binary(max_size=8))
def test_changed_archives(data: bytes, edits: list[tuple[float, int]], end: float, front: bytes):
    result = scan_document("x", front + changed(data, edits, end), OPTIONS)
    assert "failed" not in {item.reason for item in result.unscanned}, result.unscanned
    assert result.parts <= OPTIONS.parts
