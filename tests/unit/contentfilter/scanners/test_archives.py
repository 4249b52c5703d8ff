"""Archives other than ZIP, from the signature to the members."""

from __future__ import annotations

import zlib

import pytest

from contentfilter.containers.arj import read_arj, unpack
from contentfilter.containers.formats import find_formats
from contentfilter.containers.zstandard import frames_end
from contentfilter.content.limits import Budget
from contentfilter.content.part import Context, Part
from contentfilter.content.scan import ScanOptions, scan_document
from contentfilter.scanners.archives import Archives
from mailbase.vocabulary import Unscanned
from tests.samples.cabinets import arj, lha
from tests.samples.noise import noise
from tests.samples.office import docm
from tests.samples.written import compressed, written

from ..scanned import scan, scanned

PROGRAM = b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0" + bytes(200)


ARCHIVES = {
    "7z": written("7zip", {"a/b.doc": docm(), "c.txt": b"text"}),
    "ISO": written("iso9660", {"a/b.doc": docm(), "c.txt": b"text"}),
    "cpio": written("cpio_newc", {"a/b.doc": docm(), "c.txt": b"text"}),
    "cpio odc": written("cpio_odc", {"a/b.doc": docm(), "c.txt": b"text"}),
    "cpio binary": written("cpio_bin", {"a/b.doc": docm(), "c.txt": b"text"}),
    "XAR": written("xar", {"a/b.doc": docm(), "c.txt": b"text"}),
    "ar": written("ar_svr4", {"b.doc": docm(), "c.txt": b"text"}),
    "ar BSD": written("ar_bsd", {"b.doc": docm(), "c.txt": b"text"}),
    "LHA": lha({"a/b.doc": docm(), "c.txt": b"text"}),
    "ARJ": arj({"a/b.doc": docm(), "c.txt": b"text"}),
}


@pytest.mark.parametrize("charset", ["cp932", "euc-jp", "utf-8", "cp1252"])
def test_names_in_any_charset_keep_lha_readable(charset: str):
    name = "müll.txt" if charset == "cp1252" else "報告.txt"
    result = scan(lha({name: b"text", "x" + name[:2] + ".js": b"WScript.Echo(1)"}, charset=charset))
    assert {finding.name for finding in result.findings} == {"executable"}
    assert not result.unscanned


@pytest.mark.parametrize("kind", ARCHIVES)
def test_members_are_scanned(kind: str):
    result = scan(ARCHIVES[kind])
    assert "office-macro" in {finding.name for finding in result.findings}
    assert any(finding.part.endswith("b.doc") for finding in result.findings)
    assert not result.unscanned


@pytest.mark.parametrize("kind", ["zstd", "lz4", "lzip", "compress"])
def test_compressed_files_are_opened(kind: str):
    result = scan_document("a.doc.z", compressed(kind, docm()))
    assert "office-macro" in {finding.name for finding in result.findings}
    assert "a.doc.z/a.doc" in {finding.part for finding in result.findings}


@pytest.mark.parametrize("kind", ["zstd", "lz4", "lzip"])
@pytest.mark.parametrize("behind", [b"\n", bytes(100), b"the list\r\n", b"\x28\xb5\x2f", b"\x28\xb5\x2f\xfd"])
def test_octets_behind_a_compressed_file_hide_nothing(kind: str, behind: bytes):
    result = scan(compressed(kind, docm()) + behind)
    assert "office-macro" in {finding.name for finding in result.findings}


def test_where_zstandard_ends():
    raw, repeated = b"\x19\0\0abc", b"\x1b\0\0x"
    one = b"\x28\xb5\x2f\xfd\x20\x06" + b"\x18\0\0abc" + repeated
    checked = b"\x28\xb5\x2f\xfd\x04\x58" + raw + b"sum!"
    skipped = b"\x50\x2a\x4d\x18\x03\0\0\0abc"
    whole = one + skipped + checked
    assert frames_end(whole, 0) == len(whole)
    assert frames_end(whole + b"more", 0) == len(whole)
    assert frames_end(b"front" + whole + b"more", 5) == 5 + len(whole)
    for size in range(len(whole)):
        places = [at for at in (len(one), len(one + skipped), size) if at <= size]
        assert frames_end(whole[:size], 0) in places
    assert frames_end(b"none", 0) == 4
    blocks = b"\x28\xb5\x2f\xfd\x20\x06" + bytes(3) * 200_000
    assert frames_end(blocks, 0) <= len(blocks)


@pytest.mark.parametrize("kind", ["zstd", "lz4", "lzip"])
def test_compressed_bombs(kind: str):
    data = compressed(kind, bytes(20 << 20))
    names, reasons = scanned(data, ScanOptions(member_size=17 << 20))
    assert names == {"archive-bomb", "too-large"} if kind != "lz4" else {"too-large"}
    assert reasons == {"too-large"}


@pytest.mark.parametrize("kind", ["zstd", "lz4", "lzip"])
def test_all_that_follow_one_another_count(kind: str):
    frames = compressed(kind, b"text") + compressed(kind, b"more" * 500)
    if kind != "lzip":
        frames = b"\x50\x2a\x4d\x18\x04\0\0\0skip" + frames
    assert {bytes(part.data) for part in handed_out(frames)} == {b"text" + b"more" * 500}


def handed_out(data: bytes) -> list[Part]:
    part = Part("x", data)
    return [
        item for item in Archives().scan(part, Context(part, Budget(ScanOptions()))) if isinstance(item, Part)
    ]


def test_octets_that_only_resemble_compress():
    assert scanned(b"\x1f\x9d\x00 and so on" * 20) == (set(), set())
    assert scanned(b"\x1f\x9d\xff and so on" * 20) == (set(), set())
    assert scanned(b"\x50\x2a\x4d\x18" + bytes(50))[1] == {"malformed"}


def test_archive_in_a_compressed_archive():
    assert "office-macro" in scanned(written("pax", {"a": docm()}, ("zstd",)))[0]


@pytest.mark.parametrize("kind", ["7z", "ISO"])
def test_archive_behind_something_else(kind: str):
    front = PROGRAM if kind == "7z" else b""
    assert "office-macro" in scanned(front + ARCHIVES[kind])[0]


def test_signature_alone_behind_something_else_is_none():
    # The second is of an archive header of RAR 4, without a size.
    behind = (noise(5), b"\x12\x34\x73\0\0", b"\x01" * 5, b"\xff" * 5)
    for magic in (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07\0", b"Rar!\x1a\x07\x01\0", b"MSCF\0\0\0\0"):
        for octets in behind:
            assert scanned(b"a list of signatures: " + magic + octets + bytes(200)) == (set(), set())


@pytest.mark.parametrize(
    "magic",
    [b"Rar!\x1a\x07\0", b"Rar!\x1a\x07\x01\0", b"MSCF\0\0\0\0", b"xar!", b"LZIP\x01"],
)
def test_signature_and_nothing_behind_it_is_told(magic: bytes):
    names, reasons = scanned(magic + bytes(200))
    assert reasons == {"malformed"}
    assert names == {"archive-malformed"}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_cut_archives_are_no_silent_pass(kind: str):
    data = ARCHIVES[kind]
    for size in range(
        data.index(b"PK\x03\x04") + 10 if b"PK\x03\x04" in data else len(data) // 2, len(data) - 800, 997
    ):
        names, reasons = scanned(data[:size])
        assert reasons or "office-macro" in names, size


@pytest.mark.parametrize("limit", [2, 3, 4])
def test_members_are_bounded(limit: int):
    data = written("7zip", {f"{n}": b"%d" % n for n in range(3)})
    result = scan(data, ScanOptions(members=limit))
    assert result.parts == 1 + min(limit, 3)
    assert (Unscanned("x", "too-large", f"more than {limit} members") in result.unscanned) == (limit < 3)


# ARJ.

INVOICES = b"Invoices are due in thirty days, and invoices are paid in thirty days.\n" * 3
PACKED = bytes.fromhex(
    "002e4b6e912c6577007ac31c06700fe1df23d47c200b27e39351a0e350800008"
    "ae63caaa3e035dc1edc2819e95f320b4e370d07d8fe12cc8fe2f1b6b18"
)
"""That text as ARJ 3.10 packs it by its method 1."""


def test_what_arj_compresses():
    data = arj({"a": PACKED}, 1, size=len(INVOICES), crc=zlib.crc32(INVOICES))
    [member] = read_arj(data, 10).members
    result = unpack(data, member, 1 << 20, lambda: False)
    assert (bytes(result.data), result.problem) == (INVOICES, "")
    assert unpack(data, member, len(INVOICES) - 1, lambda: False).problem == "too-large"
    assert not scan(data).unscanned
    assert scanned(arj({"a": PACKED}, 1, size=len(INVOICES), crc=1)) == (set(), {"malformed"})


@pytest.mark.parametrize(
    ("method", "flags", "names", "reasons"),
    [
        (4, 0, set(), {"unsupported"}),
        (0, 1, {"archive-encrypted"}, {"encrypted"}),
        (0, 4, set(), {"unsupported"}),
        (0, 8, set(), {"unsupported"}),
    ],
)
def test_arj_that_is_locked_split_or_fast(method: int, flags: int, names: set[str], reasons: set[str]):
    assert scanned(arj({"a": b"text"}, method, flags)) == (names, reasons)


def test_arj_cut_and_changed():
    data = arj({"a": b"some text", "b": b"more"})
    for size in range(12, len(data)):
        assert scan(data[:size]).unscanned, size
    for at in range(2, len(data)):
        scan(data[:at] + b"\xff" + data[at + 1 :])
    assert scanned(b"`\xea is how this text begins" * 3) == (set(), set())


# What nothing opens.


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 7 + b"**ACE**",
        b"MSWIM\0\0\0",
        b"SIT!",
        b"ZOO 2.10 Archive.\x1a\0\0\xdc\xa7\xc4\xfd",
        bytes(2048) + b"conectix" + bytes(504),
        b"vhdxfile",
        b"7kSt\xa01\x83\xd3\x8c\xb2\x28\xb0\xd3zPQ\2\1",
        b"ALZ\1\n\0\0\0BLZ\1",
        b"EGGA\0\1",
        b"ArC\1\0\0\6\7",
        b"BZ3v1\0\0\0\1",
        b"DMS! PRO",
        b"\x1a\2t.txt\0\0\0\0\0\0\0\0\4\0\0\0" + bytes(10) + b"data\x1a\0",
        b"SZDD\x88\xf0'3A",
        b"DAA" + bytes(100),
        b"IsZ!" + bytes(100),
        b"x" * 3000 + b"bbis" + bytes(60),
        PROGRAM + b"\xef\xbe\xad\xdeNullsoftInst" + bytes(100),
    ],
)
def test_what_nothing_opens_is_told(data: bytes):
    names, reasons = scanned(data)
    assert reasons == {"unsupported"}
    assert names <= {"executable", "disk-image"}


@pytest.mark.parametrize("name", ["a.7z.002", "a.zip.014", "a.tar.gz.003", "a.ISO.001", "a.z01", "a.Z12"])
def test_a_piece_of_a_split_archive_is_told_by_its_name(name: str):
    assert [item.reason for item in scan_document(name, bytes(range(256))).unscanned] == ["unsupported"]


@pytest.mark.parametrize("name", ["a.002", "a.2026.001", "a.z1", "z01", "a.zip.2026", "a.doc.001", "a.7z"])
def test_names_that_only_resemble_one_of_a_split_archive(name: str):
    assert not scan_document(name, bytes(range(256))).unscanned


SKIPPED = b"\x52\x2a\x4d\x18\x04\0\0\0abcd"
"""A frame of Zstandard without content."""


@pytest.mark.parametrize(
    ("data", "starts"),
    [
        (SKIPPED, []),
        (SKIPPED + b"x", [12]),
        (SKIPPED[:-1], [0]),
        (b"\x52\x2a\x4d\x18\xff\xff\xff\xff", [0]),
    ],
    ids=["nothing but that", "something behind", "cut off", "cut off by far"],
)
def test_an_archive_lies_within_the_data_it_is_found_in(data: bytes, starts: list[int]):
    assert [located.start for located in find_formats(data)] == starts


def test_a_frame_that_is_cut_off_is_no_silent_pass():
    result = scan_document("x", SKIPPED[:-1])
    assert [finding.name for finding in result.findings] == ["archive-malformed"]
