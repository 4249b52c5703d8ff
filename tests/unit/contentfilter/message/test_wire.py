"""The message's octets: dot-stuffing, windows, descriptors."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest

from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Part
from contentfilter.message import BytesWire, FileWire, MessageReader, open_wire, unstuff
from contentfilter.message import wire as wires
from tests.samples.messages import attachment, message, multipart, text
from tests.samples.noise import noise

IN_MEMORY = 1 << 20


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages of a size that tests can afford are large."""
    monkeypatch.setattr(wires, "IN_MEMORY", IN_MEMORY)


@pytest.fixture
def descriptor() -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        yield file.fileno()


@pytest.mark.parametrize(
    ("wire", "content"),
    [
        (b"", b""),
        (b"a\r\n", b"a\r\n"),
        (b"..\r\n", b".\r\n"),
        (b"a\r\n..b\r\n", b"a\r\n.b\r\n"),
        (b"a\r\n.b\r\n", b"a\r\nb\r\n"),
        (b"a\r\n...\r\n..\r\n", b"a\r\n..\r\n.\r\n"),
        (b"a..\r\n", b"a..\r\n"),
        (b"a\n..b\r\n", b"a\n..b\r\n"),
    ],
)
def test_unstuffing_takes_the_first_dot_of_a_line(wire: bytes, content: bytes):
    assert unstuff(wire) == content


@pytest.mark.parametrize("needle", [b"\n--it", b"\n--needle"], ids=["short", "long"])
@pytest.mark.parametrize("at", [0, 4095, 4096, 4097, 20_478, 20_480, 1_200_000])
def test_a_file_is_searched_across_windows(descriptor: int, at: int, needle: bytes):
    os.write(descriptor, b"x" * at + b"\r" + needle + b"y" * 100)
    wire = FileWire(descriptor, at + len(needle) + 101, stuffed=True)
    assert wire.find(needle, 0, wire.length) == at + 1
    assert wire.find(needle, at + 2, wire.length) == -1
    assert wire.find(needle, 0, at + len(needle)) == -1
    assert wire.find(needle, 0, at + len(needle) + 1) == at + 1


def large(dots: bytes) -> bytes:
    """A stuffed message that is not read at once."""
    body = b"first\r\n" + dots + b"\r\nlast\r\n"
    return message(multipart(text(body), attachment(noise(IN_MEMORY), "big")))


def contents(data: bytes | int, size: int) -> list[tuple[str, bytes]]:
    wire = open_wire(data, size)
    items = MessageReader(wire, Budget(ScanOptions())).read()
    return [(item.path, bytes(item.data)) for item in items if isinstance(item, Part)]


@pytest.mark.parametrize(
    ("dots", "kind"), [(b"..stuffed\r\n...", FileWire), (b".lone", BytesWire)], ids=["regular", "irregular"]
)
def test_a_large_message_in_a_file_reads_like_one_in_memory(descriptor: int, dots: bytes, kind: type):
    data = large(dots)
    os.write(descriptor, data)
    assert isinstance(open_wire(descriptor, len(data)), kind)
    assert contents(descriptor, len(data)) == contents(data, len(data))
    assert contents(descriptor, len(data))[0][1] == unstuff(b"first\r\n" + dots + b"\r\nlast\r\n")


@pytest.mark.parametrize("size", [100, IN_MEMORY], ids=["small", "large"])
def test_nobody_looks_for_dots_where_there_are_none(descriptor: int, size: int):
    # The dot shows that nobody has looked.
    data = message(multipart(text(b"first\r\n.dot\r\n"), attachment(noise(size), "big")))
    os.write(descriptor, data)
    wire = open_wire(descriptor, len(data), dotted=False)
    assert wire.text(0, wire.length) == data
    assert wire.find(b"\r\n.dot", 0, wire.length) == data.index(b"\r\n.dot")


def test_stuffed_boundary_line_is_none(descriptor: int):
    data = message(multipart(text(b"a"), text(b"b" * IN_MEMORY))).replace(
        b"\r\na\r\n", b"\r\na\r\n..--=_b\r\n"
    )
    os.write(descriptor, data)
    assert [path for path, _content in contents(descriptor, len(data))] == ["1", "2"]


def test_descriptor_offset_stays(descriptor: int):
    os.write(descriptor, b"From: a@b\r\n\r\nx")
    os.lseek(descriptor, 5, os.SEEK_SET)
    contents(descriptor, 14)
    assert os.lseek(descriptor, 0, os.SEEK_CUR) == 5


def test_spool_shorter_than_promised_is_an_error(descriptor: int):
    os.write(descriptor, b"From: a@b\r\n")
    with pytest.raises(OSError, match="shorter"):
        open_wire(descriptor, 100)


def test_octets_in_memory_are_unstuffed():
    wire = open_wire(b"..a\r\n..b", 8)
    assert wire.text(0, wire.length) == b".a\r\n.b"
