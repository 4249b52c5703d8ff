"""Places of a text that are marked all at once, against what goes octet by octet."""

from __future__ import annotations

import random
import re

import pytest

from contentfilter.content.marks import Marks, following, runs_before


def places(marks: int, size: int) -> list[int]:
    return [at for at, octet in enumerate(marks.to_bytes(size, "big")) if octet]


def test_where_octets_stand():
    vowels, blanks = Marks(b"a bee ", b"aeiou", b" ").kinds
    assert places(vowels, 6) == [0, 3, 4]
    assert places(blanks, 6) == [1, 5]
    assert places(following(blanks) & vowels, 6) == [0, 4]


@pytest.mark.parametrize("seed", range(20))
def test_runs_as_a_regular_expression_finds_them(seed: int):
    text = bytes(random.Random(seed).choices(b"  \n.", k=200))
    marks = Marks(text, b" ", b"\n")
    blank, end = marks.kinds
    runs = runs_before(blank, end)
    wanted = [at for match in re.finditer(rb" +(?=\n)", text) for at in range(*match.span())]
    assert places(runs, len(text)) == wanted
    assert marks.without(runs) == re.sub(rb" +(?=\n)", b"", text)


@pytest.mark.parametrize("text", [b"", b"a", b"banana", bytes(range(256)), bytes(range(256)) * 3 + b"a"])
def test_what_is_taken_out_whatever_octets_there_are(text: bytes):
    marks = Marks(text, b"an")
    assert marks.without(marks.kinds[0]) == text.translate(None, b"an")
    assert marks.without(0) == text
    assert marks.without(marks.every) == b""
