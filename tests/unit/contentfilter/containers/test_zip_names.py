"""ZIP archives in parts or with a locked directory, and the several names of one member."""

from __future__ import annotations

import struct
import zlib

import pytest

from contentfilter.content.scan import scan_document
from tests.samples.archives import Item, archive, item, with_end64

from .zips import SECRET, contents, directory_of, opened, problems


@pytest.mark.parametrize("at", [4, 6])
def test_archives_in_parts(at: int):
    data = bytearray(archive([item(b"a", SECRET)]))
    assert not opened(bytes(data)).split
    struct.pack_into("<H", data, data.index(b"PK\x05\x06") + at, 1)
    assert opened(bytes(data)).split


def test_first_and_last_of_several_parts():
    data = archive([item(b"a", SECRET), item(b"b", b"other")])
    first = opened(b"PK\x07\x08" + data[: data.index(b"PK\x01\x02")])
    assert (first.split, contents(first)) == (True, {SECRET, b"other"})
    entry = bytearray(directory_of(data))
    struct.pack_into("<H", entry, 34, 1)
    last = opened(bytes(entry) + data[data.index(b"PK\x05\x06") :])
    assert last.split
    assert opened(b"PK00" + data).split is False


def test_directory_that_is_encrypted():
    data = archive([item(b"a", bytes(50), flags=0x2041)])
    masked = data.replace(directory_of(data), bytes(range(len(directory_of(data)))))
    end = masked.index(b"PK\x05\x06")
    found = opened(
        with_end64(masked, end - len(directory_of(data)), len(directory_of(data)), 1, extra=bytes(28))
    )
    assert found.locked
    assert [member.encrypted for member in found.members] == [True]


def unicode_path(name: bytes, real: bytes, crc: int | None = None) -> bytes:
    crc = zlib.crc32(name) if crc is None else crc
    field = struct.pack("<HHBI", 0x7075, 5 + len(real), 1, crc) + real
    data = archive([item(name, SECRET)])
    at = data.index(b"PK\x01\x02")
    entry = bytearray(directory_of(data))
    struct.pack_into("<H", entry, 30, len(field))
    end = bytearray(data[data.index(b"PK\x05\x06") :])
    struct.pack_into("<I", end, 12, len(entry) + len(field))
    return data[:at] + bytes(entry) + field + bytes(end)


def test_names_in_unicode_beside_the_plain_ones():
    found = opened(unicode_path(b"a?.txt", "aä.txt".encode()))
    assert ([member.text_name for member in found.members], problems(found)) == (["aä.txt"], "")
    found = opened(unicode_path(b"a.txt", b"a.exe"))
    assert [member.text_name for member in found.members] == ["a.exe"]
    assert "two names" in problems(found)
    # It is of another name, which was changed since.
    found = opened(unicode_path(b"a.txt", b"a.exe", crc=5))
    assert ([member.text_name for member in found.members], problems(found)) == (["a.txt"], "")


def script_named(data: bytes) -> bool:
    return "executable" in {finding.name for finding in scan_document("a.zip", data).findings}


def test_of_all_names_of_a_member_the_worst_counts():
    script, text = item(b"a.js", SECRET), item(b"a.txt", SECRET)
    assert script_named(archive([Item(script.local, text.central, script.data)]))
    assert script_named(archive([Item(text.local, script.central, script.data)]))
    assert script_named(unicode_path(b"a.js", b"a.txt"))
    assert script_named(unicode_path(b"a.txt", b"a.js"))
    assert not script_named(unicode_path(b"a.js.txt", b"a.txt"))


@pytest.mark.parametrize(
    "names", [(b"a.txt", b"a.js"), (b"a.js", b"a.txt"), (b"a.txt", b"b.txt", b"c.pdf", b"a.js")]
)
def test_two_entries_of_a_directory_for_one_member(names: tuple[bytes, ...]):
    whole = archive([item(names[0], SECRET)])
    at = whole.index(b"PK\x01\x02")
    entries = [item(name, SECRET).central for name in names]
    directory = b"".join(entry.central(0) for entry in entries if entry is not None)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, len(names), len(names), len(directory), at, 0)
    assert script_named(whole[:at] + directory + end)
