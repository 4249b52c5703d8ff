"""The ZIP reader on archives that are honest, damaged, or lie to one of their readers."""

from __future__ import annotations

import bz2
import io
import lzma
import struct
import time
import zipfile
import zlib
from dataclasses import replace

import pytest

from contentfilter.containers.ziparchive import ZipArchive
from contentfilter.content.scan import scan_document
from tests.samples.archives import DEFLATED, STORED, Item, archive, deflated, item, plain_zip
from tests.samples.written import compressed

from .zips import LIMIT, SECRET, contents, directory_of, lying, opened, problems


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_archives_of_the_standard_library(method: int):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as writer:
        writer.writestr("a/b.txt", SECRET)
        writer.writestr("ä.txt", b"x" * 100_000)
    found = opened(out.getvalue())
    assert [member.text_name for member in found.members] == ["a/b.txt", "ä.txt"]
    assert contents(found) == {SECRET, b"x" * 100_000}
    assert found.problems == []


def test_streamed_archive_with_descriptors_is_sane():
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.data += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as writer:  # type: ignore[arg-type]
        writer.writestr("a", SECRET)
        writer.writestr("b", SECRET * 2)
    found = opened(pipe.data)
    assert contents(found) == {SECRET, SECRET * 2}
    assert found.problems == []


def test_wide_sizes_are_read():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as writer, writer.open("a", "w", force_zip64=True) as member:
        member.write(SECRET)
    found = opened(out.getvalue())
    assert contents(found) == {SECRET}
    assert found.problems == []


def test_empty_archive_and_no_archive():
    assert opened(archive([])).members == []
    assert ZipArchive.find(b"just text that mentions PK\x03\x04 once", 10) is None
    assert ZipArchive.find(b"", 10) is None


def test_data_in_front_and_behind_shifts_nothing():
    data = b"MZ" + bytes(5000) + archive([item(b"a", SECRET)]) + b"trailing" * 100
    found = opened(data)
    assert contents(found) == {SECRET}
    assert found.problems == []


def test_offsets_that_count_the_data_in_front():
    members = [item(b"a", SECRET)]
    whole = archive(members, prefix=b"#!/bin/sh\n" * 10)
    # The same with offsets from the start of the file, as some tools write them.
    body_at = whole.index(b"PK\x01\x02")
    whole = whole[: body_at + 42] + struct.pack("<I", 100) + whole[body_at + 46 :]
    whole = whole[:-6] + struct.pack("<I", body_at) + whole[-2:]
    assert contents(opened(whole)) == {SECRET}


def test_long_comment():
    found = opened(archive([item(b"a", SECRET)], comment=b"c" * 65535))
    assert contents(found) == {SECRET}
    assert found.problems == []


def test_end_record_in_the_comment_hides_nothing():
    empty = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0, 0, 0, 0, 0)
    assert contents(opened(archive([item(b"a", SECRET)], comment=empty))) == {SECRET}


def test_stored_archive_inside_is_no_second_end_record():
    inner = plain_zip({"x": b"y"})
    found = opened(archive([item(b"inner.zip", inner, STORED)]))
    assert contents(found) == {inner}
    assert found.problems == []


def test_two_archives_one_after_the_other_are_both_read():
    found = opened(archive([item(b"a", SECRET)]) + archive([item(b"b", b"other")]))
    assert contents(found) == {SECRET, b"other"}
    assert found.problems


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (lying(name=b"b.exe"), "two names"),
        (lying(method=STORED), "two methods"),
        (lying(flags=1), "encrypted or not"),
        (lying(packed=5), "two sizes"),
        (
            archive([item(b"seen", b"x"), Item(item(b"a", SECRET).local, None, deflated(SECRET))]),
            "not in the central",
        ),
        (
            archive([Item(item(b"a", SECRET).local, None, deflated(SECRET)), item(b"seen", b"x")]),
            "not in the central",
        ),
        (archive([item(b"a", SECRET)])[:-22], "no end record"),
        (archive([item(b"a", SECRET)]).replace(b"PK\x01\x02", b"XX\x01\x02"), "no central directory"),
        (archive([item(b"a", SECRET, STORED, packed=20)]), "called stored"),
        (archive([item(b"a", SECRET, packed=8)]), "longer than it claims"),
        (archive([item(b"a", SECRET)] * 3).replace(b"\3\0\3\0", b"\1\0\1\0"), "not the members"),
    ],
)
def test_disagreement_is_told_and_nothing_is_hidden(data: bytes, problem: str):
    if problem == "called stored":
        data = archive([replace(item(b"a", SECRET), local=None, central=None)])
        packed = deflated(SECRET)
        entry = item(b"a", SECRET, STORED, packed=len(packed)).local
        data = archive([Item(entry, entry, packed)])
    found = opened(data)
    assert SECRET in contents(found)
    assert problem in problems(found)


@pytest.mark.parametrize(("local", "central"), [(0, 1), (1, 0)])
def test_member_encrypted_in_one_header_alone_counts_as_encrypted_and_is_still_read(local: int, central: int):
    honest = item(b"a.txt", SECRET)
    assert honest.central is not None
    entries = replace(honest.central, flags=local), replace(honest.central, flags=central)
    found = opened(archive([Item(*entries, honest.data)]))
    assert [member.encrypted for member in found.members] == [True]
    assert contents(found) == {SECRET}


@pytest.mark.parametrize(
    ("flags", "method", "encrypted"),
    [(0, DEFLATED, False), (1, DEFLATED, True), (0, 99, True), (0x2000, 8, True)],
)
def test_encryption_flags(flags: int, method: int, encrypted: bool):
    found = opened(archive([item(b"a", SECRET, flags=flags, method=method)]))
    assert [member.encrypted for member in found.members] == [encrypted]


def test_called_compressed_and_is_not():
    entry = item(b"a", SECRET, DEFLATED, packed=len(SECRET)).local
    assert SECRET in contents(opened(archive([Item(entry, entry, SECRET)])))


@pytest.mark.parametrize("method", [1, 6, 97, 200])
def test_methods_that_are_not_known_are_told(method: int):
    found = opened(archive([item(b"a", SECRET, method=method, crc=1)]))
    [result] = found.expand(found.members[0], LIMIT)
    assert result.problem == "unsupported"


@pytest.mark.parametrize("method", [1, 12, 14, 93, 95, 98, 200])
@pytest.mark.parametrize("packed", [deflated(SECRET), SECRET])
def test_a_method_that_is_none_hides_nothing(method: int, packed: bytes):
    entry = item(b"a", SECRET, method=method, packed=len(packed)).local
    found = opened(archive([Item(entry, entry, packed)]))
    assert contents(found) == {SECRET}
    assert f"not packed by method {method}" in problems(found)


def test_compressed_and_called_stored_with_the_sizes_of_stored():
    packed = deflated(SECRET)
    entry = item(b"a", SECRET, STORED, packed=len(packed), size=len(packed)).local
    found = opened(archive([Item(entry, entry, packed)]))
    assert SECRET in contents(found)
    assert "called stored" in problems(found)


def test_packed_by_what_python_has_no_library_for():
    packed = compressed("zstd", SECRET)
    entry = item(b"a", SECRET, method=93, packed=len(packed)).local
    found = opened(archive([Item(entry, entry, packed)]))
    assert contents(found) == {SECRET}
    assert found.problems == []


@pytest.mark.parametrize(("method", "pack"), [(12, bz2.compress), (95, lzma.compress), (8, deflated)])
def test_limit_of_a_member(method: int, pack):
    packed = pack(bytes(100_000))
    entry = item(b"a", b"", method=method, packed=len(packed), size=100_000).local
    found = opened(archive([Item(entry, entry, packed)]))
    [exact] = found.expand(found.members[0], 100_000)
    assert (len(exact.data), exact.problem) == (100_000, "")
    [short] = found.expand(found.members[0], 99_999)
    assert (len(short.data), short.problem) == (99_999, "too-large")
    [none] = found.expand(found.members[0], 0)
    assert (len(none.data), none.problem) == (0, "too-large")


def test_damaged_member_gives_what_came_before_the_damage():
    content = bytes(range(256)) * 2000
    packed = deflated(content)
    broken = packed[: len(packed) // 2] + b"\xff" * (len(packed) - len(packed) // 2)
    entry = item(b"a", b"", packed=len(broken), size=len(content)).local
    found = opened(archive([Item(entry, entry, broken)]))
    [result] = found.expand(found.members[0], LIMIT)
    assert result.problem == "malformed"
    assert len(result.data) > 1000
    assert content.startswith(bytes(result.data)[:1000])


@pytest.mark.parametrize("limit", [9, 10, 11])
def test_members_are_bounded(limit: int):
    found = opened(archive([item(b"%d" % n, b"x") for n in range(10)]), limit)
    assert len(found.members) == min(limit, 10)
    assert found.truncated == (limit < 10)


def test_half_of_an_archive_still_gives_its_members():
    data = archive([item(b"a", SECRET), item(b"b", SECRET * 2)])
    assert contents(opened(data[: data.index(b"PK\x01\x02")])) == {SECRET, SECRET * 2}


def test_pieces_of_archives_in_other_formats_are_no_archive():
    whole = archive([item(b"a", SECRET)])
    assert ZipArchive.find(b"%PDF-1.4\n" + whole[:-30], 10) is None
    assert contents(opened(b"%PDF-1.4\n" + whole)) == {SECRET}


def first_entry(name: bytes) -> bytes:
    return archive([item(name, b"x"), item(b"a", SECRET)])


@pytest.mark.parametrize(
    "front", [b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF....WEBP", b"%PDF-1.4\n"]
)
@pytest.mark.parametrize(
    "data",
    [
        first_entry(b"\x1fg"),
        first_entry(b""),
        # It leads nowhere.
        first_entry(b"g").replace(b"PK\x03\x04", b"PK\0\0", 1),
        first_entry(b"a") + archive([]) * 40,
    ],
    ids=["control character", "no name", "ghost", "many ends"],
)
def test_what_programs_pass_over_hides_no_archive_in_other_formats(front: bytes, data: bytes):
    assert SECRET in contents(opened(front + data))


def test_directories_built_to_exhaust():
    """Each end record leads to many entries, and each of those nowhere: it is soon taken for an archive."""
    ghosts = directory_of(first_entry(b"g")) * 500
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1000, 1000, len(ghosts), 6, 0)
    started = time.process_time()
    assert ZipArchive.find(b"GIF89a" + ghosts + end * 1000, 10) is not None
    assert time.process_time() - started < 1.0


def test_cut_at_every_octet():
    data = archive([item(b"a", SECRET), item(b"b", b"x", STORED)], comment=b"hi")
    for size in range(len(data)):
        if (found := ZipArchive.find(data[:size], 10)) is not None:
            contents(found)
            if size >= data.index(b"PK\x01\x02"):
                assert contents(found) == {SECRET, b"x"}


def test_signatures_in_front_that_are_none_hide_nothing():
    lone = Item(item(b"a", SECRET).local, None, deflated(SECRET))
    data = b"x" + b"PK\x03\x04\xff\xff" * 20 + archive([lone])[:-22]
    assert contents(opened(data)) == {SECRET}


def test_damaged_data_is_not_taken_for_content():
    entry = item(b"a", b"", packed=300, size=9000, crc=5).local
    found = opened(archive([Item(entry, entry, b"\xff" * 300)]))
    assert contents(found) == set()


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_content_that_is_not_what_its_checksum_says(method: int):
    """A damaged member that unpacks all the same, as most octets of a stored one do."""
    whole = plain_zip({"word/document.xml": bytes(range(256)) * 9}, method)
    crc = zlib.crc32(bytes(range(256)) * 9).to_bytes(4, "little")
    assert whole.count(crc) == 2
    changed = scan_document("a.docx", whole.replace(crc, b"\1\2\3\4"))
    assert [(item.reason, item.detail) for item in changed.unscanned] == [
        ("malformed", "ZIP member, wrong checksum")
    ]
    assert not scan_document("a.docx", whole).unscanned
    # A checksum that nobody filled in says nothing.
    assert not scan_document("a.docx", whole.replace(crc, bytes(4))).unscanned
