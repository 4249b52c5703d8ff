"""Microsoft cabinets: stored, MSZIP, split over several, damaged."""

from __future__ import annotations

import struct
import zlib

import pytest

from contentfilter.containers.cabinet import MSZIP, CabinetError, read_cabinet, unpack
from contentfilter.content.results import ScanResult
from contentfilter.content.scan import ScanOptions
from tests.samples.cabinets import cab
from tests.samples.noise import noise
from tests.samples.office import docm

from ..scanned import macros, scan

TEXT = b"the quick brown fox\n" * 4000


def reasons(result: ScanResult) -> set[str]:
    return {item.reason for item in result.unscanned}


@pytest.mark.parametrize("method", [0, MSZIP])
def test_files(method: int):
    members = {"a.txt": TEXT, "folder/b.doc": docm(), "c": noise(40_000)}
    data = b"stub" + cab(members, method)
    found = read_cabinet(data, 4, 10)
    assert [file.name for file in found.files] == list(members)
    assert bytes(unpack(data, found, found.folders[0], 1 << 20, lambda: False).data) == b"".join(
        members.values()
    )
    result = scan(cab(members, method))
    assert macros(result) == {"x/folder/b.doc"}
    assert not result.unscanned


def test_what_comes_before_damage_is_kept():
    # Behind the content stands a block of deflate of a type that does not exist (RFC 1951 3.2.3).
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = noise(5000)
    block = b"CK" + packed.compress(content) + packed.flush(zlib.Z_FULL_FLUSH) + b"\x07" * 4
    one = cab({"b": content}, 0)
    damaged = one[:42] + b"\1\0" + one[44:62] + struct.pack("<IHH", 0, len(block), len(content)) + block
    found = read_cabinet(damaged, 0, 10)
    result = unpack(damaged, found, found.folders[0], 1 << 20, lambda: False)
    assert (result.problem, bytes(result.data)) == ("malformed", content)


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("method", [0, MSZIP])
def test_more_blocks_than_the_folder_says(method: int, count: int):
    data = bytearray(cab({"a.txt": TEXT, "b.doc": docm()}, method))
    assert struct.unpack_from("<H", data, 40)[0] == 3
    struct.pack_into("<H", data, 40, count)
    assert macros(scan(bytes(data))) == {"x/b.doc"}


def test_reserved_fields():
    plain = cab({"a": b"text"})
    head = bytearray(plain[:36])
    struct.pack_into("<I", head, 16, 44 + 4 + 8 + 2)
    struct.pack_into("<H", head, 30, 4)
    folder = struct.pack("<IHH", 44 + 4 + 8 + 2 + 18, 1, 0)
    block = struct.pack("<IHH", 0, 4, 4) + b"??" + b"text"
    data = bytes(head) + struct.pack("<HBB", 8, 2, 2) + bytes(8) + folder + b"!!" + plain[44:62] + block
    found = read_cabinet(data, 0, 10)
    assert bytes(unpack(data, found, found.folders[0], 100, lambda: False).data) == b"text"


def test_one_of_several():
    data = bytearray(cab({"a.doc": docm(), "b": b"x"}))
    struct.pack_into("<H", data, 30, 2)
    data[36:36] = b"next.cab\0disk 2\0"
    for place in (8, 16):
        struct.pack_into("<I", data, place, struct.unpack_from("<I", data, place)[0] + 16)
    struct.pack_into("<I", data, 52, struct.unpack_from("<I", data, 52)[0] + 16)
    last = data.index(b"b\0", 60) - 16
    struct.pack_into("<H", data, last + 8, 0xFFFE)
    result = scan(bytes(data))
    assert macros(result) == {"x/a.doc"}
    assert reasons(result) == {"unsupported"}


@pytest.mark.parametrize(
    ("method", "reason"), [(2, "unsupported"), (7, "unsupported"), (0x1503, "malformed")]
)
def test_other_compressions(method: int, reason: str):
    data = bytearray(cab({"a": TEXT}))
    struct.pack_into("<H", data, 42, method)
    assert reasons(scan(bytes(data))) == {reason}


def lzx(content: bytes) -> bytes:
    """A cabinet whose data is one uncompressed block of LZX: in words of 16 bits, the highest first."""
    bits = f"{0:01b}{3:03b}{len(content):024b}".ljust(32, "0")
    words = b"".join(int(bits[at : at + 16], 2).to_bytes(2, "little") for at in (0, 16))
    packed = words + struct.pack("<III", 1, 1, 1) + content + b"\0" * (len(content) % 2)
    data = bytearray(cab({"a.doc": content}))
    struct.pack_into("<H", data, 42, 0x0F03)
    at = struct.unpack_from("<I", data, 36)[0]
    return bytes(data[:at]) + struct.pack("<IHH", 0, len(packed), len(content)) + packed


def test_lzx():
    result = scan(lzx(docm()))
    assert macros(result) == {"x/a.doc"}
    assert not result.unscanned
    assert reasons(scan(lzx(docm())[:-100])) == {"malformed"}


@pytest.mark.parametrize("limit", [len(TEXT) - 1, len(TEXT)])
@pytest.mark.parametrize("method", [0, MSZIP])
def test_size_is_bounded(method: int, limit: int):
    result = scan(cab({"a": TEXT}, method), ScanOptions(member_size=limit))
    assert reasons(result) == ({"too-large"} if limit < len(TEXT) else set())


@pytest.mark.parametrize("limit", [2, 3])
def test_files_are_bounded(limit: int):
    result = scan(cab({f"{n}": b"x" for n in range(3)}), ScanOptions(members=limit))
    assert reasons(result) == ({"too-large"} if limit < 3 else set())


def test_folders_that_share_their_data_cost_no_more_than_a_message_may():
    """Many folders of the same blocks, one octet of each taken: the work is counted, not the outcome."""
    content = zlib.compress(bytes(0x8000), 9, -15)
    block = struct.pack("<IHH", 0, len(content) + 2, 0x8000) + b"CK" + content
    count, blocks = 50, 200
    files_at = 36 + 8 * count
    files = b"".join(
        struct.pack("<IIHHHH", 1, 0x8000 * blocks - 1, number, 0x21, 0, 0) + b"%d\0" % number
        for number in range(count)
    )
    folders = struct.pack("<IHH", files_at + len(files), blocks, MSZIP) * count
    body = block * blocks
    head = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, files_at + len(files) + len(body), 0, files_at, 0, 3, 1,
                       count, count, 0, 1, 0)  # fmt: skip
    result = scan(head + folders + files + body, ScanOptions(work=64 << 20))
    assert "too-large" in reasons(result)
    assert result.parts <= 12


def test_cut_and_changed():
    data = cab({"a": b"some text", "b": b"more"})
    for size in range(8, len(data)):
        assert scan(data[:size]).unscanned, size
    for at in range(8, len(data)):
        for octet in (0, 0xFF, data[at] ^ 1):
            scan(data[:at] + bytes([octet]) + data[at + 1 :])


def test_no_cabinet():
    with pytest.raises(CabinetError):
        read_cabinet(b"MSCF", 0, 10)
