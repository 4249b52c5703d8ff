"""TAR archives that programs read differently, and single compressed files."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile

import pytest

from tests.samples.office import docm
from tests.samples.written import written

from ..scanned import macros, names, scan

TEXT = b"some text\n" * 30


def member(
    name: str, content: bytes, kind: bytes = b"0", size: int | None = None, **changed: object
) -> bytes:
    """One header and its content, which may be of another size than it says."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(content) if size is None else size
    return info.tobuf(tarfile.USTAR_FORMAT) + content.ljust(-(-len(content) // 512) * 512, b"\0")


def pax(**records: str) -> bytes:
    lines = b""
    for key, value in records.items():
        rest = f" {key.replace('_', '.')}={value}\n".encode()
        length = len(rest) + len(str(len(rest) + 2))
        lines += b"%d" % length + rest
    return member("pax", lines, b"x")


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_members_and_their_names(kind: int):
    out = io.BytesIO()
    name = "folder/" * 20 + "b.doc" if kind != tarfile.USTAR_FORMAT else "f" * 90 + "/" + "b.doc"
    with tarfile.open(fileobj=out, mode="w", format=kind) as writer:
        for path, content in (("a.txt", TEXT), (name, docm())):
            info = tarfile.TarInfo(path)
            info.size = len(content)
            writer.addfile(info, io.BytesIO(content))
    result = scan(out.getvalue())
    [place] = macros(result)
    assert place.endswith("b.doc")
    assert names(result) <= {"office-macro", "office-macro-suspicious"}
    assert not result.unscanned


def test_size_that_pax_says_otherwise():
    hidden = member("b.doc", docm())
    # Who believes pax sees one text; who believes the header sees a member within it.
    assert "x/a/b.doc" in macros(scan(pax(size=str(len(hidden))) + member("a", hidden, size=0) + bytes(1024)))
    assert "x/b.doc" in macros(scan(pax(size="0") + member("a", hidden) + bytes(1024)))


@pytest.mark.parametrize("kind", [b"1", b"2", b"5"])
def test_links_and_folders_with_content(kind: bytes):
    hidden = member("b.doc", docm())
    assert "x/b.doc" in macros(scan(member("a", b"", kind, size=len(hidden)) + hidden + bytes(1024)))
    found = macros(scan(member("a", docm(), kind) + member("c", TEXT) + bytes(1024)))
    assert {place.rstrip("/") for place in found} == {"x/a"}


def test_after_the_end_and_after_damage():
    whole = member("a", TEXT) + bytes(1024) + member("b.doc", docm())
    assert "x/b.doc" in macros(scan(whole))
    result = scan(member("a", TEXT) + b"\xff" * 512 + member("b.doc", docm()) + bytes(1024))
    assert names(result) >= {"archive-malformed", "office-macro"}
    assert "malformed" in {item.reason for item in result.unscanned}


def test_sparse_member_is_put_together():
    data = docm()
    first = 512
    # Two pieces with a hole of 512 octets between; the hole falls into no piece of the document.
    out = pax(GNU_sparse_major="1", GNU_sparse_minor="0", GNU_sparse_name="b.bin",
              GNU_sparse_realsize=str(1024 + len(data)))  # fmt: skip
    table = f"2\n0\n{first}\n1024\n{len(data)}\n".encode().ljust(512, b"\0")
    out += member("GNUSparseFile/b.bin", table + bytes(first) + data) + bytes(1024)
    assert macros(scan(out)) >= {"x/b.bin"}


def test_checksum_of_old_programs():
    header = bytearray(member("a\xff\xfe", docm()))
    total = sum(octet - 256 if octet > 127 else octet for octet in header[:148] + header[156:512]) + 256
    header[148:156] = b"%06o\0 " % total
    assert "x/a\ufffd\ufffd" in macros(scan(bytes(header))) or macros(scan(bytes(header)))


def test_cut_anywhere():
    data = member("a", TEXT) + member("b.doc", docm())
    for size in range(512, len(data), 97):
        result = scan(data[:size])
        assert result.unscanned or "office-macro" in names(result), size


def test_text_that_begins_with_a_name_is_none():
    assert scan(b"README" + bytes(506) + TEXT * 20).parts == 1


# Compressed files.


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        ("gz", gzip.compress),
        ("bz2", bz2.compress),
        ("xz", lzma.compress),
        ("lzma", lambda data: lzma.compress(data, lzma.FORMAT_ALONE)),
    ],
)
def test_compressed_files(suffix: str, pack):
    result = scan(pack(docm()), name=f"a.doc.{suffix}")
    assert macros(result) >= {f"a.doc.{suffix}/a.doc"}
    assert not result.unscanned
    if suffix != "lzma":
        twice = scan(pack(TEXT) + bytes(5000) + pack(b"more"))
        assert (twice.parts, twice.unscanned) == (2, ())
        assert {item.reason for item in scan(pack(TEXT) + b"junk").unscanned} == {"malformed"}
    cut = scan(pack(TEXT)[:-3])
    assert {item.reason for item in cut.unscanned} == {"malformed"}


@pytest.mark.parametrize("magic", [b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"BZh91AY&SY"])
def test_signature_and_nothing_behind_it(magic: bytes):
    result = scan(magic + bytes(100))
    assert names(result) == {"archive-malformed"}
    assert {item.reason for item in result.unscanned} == {"malformed"}


def test_octets_that_only_resemble():
    for data in (b"]\0\0 a list in brackets", b"BZh is how it begins", b"\x5d\0\0\1" + b"x" * 50):
        assert (scan(data).findings, scan(data).unscanned) == ((), ())


@pytest.mark.parametrize("size", [1 << 16, 1 << 20])
def test_padding_costs_no_time(size: int):
    assert not scan(gzip.compress(TEXT) + bytes(size) * 8).unscanned


def test_tar_in_all_compressions():
    for kind in ("gzip", "bzip2", "xz", "zstd", "lz4", "lzip", "compress"):
        assert "office-macro" in names(scan(written("pax", {"a": TEXT, "b": docm()}, (kind,)))), kind
