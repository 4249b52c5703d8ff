"""RAR archives of both versions: what the headers say, what comes out, and what they cannot hide."""

from __future__ import annotations

import zlib

import pytest

from contentfilter.containers.rar import RarError, read_rar
from contentfilter.content.scan import ScanOptions
from mailbase.vocabulary import Unscanned
from tests.samples.noise import noise
from tests.samples.office import docm
from tests.samples.rar import MARK4, MARK5, File, block4, block5, number, rar4, rar5

from ..scanned import macros, names, scan

TEXT = b"the quick brown fox\n" * 50
BOTH = pytest.mark.parametrize("make", [rar4, rar5])


@BOTH
@pytest.mark.parametrize("packed", [False, True])
def test_members(make, packed: bool):
    result = scan(make(File("a.txt", TEXT), File("folder/b.txt", docm(), packed=packed)))
    assert macros(result) == {"x/folder/b.txt"}
    assert "archive-malformed" not in names(result)
    assert (result.parts > 3, result.unscanned) == (True, ())


@BOTH
def test_service_records_hold_content_too(make):
    for packed in (False, True):
        result = scan(make(File("a", TEXT), File("STM", docm(), service=True, packed=packed)))
        assert macros(result) == {"x/STM (service)"}
        assert not result.unscanned


@BOTH
def test_what_only_repairs_an_archive_is_no_content(make):
    assert scan(make(File("a", TEXT), File("RR", noise(500), service=True))).parts == 2


@BOTH
def test_locked_member_among_plain_ones(make):
    result = scan(
        make(File("open.doc", docm(), packed=True), File("shut.doc", bytes(64), packed=True, encrypted=True))
    )
    assert names(result) >= {"archive-encrypted", "office-macro"}
    assert macros(result) == {"x/open.doc"}
    assert {(item.part, item.reason) for item in result.unscanned} == {("x/shut.doc", "encrypted")}


@BOTH
def test_locked_headers(make):
    result = scan(make(header_lock=True))
    assert names(result) == {"archive-encrypted"}
    assert {item.reason for item in result.unscanned} == {"encrypted"}


@BOTH
def test_volumes_are_said_to_be_parts(make):
    result = scan(make(File("a.doc", noise(500), part="after"), File("b.doc", docm()), volume=True))
    assert macros(result) == {"x/b.doc"}
    assert {item.reason for item in result.unscanned} == {"unsupported"}


def test_solid_archives_of_version_5():
    members = [File("a", TEXT, packed=True), File("b", docm(), packed=True, solid=True)]
    result = scan(rar5(*members))
    assert (macros(result), result.unscanned) == ({"x/b"}, ())
    # What needs a member that cannot be opened cannot be either.
    locked = [File("a", bytes(64), packed=True, encrypted=True), members[1]]
    result = scan(rar5(*locked))
    assert {(item.part, item.reason) for item in result.unscanned} == {
        ("x/a", "encrypted"),
        ("x/b", "unsupported"),
    }


def test_solid_archives_of_version_4():
    result = scan(rar4(File("a", docm(), packed=True), File("b", TEXT, packed=True, solid=True)))
    assert macros(result) == {"x/a"}
    assert [(item.part, item.reason) for item in result.unscanned] == [("x/b", "unsupported")]


def test_compression_of_old_is_not_guessed():
    result = scan(rar4(File("a", docm()), File("b", TEXT, packed=True), version=20))
    assert macros(result) == {"x/a"}
    assert [(item.part, item.reason) for item in result.unscanned] == [("x/b", "unsupported")]


@BOTH
def test_wrong_content_is_told(make):
    result = scan(make(File("a", TEXT, packed=True, crc=1)))
    assert [(item.part, item.reason) for item in result.unscanned] == [("x/a", "malformed")]


@BOTH
def test_a_header_that_is_odd_hides_nothing_behind_it(make):
    data = bytearray(make(File("first", TEXT), File("second", docm())))
    data[data.index(b"first")] ^= 1
    result = scan(bytes(data))
    assert names(result) >= {"archive-malformed", "office-macro"}


@BOTH
def test_cut_anywhere(make):
    content = bytes(range(64)) * 3
    data = make(File("a", content), File("b", content, packed=True), end=False)
    for size in range(8, len(data)):
        result = scan(data[:size])
        whole = len(read_rar(data[:size], 0, 10).members)
        assert result.unscanned or whole < 2, size
        if whole == 2:
            assert result.unscanned


@BOTH
@pytest.mark.parametrize("limit", [2, 3, 4])
def test_members_are_bounded(make, limit: int):
    result = scan(make(*(File(f"{n}", TEXT) for n in range(3))), ScanOptions(members=limit))
    assert result.parts == 1 + min(limit, 3)
    assert (Unscanned("x", "too-large", f"more than {limit} members") in result.unscanned) == (limit < 3)


@BOTH
@pytest.mark.parametrize("packed", [False, True])
def test_size_is_bounded(make, packed: bool):
    data = make(File("a", TEXT, packed=packed))
    assert not scan(data, ScanOptions(member_size=len(TEXT))).unscanned
    result = scan(data, ScanOptions(member_size=len(TEXT) - 1))
    assert [(item.part, item.reason) for item in result.unscanned] == [("x/a", "too-large")]


@BOTH
def test_behind_a_stub_of_another_kind(make):
    stub = b"MZ" + noise(5000)
    assert macros(scan(stub + make(File("a", docm())))) == {"x/a"}


def test_no_archive():
    with pytest.raises(RarError):
        read_rar(b"Rar! it is not", 0, 10)


@pytest.mark.parametrize(
    "data",
    [
        MARK4 + block4(0x73, 0, bytes(6)) + b"\0\0\x74\0\x80\x07\0" + bytes(50),
        MARK4 + block4(0x74, 0x8000, bytes(3)),
        MARK4 + bytes(50),
        MARK5 + block5(1, 0, number(0)) + block5(2, 0, b""),
        MARK5 + block5(1, 0, number(0)) + block5(2, 0, number(0) * 5 + number(99)),
        MARK5 + b"\0\0\0\0" + b"\xff" * 12,
        MARK5 + block5(1, 0, b"\x80" * 11),
        MARK5,
        MARK4,
    ],
)
def test_nonsense_is_malformed(data: bytes):
    result = scan(data)
    assert names(result) == {"archive-malformed"}
    assert {item.reason for item in result.unscanned} == {"malformed"}


def test_names_of_version_4_in_two_charsets():
    raw = b"plain.txt\0" + bytes([0x04, 0b01_01_01_00]) + bytes([0x30, 0x31, 0x32, 0x2E])
    entry = bytes(8) + b"\x03" + bytes(8) + bytes([29, 0x30, len(raw), 0]) + bytes(4) + raw
    [member] = read_rar(MARK4 + block4(0x73, 0, bytes(6)) + block4(0x74, 0x8200, entry), 0, 10).members
    assert member.name == "\u0430\u0431\u0432."


def test_checksum_of_old_comments_is_not_missed():
    body = bytes(6) + b"a comment of old, within the header"
    head = zlib.crc32(b"\x73\x02\0\x0d\0" + bytes(6)) & 0xFFFF
    block = head.to_bytes(2, "little") + block4(0x73, 2, body)[2:]
    assert not read_rar(MARK4 + block, 0, 10).problem


def test_blocks_that_are_no_files_are_bounded():
    for start, block in ((MARK5, block5(9, 0, b"")), (MARK4, block4(0x75, 0, b""))):
        assert not read_rar(start + block * 10_000, 0, 100).truncated
        assert read_rar(start + block * 10_001, 0, 100).truncated
    result = scan(MARK5 + block5(1, 0, number(0)) + block5(9, 0, b"") * 10_001)
    assert "too-large" in names(result)
