"""The reader of OLE compound files, with olefile as the reference."""

from __future__ import annotations

import io
import random

import olefile
import pytest

from contentfilter.containers.cfb import CompoundError, CompoundFile
from tests.samples.compound import Tree, compound_file

TREE: Tree = {
    "Small": b"s" * 100,
    "Exact": b"e" * 64,
    "Empty": b"",
    "Cutoff": random.Random(1).randbytes(4096),
    "Large": random.Random(2).randbytes(200_000),
    "Storage": {"Inner": b"inner", "Deeper": {"\x01Ole": b"x" * 5000}},
}


def opened(data: bytes) -> CompoundFile:
    found = CompoundFile.find(data)
    assert found is not None
    return found


def test_streams_are_those_that_olefile_reads():
    data = compound_file(TREE)
    reference = olefile.OleFileIO(io.BytesIO(data))
    expected = {"/".join(path): reference.openstream(path).read() for path in reference.listdir()}
    found = opened(data)
    assert {stream.path: bytes(found.read(stream)) for stream in found.streams} == expected
    assert not found.damaged


def test_something_else_is_none():
    assert CompoundFile.find(b"PK\x03\x04" * 1000) is None


@pytest.mark.parametrize("size", [8, 512, 1023])
def test_stump_is_an_error(size: int):
    with pytest.raises(CompoundError):
        CompoundFile.find(compound_file(TREE)[:size])


def test_reading_stops_at_the_limit():
    found = opened(compound_file(TREE))
    large = next(stream for stream in found.streams if stream.name == "Large")
    assert len(found.read(large, 1000)) == 1000


def test_stream_that_is_cut_off_is_told():
    data = compound_file({"Large": b"x" * 100_000})
    # The sectors of the directory come after the stream: take the stream's last ones out of the file's table.
    found = opened(data)
    found._fat[100] = 0xFFFFFFFE
    assert len(found.read(found.streams[0])) < 100_000
    assert found.damaged


def test_chain_in_a_circle_ends():
    found = opened(compound_file({"Large": b"x" * 100_000}))
    found._fat[50] = 10
    assert len(found.read(found.streams[0])) == 100_000


def test_file_cannot_be_read_out_endlessly():
    found = opened(compound_file({"Large": b"x" * 100_000}))
    total = sum(len(found.read(found.streams[0])) for _ in range(100))
    assert total < 20 * 100_000
    assert found.damaged


def test_stream_that_the_tree_does_not_reach_is_listed():
    data = bytearray(compound_file({"A": b"a" * 100, "B": b"b" * 100, "C": b"c" * 100}))
    root = data.index("Root Entry".encode("utf-16-le"))
    data[root + 76 : root + 80] = b"\xff\xff\xff\xff"
    assert sorted(stream.name for stream in opened(bytes(data)).streams) == ["A", "B", "C"]


def test_cut_at_every_place():
    data = compound_file({"A": b"a" * 100, "B": {"C": b"c" * 5000}})
    for size in range(0, len(data), 37):
        try:
            found = CompoundFile.find(data[:size])
        except CompoundError:
            continue
        if found is not None:
            for stream in found.streams:
                found.read(stream)


def test_single_octets_changed_are_no_crash():
    data = compound_file({"A": b"a" * 100, "B": {"C": b"c" * 5000}})
    source = random.Random(3)
    for _ in range(3000):
        changed = bytearray(data)
        for _ in range(source.randrange(1, 6)):
            changed[source.choice((source.randrange(512), source.randrange(len(data))))] = source.randrange(
                256
            )
        try:
            found = CompoundFile.find(bytes(changed))
        except CompoundError:
            continue
        for stream in found.streams if found else ():
            assert len(found.read(stream)) <= len(data)
            assert stream.path
