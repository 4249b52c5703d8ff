"""Characters spelt by number, against regular expressions that replace one run after the other."""

from __future__ import annotations

import binascii
import random
import re
import sys
from collections.abc import Callable
from types import FrameType

import pytest

from contentfilter.containers import spelled
from contentfilter.containers.literals import flat, unquoted

PERCENT = re.compile(rb"%([0-9a-fA-F]{2})")
ESCAPES = re.compile(rb"\\(?:x|u00)([0-9a-fA-F]{2})")
PIECES = [
    *(bytes((octet,)) for octet in b"%\\xu041fG"),
    b"\\x4",
    b"\\u00",
    b"%4",
    b"\\x41",
    b"%41",
    b"\\u0041",
]


def by_definition(pattern: re.Pattern[bytes], text: bytes) -> bytes:
    return pattern.sub(lambda match: binascii.unhexlify(match[1]), text)


@pytest.mark.parametrize("window", [6, 7, 16, 1 << 20])
@pytest.mark.parametrize("seed", range(100))
def test_each_is_read_as_a_regular_expression_would(monkeypatch: pytest.MonkeyPatch, seed: int, window: int):
    monkeypatch.setattr(spelled, "_WINDOW", window)
    chance = random.Random(seed)
    text = b"".join(chance.choices(PIECES, k=chance.randrange(60)))
    if seed % 10 == 0:
        text += bytes(range(256)) + text
    assert spelled.percent(text) == by_definition(PERCENT, text)
    assert spelled.escaped(text) == by_definition(ESCAPES, text)


def test_every_octet_can_be_spelt():
    assert spelled.percent(b"".join(b"%%%02x" % octet for octet in range(256))) == bytes(range(256))
    assert spelled.escaped(b"".join(b"\\x%02X" % octet for octet in range(256))) == bytes(range(256))


@pytest.mark.parametrize(
    ("read", "unit"),
    [(unquoted, b"%41x"), (flat, b"\\x41."), (flat, b"\\u0041.")],
)
def test_they_are_not_looked_at_one_by_one(read: Callable[[bytes], bytes], unit: bytes):
    calls = 0

    def count(_frame: FrameType, _event: str, _argument: object) -> None:
        nonlocal calls
        calls += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        plain = read(unit * 10_000)
    finally:
        sys.setprofile(before)
    assert len(plain) == 20_000
    assert calls < 500
