"""Files in text as they were before MIME: what hostile ones cost."""

from __future__ import annotations

import random
import re
import sys
from types import FrameType

import pytest

from contentfilter.content.limits import KIB, Budget, ScanOptions
from contentfilter.message import BytesWire, MessageReader, oldfiles

ESCAPE = re.compile(rb"=(.)", re.DOTALL)


@pytest.mark.parametrize("window", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize("seed", range(100))
def test_escapes_of_yenc_are_read_from_the_left(monkeypatch: pytest.MonkeyPatch, seed: int, window: int):
    monkeypatch.setattr(oldfiles, "_YENC_WINDOW", window)
    body = bytes(random.Random(seed).choices(b"===ab\x00\xff}\n", k=50))
    if seed % 10 == 0:
        body += bytes(range(256))
    expected = ESCAPE.sub(lambda match: bytes(((match[1][0] - 64) & 255,)), body)
    assert oldfiles._without_escapes(body) == expected


def test_escapes_of_yenc_are_not_looked_at_one_by_one():
    calls = 0

    def count(_frame: FrameType, _event: str, _argument: object) -> None:
        nonlocal calls
        calls += 1

    text = b"=ybegin line=128 size=3 name=a\r\n" + b"=j" * 10_000 + b"\r\n=yend\r\n"
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        found = list(oldfiles.yencoded(text))
    finally:
        sys.setprofile(before)
    assert found == [(b"a", b"\0" * 10_000)]
    assert calls < 500


def test_each_file_in_a_text_counts():
    """It costs some ten microseconds, also where nobody counts parts, as for learning."""
    mail = b"Subject: x\r\n\r\n" + b"begin 644 a.bin\r\n#86)C\r\n" * 1000
    budget = Budget(ScanOptions())
    for _item in MessageReader(BytesWire(mail), budget).read():
        pass
    assert budget.work >= 1000 * 12 * KIB
