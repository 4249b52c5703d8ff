"""Archives of all formats, changed anywhere: scanned without a failure, without more than was allowed."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.containers.libarchive import ArchiveError, Reader
from contentfilter.content.limits import Budget
from contentfilter.content.part import Context, Part
from contentfilter.content.scan import ScanOptions, scan_document
from contentfilter.scanners.tar import Tar
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


# TAR against two others.


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    """Members of any type and size, some with extended headers that say otherwise."""
    out = b""
    for _ in range(draw(st.integers(1, 4))):
        content = draw(st.binary(min_size=1, max_size=600))
        if draw(st.booleans()):
            size = draw(st.sampled_from([len(content), 0, 512, 1024]))
            record = b" size=%d\n" % size
            length = len(record) + 1 + (len(record) > 8) + draw(st.sampled_from([0, 0, 0, 1, -1]))
            out += header("pax", draw(st.sampled_from([b"x", b"x", b"g"])), b"%d%b" % (length, record))
        kind = draw(st.sampled_from([b"0", b"0", b"\0", b"1", b"2", b"5", b"7", b"L", b"S", b"V"]))
        out += header("name", kind, content, draw(st.sampled_from([len(content), 0, 512, 1024])))
    return out + bytes(draw(st.sampled_from([0, 512, 1024])))


def header(name: str, kind: bytes, content: bytes, size: int | None = None) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content) if size is None else size
    return info.tobuf(tarfile.USTAR_FORMAT) + content.ljust(-(-len(content) // 512) * 512, b"\0")


def by_tarfile(data: bytes) -> list[bytes]:
    out = []
    with (
        contextlib.suppress(tarfile.TarError, ValueError, OSError),
        tarfile.open(fileobj=io.BytesIO(data)) as reader,
    ):
        for info in filter(tarfile.TarInfo.isreg, reader):
            file = reader.extractfile(info)
            out.append(file.read() if file else b"")
    return out


def by_libarchive(data: bytes) -> list[bytes]:
    out = []
    with contextlib.suppress(ArchiveError), Reader(data, ("tar",)) as reader:
        for _entry in reader.entries():
            result = reader.extract(1 << 20, lambda: False)
            if not result.problem:
                out.append(bytes(result.data))
    return out


@settings(max_examples=100, deadline=None)
@given(tars())
def test_what_others_read_of_a_tar_is_read(data: bytes):
    part = Part("x", data)
    waiting, read = [part], [data] if not data.strip(b"\0") else []
    while waiting and len(read) < 300:
        inner = waiting.pop()
        for item in Tar().scan(inner, Context(inner, Budget(OPTIONS))):
            if isinstance(item, Part):
                read.append(bytes(item.data))
                waiting.append(item)
    for content in by_tarfile(data) + by_libarchive(data):
        wanted = content.rstrip(b"\0")
        assert not wanted or any(wanted in item for item in read), content
