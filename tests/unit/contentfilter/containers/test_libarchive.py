"""The layer on libarchive: entries, content under bounds, and which trouble is which."""

from __future__ import annotations

import pytest

from contentfilter.containers.libarchive import ArchiveError, Extract, Reader
from tests.samples.noise import noise
from tests.samples.written import compressed, written

MEMBERS = {"a.txt": b"some text", "folder/b.bin": noise(5000), "empty": b""}


def never() -> bool:
    return False


def read(data: bytes, kind: str, filters: tuple[str, ...] = (), limit: int = 1 << 20) -> dict[str, Extract]:
    with Reader(data, (kind,), filters) as reader:
        return {entry.name: reader.extract(limit, never) for entry in reader.entries() if not entry.folder}


@pytest.mark.parametrize(
    ("writer", "reader"),
    [("7zip", "7zip"), ("cpio_newc", "cpio"), ("xar", "xar"), ("zip", "zip_seekable"), ("pax", "tar")],
)
def test_formats(writer: str, reader: str):
    found = read(written(writer, MEMBERS), reader)
    assert {name: bytes(result.data) for name, result in found.items()} == MEMBERS
    assert not any(result.problem for result in found.values())


def test_names_beyond_ascii():
    assert set(read(written("7zip", {"äö/日本.txt": b"x"}), "7zip")) == {"äö/日本.txt"}


def test_octets_in_front_and_mutable_data():
    data = bytearray(b"stub" + written("7zip", MEMBERS))
    with Reader(data, ("7zip",), start=4) as reader:
        assert {entry.name for entry in reader.entries()} == set(MEMBERS)
    data += b"and it can grow again"


@pytest.mark.parametrize("data", [b"", bytearray()])
def test_nothing_at_all(data: bytes):
    with pytest.raises(ArchiveError) as error:
        Reader(data, ("7zip",))
    assert error.value.reason == "malformed"


@pytest.mark.parametrize(("limit", "problem"), [(4999, "too-large"), (5000, ""), (0, "too-large")])
def test_limit_of_a_member(limit: int, problem: str):
    found = read(written("7zip", {"b": MEMBERS["folder/b.bin"]}), "7zip", limit=limit)["b"]
    assert (len(found.data), found.problem) == (min(limit, 5000), problem)


def test_no_more_time():
    with Reader(compressed("zstd", bytes(1 << 20)), ("raw",), ("zstd",)) as reader:
        for _entry in reader.entries():
            assert reader.extract(1 << 21, lambda: True).problem == "timed-out"


def test_holes_count_as_content():
    holes = written("gnutar", {"a": b"x"})
    assert read(holes, "tar", limit=1)["a"].problem == ""
    assert read(holes, "tar", limit=0)["a"].problem == "too-large"


@pytest.mark.parametrize(
    ("kind", "filters", "reason"),
    [("7zip", ("lrzip",), "unsupported"), ("nonsense", (), "unsupported"), ("7zip", (), "malformed")],
)
def test_what_cannot_be_opened(kind: str, filters: tuple[str, ...], reason: str):
    with pytest.raises(ArchiveError) as error:
        Reader(b"no archive of any kind", (kind,), filters)
    assert error.value.reason == reason


def test_damage_in_the_data():
    with Reader(written("cpio_newc", {"a": bytes(500)})[:300], ("cpio",)) as reader:
        entry = next(reader.entries())
        found = reader.extract(1 << 20, never)
    assert (entry.name, entry.size, found.problem) == ("a", 500, "malformed")
    assert 0 < len(found.data) < 500


def test_cut_anywhere_is_an_error_or_less():
    data = written("7zip", MEMBERS)
    for size in range(0, len(data), 13):
        with pytest.raises(ArchiveError, match="malformed"):
            read(data[:size], "7zip")


@pytest.mark.parametrize("name", ["lzip", "zstd", "lz4"])
def test_packed_data_is_never_handed_out_as_the_content(name: str):
    with pytest.raises(ArchiveError, match="malformed"):
        read(b"LZIP\x01 and so on", "raw", (name,))
