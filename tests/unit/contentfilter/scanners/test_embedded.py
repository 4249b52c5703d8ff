"""Archives behind something else, as 7-Zip and cabextract find them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
import time
import zlib
from collections.abc import Callable

import pytest

from contentfilter.containers.embedded import MAX_EACH, embedded
from contentfilter.containers.formats import STUB, find_formats
from tests.samples.cabinets import arj, cab, lha
from tests.samples.noise import noise
from tests.samples.office import MACRO, doc, docm
from tests.samples.rar import File, rar5
from tests.samples.written import compressed, written

from ..scanned import scan, scanned

DOCUMENT = doc(MACRO)
MEMBERS = {"notes.txt": b"text", "a.doc": DOCUMENT}


def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in MEMBERS.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


ARCHIVES = {
    "gzip": gzip.compress(DOCUMENT),
    "bzip2": bz2.compress(DOCUMENT),
    "xz": lzma.compress(DOCUMENT),
    "Zstandard": compressed("zstd", DOCUMENT),
    "LHA": lha(MEMBERS),
    "ARJ": arj(MEMBERS),
    "cpio": written("cpio_newc", MEMBERS),
    "cpio, old": written("cpio_odc", MEMBERS),
    "XAR": written("xar", MEMBERS),
    "TAR": tar(),
    "ISO": written("iso9660", MEMBERS),
    "7z": written("7zip", MEMBERS),
    "CAB": cab(MEMBERS, 1),
    "RAR 5": rar5(File("a.doc", DOCUMENT)),
}
FRONTS = {
    "text": b"a letter\r\n" * 600,
    "picture": b"\xff\xd8\xff\xe0" + noise(9000),
    "PDF": b"%PDF-1.4\n" * 900,
}


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("kind", ARCHIVES)
def test_archives_behind_something_else(kind: str, front: str):
    assert "office-macro" in scanned(FRONTS[front] + ARCHIVES[kind])[0]


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "Zstandard"])
def test_what_stands_behind_it_is_no_damage(kind: str):
    names, reasons = scanned(b"x" * 500 + ARCHIVES[kind] + b"and more" * 100)
    assert "office-macro" in names
    assert not reasons


@pytest.mark.parametrize("content", [b"a short text", noise(20_000)], ids=["short", "long"])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_what_is_damaged_is_told(pack: Callable[[bytes], bytes], content: bytes):
    whole = pack(content)
    for at in (len(whole) // 2, len(whole) - 7):
        packed = whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]
        assert scanned(b"x" * 500 + packed)[1] == {"malformed"}, at


def test_what_is_not_opened_is_told():
    wim = b"MSWIM\0\0\0\xd0\0\0\0" + bytes(300)
    assert scanned(b"x" * 500 + wim) == (set(), {"unsupported"})


SIGNATURES = {"7z": b"7z\xbc\xaf\x27\x1c", "RAR 5": b"Rar!\x1a\x07\x01\0", "CAB": b"MSCF\0\0\0\0"}


@pytest.mark.parametrize("kind", SIGNATURES)
def test_signatures_that_lead_nowhere_hide_no_archive(kind: str):
    for count in (1, 4, 5, 1000):
        data = b"x" * 5000 + (SIGNATURES[kind] + b"z" * 16) * count + ARCHIVES[kind]
        assert "office-macro" in scanned(data)[0], count


def test_more_signatures_than_are_tried_are_no_pass():
    started = time.process_time()
    for magic in (
        b"7z\xbc\xaf\x27\x1c",
        b"Rar!\x1a\x07\x01\0",
        b"MSCF",
        b"\x1f\x8b\x08",
        b"xustar",
        b"-lh5-",
    ):
        names, reasons = scanned(b"x" + magic * 300_000)
        assert names or reasons, magic
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    "octets", [{4: 1}, {12: 1}, {20: 1}, {24: 9}, {25: 0}, {25: 2}, {4: 1, 12: 7, 20: 9, 24: 0}]
)
def test_fields_of_a_cabinet_that_cabextract_does_not_look_at(octets: dict[int, int]):
    cabinet = bytearray(ARCHIVES["CAB"])
    for at, octet in octets.items():
        cabinet[at] = octet
    for front in (b"", b"x" * 5000):
        assert "office-macro" in scanned(front + bytes(cabinet))[0]


@pytest.mark.parametrize("where", [0, 44, 99, 0xFFFFFFFF])
def test_list_of_files_behind_the_folders_wherever_the_header_says(where: int):
    cabinet = bytearray(ARCHIVES["CAB"])
    cabinet[16:20] = where.to_bytes(4, "little")
    for front in (b"", b"x" * 5000):
        assert "office-macro" in scanned(front + bytes(cabinet))[0]


def test_words_that_begin_like_a_cabinet():
    assert scanned(b"MSCF is how a cabinet begins. " * 20) == (set(), set())
    assert scanned(b"MSCF" + b"\1" * 200) == (set(), set())


def test_main_header_of_rar_whose_size_takes_two_octets():
    whole = ARCHIVES["RAR 5"]
    size = whole[12]
    # The archive's own name, in the extra area that RAR 7 writes.
    extra = bytes([150 & 0x7F | 0x80, 1, 2]) + bytes(149)
    body = (
        bytes([whole[13], whole[14] | 1])
        + bytes([len(extra) & 0x7F | 0x80, len(extra) >> 7])
        + whole[15 : 13 + size]
    )
    header = bytes([len(body + extra) & 0x7F | 0x80, len(body + extra) >> 7]) + body + extra
    longer = whole[:8] + zlib.crc32(header).to_bytes(4, "little") + header + whole[13 + size :]
    located = list(find_formats(b"x" * 5000 + longer))
    assert [(item.format.kind, item.start) for item in located] == [("RAR 5", 5000)]


def test_archives_are_not_looked_for_in_archives():
    members = {f"{number}.gz": ARCHIVES["gzip"] for number in range(3)}
    result = scan(written("ustar", members))
    assert {finding.part for finding in result.findings} == {f"x/{name}/{name[:-3]}" for name in members}


def test_honest_data_hold_none():
    random_data = random.Random(7).randbytes(2 << 20)
    numbers = (60_000).to_bytes(4, "little") * 100_000 + (60_000).to_bytes(2, "little") * 100_000
    text = b"ustar, 070701, BZh9, -lh5-, xar!, MSWIM, CD001 are what archives begin with.\r\n" * 300
    for data in (random_data, numbers, text, b"\x28\xb5\x2f\xfd" * 200 + b"x"):
        assert list(embedded(b"x" + data)) == []


def test_bounds():
    assert len(list(embedded(b"x" + ARCHIVES["gzip"] * 50))) == MAX_EACH
    at_bound = bytes(STUB - 3) + ARCHIVES["gzip"]
    assert [at for _kind, at in embedded(at_bound)] == [STUB - 3]
    assert list(embedded(b"x" + at_bound)) == []


def test_damaged_archives_are_no_silent_pass():
    for kind in ("gzip", "bzip2", "xz", "Zstandard"):
        whole = gzip.compress(docm()) if kind == "gzip" else ARCHIVES[kind]
        names, reasons = scanned(b"x" * 500 + whole[:-5])
        assert names or reasons, kind
