"""Images of discs: each tree of names is gone through, and what is in several is handed out once."""

from __future__ import annotations

import pytest

from contentfilter.containers.iso9660 import plain
from contentfilter.containers.udf import Udf, UdfError, find_udf
from contentfilter.content.scan import ScanOptions
from tests.samples.discs import SECTOR, udf
from tests.samples.noise import noise
from tests.samples.office import docm
from tests.samples.written import written

from ..scanned import macros, scan

SHAPES = pytest.mark.parametrize(
    "shape", [{}, {"extended": True}, {"long": True}, {"long": True, "metadata": True}], ids=str
)
MEMBERS = {"a.txt": b"text" * 1000, "folder/b.bin": noise(10_000), "empty": b""}


@SHAPES
def test_files_of_udf(shape: dict[str, bool]):
    image = Udf.open(udf(MEMBERS, **shape))
    assert {file.name: bytes(image.content(file, 1 << 20)) for file in image.files(10)} == MEMBERS
    assert image.problems == []


@SHAPES
def test_what_is_in_them(shape: dict[str, bool]):
    result = scan(udf({"readme": b"text", "invoice/b.doc": docm()}, **shape))
    assert macros(result) == {"x/invoice/b.doc"}
    assert not result.unscanned


def test_both_file_systems_count():
    shown = written("iso9660", {"harmless.txt": b"text" * 500})
    result = scan(udf({"b.doc": docm()}, front=shown))
    assert macros(result) == {"x/b.doc"}
    assert result.parts > 2
    hidden = written("iso9660", {"b.doc": docm()})
    assert macros(scan(udf({"harmless.txt": b"text"}, front=hidden))) == {"x/b.doc"}


def test_what_is_in_each_tree_of_names_is_scanned_once():
    content = {"one.txt": noise(5000), "two.txt": noise(5000, seed=2)}
    assert scan(written("iso9660", content)).parts == 3
    assert scan(udf(content, front=written("iso9660", content))).parts == 3


def test_names_of_joliet_alone_hide_nothing():
    """The tree of Joliet is made empty, as a program that prefers it would show the disc."""
    data = bytearray(written("iso9660", {"b.doc": docm()}, options="iso9660:!rockridge"))
    at = data.index(b"CD001", 17 * SECTOR) - 1
    assert data[at] == 2
    root = int.from_bytes(data[at + 158 : at + 162], "little") * SECTOR
    data[root + 68 : root + SECTOR] = bytes(SECTOR - 68)
    assert macros(scan(bytes(data))) != set()


@pytest.mark.parametrize("tree", ["plain", "Joliet"])
def test_a_script_is_one_under_any_of_its_names(tree: str):
    script = b'new ActiveXObject("WScript.Shell").Run("calc")'
    data = written("iso9660", {"a.js": script}, options="iso9660:!rockridge")
    name = "A.JS" if tree == "plain" else "a.js".encode("utf-16-be").decode("latin-1")
    assert data.count(name.encode("latin-1")) == 1
    hidden = data.replace(name.encode("latin-1"), name.replace("S", "X").replace("s", "x").encode("latin-1"))
    assert "executable" in {finding.name for finding in scan(hidden).findings}


FIELDS = {
    "unused, first": (16, 7, b"\1"),
    "unused, second": (16, 79, b"\1"),
    "unused, third": (16, 100, b"\1"),
    "reserved": (16, 1500, b"\1"),
    "reserved, Joliet": (17, 1500, b"\1"),
    "end": (18, 900, b"\1"),
    "size, nothing": (16, 80, bytes(8)),
    "size, too little": (16, 80, b"\x19" + bytes(7)),
    "size, too much": (16, 80, b"\xff" * 8),
    "path table": (16, 140, b"\xff" * 4),
    "other path table": (16, 148, b"\xff" * 4),
    "version of structure": (16, 881, b"\0"),
}


@pytest.mark.parametrize(("sector", "at", "octets"), FIELDS.values(), ids=FIELDS.keys())
def test_fields_that_programs_pass_over(sector: int, at: int, octets: bytes):
    data = bytearray(written("iso9660", {"b.doc": docm()}))
    data[sector * SECTOR + at : sector * SECTOR + at + len(octets)] = octets
    result = scan(bytes(data))
    assert macros(result) == {"x/b.doc"}
    assert not result.unscanned


def test_descriptors_as_they_should_be_are_left_alone():
    data = written("iso9660", {"b.doc": docm()})
    assert plain(data) is data
    assert plain(b"") == b""
    assert plain(data[: 17 * SECTOR]) == data[: 17 * SECTOR]


def test_udf_that_leads_nowhere_is_told():
    data = udf(MEMBERS)
    for sector in (256, 257, 258, 272, 273):
        broken = bytearray(data)
        broken[sector * SECTOR : (sector + 1) * SECTOR] = bytes(SECTOR)
        result = scan(bytes(broken))
        assert {item.reason for item in result.unscanned} == {"malformed"}, sector
        assert {finding.name for finding in result.findings} == {"archive-malformed"}


def test_partition_that_is_written_once_is_unsupported():
    data = bytearray(udf(MEMBERS, long=True, metadata=True))
    at = data.index(b"*UDF Metadata")
    data[at : at + 24] = b"*UDF Virtual Partition\0\0"
    with pytest.raises(UdfError, match="unsupported"):
        Udf.open(bytes(data))
    assert {item.reason for item in scan(bytes(data)).unscanned} == {"unsupported"}


def test_no_udf():
    assert not find_udf(written("iso9660", {"a": b"x"}))
    assert not find_udf(b"NSR02" * 9000)
    assert not find_udf(b"")


@pytest.mark.parametrize("limit", [2, 3, 4])
def test_files_are_bounded(limit: int):
    data = udf({f"{n}.txt": b"%d" % n for n in range(3)})
    result = scan(data, ScanOptions(members=limit))
    assert result.parts == 1 + min(3, limit)
    assert bool(result.unscanned) == (limit < 3)


def test_folder_in_itself_ends():
    data = bytearray(udf({"folder/a": b"x"}))
    # The folder's name leads to the root.
    at = data.index("folder".encode("utf-16-be")) - 39
    assert data[at : at + 2] == b"\x01\x01"
    data[at + 24 : at + 28] = (1).to_bytes(4, "little")
    image = Udf.open(bytes(data))
    assert list(image.files(100)) == []


@pytest.mark.parametrize("shape", [{}, {"long": True, "metadata": True}], ids=str)
def test_cut_or_changed(shape: dict[str, bool]):
    data = udf({"folder/a": b"content"}, **shape)
    used = [at for at in range(256 * SECTOR, len(data)) if data[at]]
    for at in used:
        for octet in (0, 0xFF, data[at] ^ 1):
            changed = data[:at] + bytes([octet]) + data[at + 1 :]
            try:
                image = Udf.open(changed)
            except UdfError:
                continue
            for file in image.files(10):
                assert len(image.content(file, 1000)) <= 1000
    for size in range(20 * SECTOR, len(data), 50_000):
        assert scan(data[:size]).unscanned
