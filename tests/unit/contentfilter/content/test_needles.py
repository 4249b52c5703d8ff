"""Short byte strings in large contents."""

from __future__ import annotations

import random
import tracemalloc
from itertools import islice

import pytest

from contentfilter.content.needles import Needles

WINDOWS = (4 << 10, (4 << 10) + (16 << 10), (4 << 10) + (16 << 10) + (64 << 10))
"""Where a search from the beginning goes on with the next window."""


def planted(needle: bytes, places: list[int], size: int) -> bytearray:
    data = bytearray(random.Random(size).randbytes(size))
    for place in places:
        data[place : place + len(needle)] = needle
    return data


@pytest.mark.parametrize("shift", range(-7, 2))
def test_each_place_is_found_wherever_windows_end(shift: int):
    size = 1_000_003
    places = [0, *(window + shift for window in WINDOWS), size - WINDOWS[0] + shift, size - 6]
    data = planted(b"\x007z\xbc\xaf\x27", places, size)
    needles = Needles(b"\x007z\xbc\xaf\x27", b"nowhere to be found")
    assert list(needles.places(data)) == places
    assert list(needles.places_from_end(data)) == places[::-1]
    assert list(needles.places(bytes(data))) == places


def test_whether_any_stands_there_is_told_for_the_same_octets():
    needles = Needles(b"PK", b"Rar!")
    assert needles.stand_in(b"..PK")
    assert needles.stand_in(bytearray(1 << 20) + b"Rar!")
    assert not needles.stand_in(b"..PK", 3)
    assert not needles.stand_in(b"..PK", 0, 3)
    assert not needles.stand_in(b"")
    assert not needles.stand_in(b"..PK", 9)
    for size in (WINDOWS[0] - 2, WINDOWS[0] - 1, WINDOWS[0], WINDOWS[0] + 1):
        assert needles.stand_in(bytes(size) + b"PK")
        assert not needles.stand_in(bytes(size) + b"PK", 0, size + 1)


def test_a_place_lies_wholly_between_start_and_end():
    data = b"..PK....PK...PK"
    needles = Needles(b"PK")
    assert list(needles.places(data, 2, 10)) == [2, 8]
    assert list(needles.places(data, 3, 9)) == []
    assert list(needles.places(data, 9, 1000)) == [13]
    assert list(needles.places(data, 15)) == []


def test_several_needles_are_told_in_order():
    assert list(Needles(b"abc", b"PK", b"ABC").places(b"ABC PK abcPK")) == [0, 4, 7, 10]


@pytest.mark.parametrize("data", [b"", b"P", bytearray(b"K")])
def test_contents_smaller_than_a_needle(data: bytes):
    assert list(Needles(b"PK").places(data)) == []
    assert list(Needles(b"PK").places_from_end(data)) == []


def test_the_first_of_many_places_cost_no_memory():
    data = b"PK\x05\x06" * 4_000_000
    needles = Needles(b"PK\x05\x06")
    tracemalloc.start()
    try:
        assert list(islice(needles.places(data), 3)) == [0, 4, 8]
        assert next(needles.places_from_end(data)) == len(data) - 4
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        assert sum(1 for _place in islice(needles.places(data), 500_000)) == 500_000
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
