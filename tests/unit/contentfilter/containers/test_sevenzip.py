"""7z archives: locked members and headers, wiped starts, dictionaries that nobody has memory for."""

from __future__ import annotations

import contextlib
import lzma
import random
import zlib
from dataclasses import replace

import pytest

from contentfilter.containers import inflate64
from contentfilter.containers.libarchive import Reader
from contentfilter.containers.sevenzip import MAGIC, packed_streams, read_7z, repaired, write_7z
from contentfilter.containers.sevenzip_streams import Coder, Folder, SevenZipError
from contentfilter.content.results import ScanResult
from contentfilter.content.scan import ScanOptions, scan_document
from contentfilter.scanners import archive_7z
from contentfilter.scanners.archive_7z import MAX_DICTIONARY
from tests.samples.archives import plain_zip
from tests.samples.office import docm
from tests.samples.programs import pe
from tests.samples.sevenzip import AES, COPY, LZMA2, File, compressed, huge, locked, seven_zip, stored
from tests.samples.written import written

from ..scanned import names, scan

PACKED = [(LZMA2,), (COPY,), ()]


def reasons(result: ScanResult) -> set[tuple[str, str]]:
    return {(item.part, item.reason) for item in result.unscanned}


@pytest.mark.parametrize("header", PACKED)
def test_members(header):
    result = scan(seven_zip(stored("a.txt", b"text"), compressed("b.doc", docm()), packed_header=header))
    assert "x/b.doc" in {finding.part for finding in result.findings}
    assert "archive-malformed" not in names(result)
    assert not result.unscanned


@pytest.mark.parametrize("header", PACKED)
def test_locked_member_among_plain_ones(header):
    first, last = compressed("a.txt", b"text"), compressed("b.doc", docm())
    data = seven_zip(locked("shut"), first, locked("too"), last, packed_header=header)
    result = scan(data)
    assert names(result) >= {"archive-encrypted", "office-macro"}
    assert reasons(result) == {("x/shut", "encrypted"), ("x/too", "encrypted")}
    assert "x/b.doc" in {finding.part for finding in result.findings}
    assert "2 members" in next(item.detail for item in result.findings if item.name == "archive-encrypted")


@pytest.mark.parametrize("coders", [(AES,), (AES, LZMA2)])
def test_locked_header(coders):
    data = seven_zip(locked("a"), packed_header=coders)
    assert read_7z(data).locked
    result = scan(data)
    assert names(result) == {"archive-encrypted"}
    assert reasons(result) == {("x", "encrypted")}


def test_what_a_password_would_need_is_there():
    data = b"stub" + seven_zip(stored("a", b"12345"), locked("b"))
    archive = read_7z(data, 4)
    folder = archive.main.folders[1]
    at, size = archive.main.packed[folder.first]
    assert folder.encrypted
    assert data[at : at + size] == bytes(range(16)) * 8
    assert folder.coders[0].properties == AES[1]
    assert folder.bonds == [(1, 0)]
    assert folder.streams == [0]
    assert folder.sizes == [128, 100]
    assert [(entry.name, entry.size) for entry in folder.files] == [("b", 100)]


@pytest.mark.parametrize("content", [docm(), b"text"])
def test_archive_without_its_lock_opens(content: bytes):
    plain = compressed("b.doc", content)
    shut = seven_zip(stored("a", b"12345"), File("b.doc", plain.packed, plain.size, (AES, LZMA2)))
    archive = read_7z(shut)
    folder = archive.main.folders[1]
    bare = folder.without_coder(0)
    assert (bare.bonds, bare.streams, bare.sizes) == ([], [0], [len(content)])
    # Here "decrypting" changes nothing.
    again = write_7z([(bare, packed_streams(shut, archive.main, folder))])
    [found] = read_7z(again).main.folders
    assert (found.coders, found.sizes, found.files) == (bare.coders, bare.sizes, bare.files)
    result = scan(again)
    assert ("office-macro" in names(result)) == (content != b"text")
    assert not result.unscanned


def test_taking_a_coder_out_of_a_tangle():
    """BCJ2 takes four streams; here two of them come through LZMA and one is encrypted."""
    bcj2, pack = Coder(b"\x03\x03\x01\x1b", b"", 4, 1), Coder(b"\x21", b"\x18")
    lock = Coder(b"\x06\xf1\x07\x01", b"")
    folder = Folder([pack, lock, bcj2], [(2, 0), (3, 1)], [0, 1, 4, 5], 0, [10, 20, 30])
    bare = folder.without_coder(1)
    assert bare == Folder([pack, bcj2], [(1, 0)], [0, 2, 3, 4], 0, [10, 30])


def test_archives_of_libarchive_written_anew():
    members = {"a": b"text" * 50, "empty": b"", "b.doc": docm()}
    data = written("7zip", members)
    streams = read_7z(data).main
    again = write_7z([(folder, packed_streams(data, streams, folder)) for folder in streams.folders])
    with Reader(again, ("7zip",)) as reader:
        found = {entry.name: bytes(reader.extract(1 << 20, lambda: False).data) for entry in reader.entries()}
    assert found == {name: content for name, content in members.items() if content}


def test_wiped_start_hides_nothing():
    data = seven_zip(compressed("b.doc", docm()), start=bytes(24))
    result = scan(data)
    assert names(result) >= {"archive-malformed", "office-macro"}
    assert repaired(seven_zip(stored("a", b"x"))) is None
    assert repaired(MAGIC + bytes(26)) is None


def test_start_that_leads_to_nothing_is_told():
    result = scan(MAGIC + b"\0\4" + bytes(24) + b"some content" * 50)
    assert names(result) == {"archive-malformed"}
    assert reasons(result) == {("x", "malformed")}


def test_archive_without_members_is_sane():
    result = scan(written("7zip", {}))
    assert (result.findings, result.unscanned) == ((), ())


@pytest.mark.parametrize(
    ("size", "told"), [(MAX_DICTIONARY, False), (MAX_DICTIONARY + 1, True), (0xFFFFFFFF, True)]
)
def test_dictionary_that_takes_too_much_memory(size: int, told: bool):
    result = scan(seven_zip(File("a", bytes(50), 1000, (huge(size),))))
    assert (("x", "too-large") in reasons(result)) == told
    header = seven_zip(stored("a", b"x"), packed_header=(COPY, huge(size)))
    assert (("x", "too-large") in reasons(scan(header))) == told


def test_method_of_nobody_is_unsupported():
    result = scan(seven_zip(File("a", bytes(50), 1000, ((b"\x04\xf7\x11\x99", b""),)), stored("b", b"x")))
    assert ("x/a", "unsupported") in reasons(result)


@pytest.mark.parametrize("header", PACKED)
def test_cut_or_changed_anywhere(header):
    data = seven_zip(stored("a", b"some text"), compressed("b", b"other text"), packed_header=header)
    for at in range(len(data)):
        assert at < 6 or reasons(scan(data[:at])), at
        for bit in (1, 0x80):
            changed = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
            scan(changed)
            with contextlib.suppress(SevenZipError):
                read_7z(changed)


DEFLATE64 = (b"\x04\x01\x09", b"")
BCJ = (b"\x03\x03\x01\x03", b"")


def deflated64(name: str, content: bytes, *more: tuple[bytes, bytes]) -> File:
    """By a stream that both forms of deflate read."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15, strategy=zlib.Z_HUFFMAN_ONLY)
    return File(
        name, stream.compress(content) + stream.flush(), len(content), (DEFLATE64, *more), len(content)
    )


def test_deflate64():
    for more in ((), (BCJ,)):
        data = seven_zip(deflated64("a.docm", docm(), *more), stored("b", b"plain"), compressed("c", docm()))
        result = scan_document("x.7z", data)
        assert not result.unscanned
        assert {item.part for item in result.findings} == {"x.7z/a.docm", "x.7z/c"}
        assert result.parts > 3


FILTERS = {
    "delta": (b"\x03", b"\3", {"id": lzma.FILTER_DELTA, "dist": 4}),
    "x86": (b"\x03\x03\x01\x03", b"", {"id": lzma.FILTER_X86}),
    "PowerPC": (b"\x03\x03\x02\x05", b"", {"id": lzma.FILTER_POWERPC}),
    "IA-64": (b"\x03\x03\x04\x01", b"", {"id": lzma.FILTER_IA64}),
    "ARM": (b"\x03\x03\x05\x01", b"", {"id": lzma.FILTER_ARM}),
    "Thumb": (b"\x03\x03\x07\x01", b"", {"id": lzma.FILTER_ARMTHUMB}),
    "SPARC": (b"\x03\x03\x08\x05", b"", {"id": lzma.FILTER_SPARC}),
}


@pytest.mark.parametrize("kind", FILTERS)
@pytest.mark.parametrize("packing", ["", "deflate", "ppmd", "lzma1"])
def test_filters_that_libarchive_does_not_apply(kind: str, packing: str):
    method, properties, choice = FILTERS[kind]
    code = random.Random(kind).randbytes(70_000) + b"\xe8\1\2\0\0\xeb\1\2\3" * 3000
    content = plain_zip({"a": code, "b.doc": docm()})
    content = plain_zip({"a": code + bytes(-(len(content) + 7) % 16), "b.doc": docm()})
    last = {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}
    filtered = lzma.decompress(
        lzma.compress(content, lzma.FORMAT_RAW, filters=[choice, last]), lzma.FORMAT_RAW, filters=[last]
    )
    assert filtered != content
    data = written("7zip", {"a.zip": filtered}, options=f"compression={packing or 'store'}")
    streams = read_7z(data).main
    folder = streams.folders[0]
    whole = replace(
        folder,
        coders=[folder.coders[0], Coder(method, properties)],
        bonds=[(1, 0)],
        sizes=folder.sizes * 2,
        files=[replace(folder.files[0], crc=zlib.crc32(content))],
    )
    packed = packed_streams(data, streams, folder)
    if packing == "lzma1":
        # 7-Zip writes no end marker.
        packed = [packed[0][:-4]]
    result = scan(write_7z([(whole, packed)]))
    assert ("office-macro", "x/a.zip/b.doc") in {(item.name, item.part) for item in result.findings}
    # What is stored also looks like a ZIP behind something else, of which the filter changed the members.
    assert all(item.part == "x/a" or item.part.startswith("x/b.doc") for item in result.unscanned)


def test_a_filter_that_nobody_undoes_is_left_in():
    result = scan(seven_zip(File("a.txt", pe(), len(pe()), [COPY, (b"\x0a", b"")])))
    assert "executable" in names(result)
    assert {item.reason for item in result.unscanned} == {"unsupported"}


def test_a_filter_behind_what_is_cut_or_too_large():
    for method, properties, _choice in FILTERS.values():
        for size in (0, 1, 50, 200):
            result = scan(seven_zip(File("a", b"MZ" + bytes(size), 100, [COPY, (method, properties)], 100)))
            assert "executable" not in names(result)
    options = ScanOptions(member_size=50_000)
    file = File("a", bytes(100_000), 100_000, [COPY, (b"\x03", b"\0")], 100_000)
    result = scan_document("x", seven_zip(file), options)
    assert "too-large" in {item.reason for item in result.unscanned}


def test_deflate64_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inflate64, "MAX_SIZE", 5000)
    monkeypatch.setattr(archive_7z, "MAX_SIZE", 5000)
    for files, told in (
        ([deflated64("a", bytes(5000))], False),
        ([deflated64(n, bytes(3000)) for n in "ab"], True),
    ):
        result = scan_document("x.7z", seven_zip(*files))
        assert ("too-large" in {item.reason for item in result.unscanned}) == told


def test_deflate64_cut_or_changed_anywhere():
    file = deflated64("a.docm", docm())
    for at in range(0, len(file.packed), 29):
        changed = file.packed[:at] + bytes((file.packed[at] ^ 0x55,)) + file.packed[at + 1 :]
        for packed in (file.packed[:at], changed):
            result = scan_document("x.7z", seven_zip(replace(file, packed=packed)))
            assert result.findings or result.unscanned
            assert "failed" not in {item.reason for item in result.unscanned}
