"""ZIP archives whose records disagree: of ends, of directories, of headers."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from tests.samples.archives import Item, archive, deflated, item, with_end64

from .zips import SECRET, contents, directory_of, lying, opened, problems


def test_end_records_far_from_the_end_count():
    for front in (b"", b"GIF89a"):
        data = front + archive([item(b"a", SECRET)]) + bytes(200_000) + archive([item(b"b", b"other")])
        assert contents(opened(data)) == {SECRET, b"other"}


@pytest.mark.parametrize("name", [b"\1a.doc", b"a\t.doc", b"\0a.doc", b"a\x1f"])
@pytest.mark.parametrize("prefix", [b"", b"in front"])
def test_local_header_without_directory_whose_name_has_controls(name: bytes, prefix: bytes):
    member = replace(item(name, SECRET), central=None)
    assert SECRET in contents(opened(archive([member], prefix=prefix)))
    locked = replace(item(name, SECRET, flags=1), central=None)
    assert [member.encrypted for member in opened(archive([locked], prefix=prefix)).members] == [True]


def test_end_records_without_number():
    data = archive([item(b"a", SECRET)]) + archive([]) * 500
    assert contents(opened(data)) == {SECRET}


def test_two_directories_one_where_it_should_end_and_one_where_it_should_begin():
    both = archive([item(b"a", SECRET), Item(item(b"b", b"other").local, None, deflated(b"other"))])
    first = directory_of(both)
    second_at = both.index(b"PK\x01\x02") + len(first)
    entry = item(b"b", b"other").central
    assert entry is not None
    second = entry.central(both.index(b"PK\x03\x04", 10))
    data = both[:second_at] + second + both[second_at:]
    # The end record's size leads to the second, its position to the first.
    end = data.rindex(b"PK\x05\x06")
    data = data[: end + 12] + struct.pack("<I", len(second)) + data[end + 16 :]
    found = opened(data)
    assert contents(found) == {SECRET, b"other"}
    assert "two places" in problems(found)


def test_wide_end_record_that_leads_elsewhere():
    hidden = archive([item(b"a", SECRET)])
    front = hidden[: hidden.index(b"PK\x05\x06")]
    shown = archive([item(b"longer name", b"other")], prefix=front, absolute=True)
    wide = with_end64(shown, hidden.index(b"PK\x01\x02"), len(directory_of(hidden)), 1)
    found = opened(wide)
    assert contents(found) == {SECRET, b"other"}
    assert "disagree" in problems(found)
    honest = with_end64(hidden, hidden.index(b"PK\x01\x02"), len(directory_of(hidden)), 1)
    assert (contents(opened(honest)), problems(opened(honest))) == ({SECRET}, "")


def test_members_in_front_of_the_archive():
    lone = Item(item(b"a", SECRET).local, None, deflated(SECRET))
    front = b"MZ" + bytes(3000) + archive([lone])[:-22]
    data = front + archive([item(b"b", b"other")])
    found = opened(data)
    assert contents(found) == {SECRET, b"other"}
    assert found.problems == []


def test_some_entries_count_what_stands_in_front_and_some_do_not():
    front = b"#!/bin/sh\n" * 10
    data = bytearray(archive([item(b"a", SECRET), item(b"b", b"other")], prefix=front))
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    at = data.index(b"PK\x03\x04", 110)
    struct.pack_into("<I", data, second + 42, at)
    assert contents(opened(bytes(data))) == {SECRET, b"other"}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (lying(size=5), "two sizes"),
        (lying(crc=5), "two checksums"),
        (archive([Item(None, item(b"a", SECRET).central, b"")]), "no local header"),
    ],
)
def test_more_disagreement(data: bytes, problem: str):
    assert problem in problems(opened(data))
