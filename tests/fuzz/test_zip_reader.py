"""The ZIP reader on invented archives: it sees at least what Python's zipfile sees, and never stumbles."""

from __future__ import annotations

import contextlib
import io
import lzma
import struct
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.containers.libarchive import ArchiveError, Reader
from contentfilter.containers.ziparchive import ZipArchive
from contentfilter.content.scan import ScanOptions, scan_document
from tests.samples.archives import Entry, Item, archive, deflated, with_end64

LIMIT = 1 << 16
EXAMPLES = settings(max_examples=200, deadline=None)
OPTIONS = ScanOptions(parts=200, members=100)

NAME = st.binary(min_size=1, max_size=12)
CONTENT = st.binary(max_size=300)
SMALL = st.integers(0, 400)
REFUSALS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(NotImplementedError, RuntimeError, EOFError, OSError, ValueError, IndexError),
)
METHOD = st.sampled_from([0, 8, 12, 14, 95, 99, 9, 77])


@st.composite
def honest(draw: st.DrawFn) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(
        out, "w", draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    ) as writer:
        names = draw(st.lists(st.text("abc/ä", min_size=1, max_size=8), max_size=5, unique=True))
        for name in names:
            writer.writestr(name, draw(CONTENT))
        writer.comment = draw(st.text("abc", max_size=30)).encode()
    return draw(st.binary(max_size=30)) + out.getvalue()


@st.composite
def entry(draw: st.DrawFn, name: bytes, size: int, packed: int) -> Entry:
    """A header that is right, or wrong in anything."""
    if draw(st.booleans()):
        return Entry(name, 8, 0, packed, size)
    return Entry(draw(NAME), draw(METHOD), draw(st.integers(0, 0xFFFF)), draw(SMALL), draw(SMALL))


@st.composite
def lying(draw: st.DrawFn) -> bytes:
    items = []
    for _ in range(draw(st.integers(0, 4))):
        name, content = draw(NAME), draw(CONTENT)
        data = deflated(content) if draw(st.booleans()) else content
        local = draw(st.none() | entry(name, len(content), len(data)))
        central = draw(st.none() | entry(name, len(content), len(data)))
        items.append(Item(local, central, data))
    front, absolute = draw(st.binary(max_size=20)), draw(st.booleans())
    out = archive(items, draw(st.binary(max_size=20)), front, absolute=absolute)
    if draw(st.booleans()):
        directory = out.find(b"PK\1\2")
        place = draw(st.sampled_from([max(0, directory), max(0, directory - len(front)), 0]) | SMALL)
        size = draw(st.sampled_from([max(0, out.rindex(b"PK\5\6") - directory)]) | SMALL)
        out = with_end64(out, place, size, draw(st.integers(0, 4)))
    return out


@st.composite
def one_after_the_other(draw: st.DrawFn) -> bytes:
    return draw(lying()) + draw(st.binary(max_size=5)) + draw(lying())


def contents(found: ZipArchive) -> list[bytes]:
    out = []
    for member in found.members:
        assert member.text_name is not None
        found.peek(member)
        for result in found.expand(member, LIMIT):
            assert len(result.data) <= LIMIT
            out.append(bytes(result.data))
    return out


@EXAMPLES
@given(honest())
def test_honest_archives_are_read_whole(data: bytes):
    with zipfile.ZipFile(io.BytesIO(data)) as reference:
        expected = [reference.read(info) for info in reference.infolist()]
    found = ZipArchive.find(data, 100)
    if found is None:
        assert not expected
        return
    read = contents(found)
    assert all(content in read for content in expected if content)


def by_the_standard_library(data: bytes) -> list[bytes]:
    """What zipfile can read of it."""
    out = []
    with contextlib.suppress(*REFUSALS), zipfile.ZipFile(io.BytesIO(data)) as reference:
        for info in reference.infolist():
            with contextlib.suppress(*REFUSALS):
                out.append(reference.read(info))
    return out


@EXAMPLES
@given(lying() | one_after_the_other())
def test_what_the_standard_library_reads_is_read(data: bytes):
    found = ZipArchive.find(data, 100)
    read = contents(found) if found else []
    for content in by_the_standard_library(data):
        assert not content or any(content in item for item in read)


def by_libarchive(data: bytes, kind: str) -> list[bytes]:
    """What libarchive can read of it: by the directory, or by the local headers alone."""
    out = []
    with contextlib.suppress(ArchiveError), Reader(data, (kind,)) as reader:
        for entry in reader.entries():
            result = reader.extract(LIMIT, lambda: False)
            if not result.problem and not entry.encrypted:
                out.append(bytes(result.data))
    return out


@pytest.mark.parametrize("kind", ["zip_seekable", "zip_streamable"])
@EXAMPLES
@given(lying() | one_after_the_other())
def test_what_libarchive_reads_is_read(kind: str, data: bytes):
    found = ZipArchive.find(data, 100)
    read = contents(found) if found else []
    for content in by_libarchive(data, kind):
        assert not content or any(content in item for item in read)


@EXAMPLES
@given(st.one_of(honest(), lying()), st.data())
def test_damaged_archives_are_scanned_without_a_failure(data: bytes, draw: st.DataObject):
    changed = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 6))):
        if changed:
            changed[draw.draw(st.integers(0, len(changed) - 1))] = draw.draw(st.integers(0, 255))
    result = scan_document("x", bytes(changed[: draw.draw(st.integers(0, len(changed)))]), OPTIONS)
    assert "failed" not in {item.reason for item in result.unscanned}


SIGNATURE = st.sampled_from([b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"])


@EXAMPLES
@given(st.lists(st.one_of(SIGNATURE, st.binary(max_size=40)), max_size=30).map(b"".join))
def test_noise_is_scanned_without_a_failure(data: bytes):
    result = scan_document("x", data, OPTIONS)
    assert "failed" not in {item.reason for item in result.unscanned}
