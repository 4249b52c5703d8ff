"""Deflate64, in streams that zlib makes (where both agree) and in some that only it has."""

from __future__ import annotations

import zlib

import pytest

from contentfilter.containers import inflate64 as module
from contentfilter.containers.inflate64 import inflate64
from contentfilter.containers.zipmember import Expanded
from contentfilter.content.scan import scan_document
from tests.samples.archives import Item, archive, item
from tests.samples.noise import noise
from tests.samples.office import docm

TEXT = b"".join(b"line %d of a text that repeats itself\n" % number for number in range(3000))


def never() -> bool:
    return False


def open_(data: bytes, limit: int = 1 << 20) -> Expanded:
    return inflate64(data, limit, never)


def deflated(content: bytes, level: int = 9, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    stream = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
    return stream.compress(content) + stream.flush()


def bits(*fields: str) -> bytes:
    """Fields as they stand in the stream, the lowest bit first."""
    text = "".join(fields)
    return int(text.ljust(-(-len(text) // 8) * 8, "0")[::-1], 2).to_bytes(-(-len(text) // 8), "little")


@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY])
@pytest.mark.parametrize("content", [b"", b"a", b"hello hello hello", TEXT, noise(70_000)], ids=len)
@pytest.mark.parametrize("level", [0, 1, 9])
def test_streams_that_both_read(content: bytes, level: int, strategy: int):
    packed = deflated(content, level, strategy)
    result = open_(packed + b"trailing")
    assert (bytes(result.data), result.problem, result.used) == (content, "", len(packed))


FIXED = "1" + "10"
ZERO = "00110000"
END = "0000000"


def test_long_match():
    """The last length has sixteen extra bits: 3 + 1000 octets, each the one before."""
    result = open_(bits(FIXED, ZERO, "11000101", f"{1000:016b}"[::-1], "00000", END))
    assert (bytes(result.data), result.problem) == (bytes(1004), "")


def test_far_match():
    """Distance code 31 reaches back 49153 octets and more."""
    content = noise(50_000)
    stored = b"\x00" + (50_000).to_bytes(2, "little") + (50_000 ^ 0xFFFF).to_bytes(2, "little") + content
    far = bits(FIXED, "0000001", "11111", f"{50_000 - 49_153:014b}"[::-1], END)
    assert bytes(open_(stored + far).data) == content + content[:3]
    beyond = bits(FIXED, "0000001", "11111", f"{50_001 - 49_153:014b}"[::-1], END)
    assert open_(stored + beyond).problem == "malformed"


@pytest.mark.parametrize("limit", [len(TEXT) - 1, len(TEXT)])
@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY])
def test_limit(limit: int, strategy: int):
    result = open_(deflated(TEXT, 9, strategy), limit)
    assert (bytes(result.data), result.problem) == (TEXT[:limit], "too-large" if limit < len(TEXT) else "")


def test_limit_of_its_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_SIZE", 500)
    zeros = bits(FIXED, ZERO, *["11000101", "1" * 16, "00000"] * 100, END)
    assert (len(open_(zeros).data), open_(zeros).problem) == (500, "too-large")


def test_no_more_time():
    assert inflate64(deflated(TEXT), 1 << 20, lambda: True).problem == "timed-out"


@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED])
def test_cut_and_changed(strategy: int):
    packed = deflated(TEXT[:2000], 9, strategy)
    for size in range(len(packed)):
        result = open_(packed[:size])
        assert result.problem == "malformed", size
        assert len(result.data) <= 2300
    for at in range(len(packed)):
        result = open_(packed[:at] + bytes([packed[at] ^ 0x55]) + packed[at + 1 :])
        assert result.problem in ("", "malformed", "too-large")


@pytest.mark.parametrize("data", [b"", b"\x07", b"\x01\x01\0\0\0", bits("1", "01", "1" * 100), bytes(50)])
def test_nonsense(data: bytes):
    assert open_(data).problem == "malformed"


def test_in_an_archive():
    content = docm()
    packed = deflated(content)
    entry = item(b"a.doc", content, method=9, packed=len(packed)).local
    result = scan_document("x", archive([Item(entry, entry, packed)]))
    assert "x/a.doc" in {finding.part for finding in result.findings if finding.name == "office-macro"}
    assert not result.unscanned
