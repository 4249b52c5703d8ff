"""Broken quoted-printable: the readings, against regular expressions that say what each leaves out."""

from __future__ import annotations

import binascii
import random
import re
import tracemalloc

import pytest

from contentfilter.message import encodings

BROKEN = rb"=(?![0-9A-Fa-f]{2}|\r?\n|\Z)"
KINDS = (BROKEN, BROKEN + rb"[^=\n]", BROKEN + rb"[^=\n][^=\n]?")
CUT = rb"=[0-9A-Fa-f]?=\r?\n[0-9A-Fa-f]"
TRAILING = rb"[ \t\v\f]++(?=\r?\n|\Z)"
PIECES = [*(bytes((octet,)) for octet in b"==4aG\r\n \t\v\fx\0"), b"\r\n", b"=4", b"=\n", b"=\r\n", b"=\r"]


def by_definition(text: bytes) -> list[bytes]:
    bare = re.sub(TRAILING, b"", text)
    forms = [bare]
    if re.search(BROKEN, bare):
        forms += [re.sub(kind, b"", bare) for kind in KINDS]
        if re.search(CUT, bare):
            forms.append(re.sub(rb"=\r?\n", b"", bare))
    return [binascii.a2b_qp(form) for form in forms]


@pytest.mark.parametrize("seed", range(300))
@pytest.mark.parametrize("every_octet", [False, True])
def test_each_reading_leaves_out_what_it_should(seed: int, every_octet: bool):
    chance = random.Random(seed)
    text = b"".join(chance.choices(PIECES, k=chance.randrange(60)))
    if every_octet:
        text += bytes(range(256)) + text
    readings, _doubtful = encodings.other_readings(text)
    assert (readings is not None) == (re.search(BROKEN, text) is not None)
    if readings is not None:
        assert list(readings) == by_definition(text)


@pytest.mark.parametrize("seed", range(10))
def test_pieces_of_a_long_text_do_not_matter(monkeypatch: pytest.MonkeyPatch, seed: int):
    monkeypatch.setattr(encodings, "_WINDOW", 16)
    text = b"".join(random.Random(seed).choices(PIECES, k=600))
    readings, _doubtful = encodings.other_readings(text)
    assert readings is not None
    assert list(readings) == by_definition(text)


@pytest.mark.parametrize("unit", [b"=", b"=x", b"=x \t\r\n", b"=4=\r\n1=x", b"x= \n"])
def test_escapes_are_not_looked_at_one_by_one(unit: bytes):
    """A match for each takes a quarter of a microsecond, and keeps what stands between two of them."""
    text = unit * (1 << 18)
    tracemalloc.start()
    try:
        readings, doubtful = encodings.other_readings(text)
        assert readings is not None
        for _reading in readings:
            pass
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert doubtful
    assert peak < 16 * len(text)
