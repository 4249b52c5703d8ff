"""The readers of TNEF and of compressed RTF."""

from __future__ import annotations

import struct

from contentfilter.containers import lzfu
from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Context, Part
from contentfilter.scanners.tnef import Tnef
from tests.samples import tnef as made

SEEDS = [
    made.tnef(made.file(b"content", b"A.DOC", "long name.doc")),
    made.tnef(
        made.embedded(made.tnef(made.file(b"deep")), made.MESSAGE_ID), made.embedded(b"x", made.STORAGE_ID)
    ),
    made.tnef(made.attribute(0x9003, made.properties(made.named(b"x"), made.binary(0x1009, made.RTF)), 1)),
    made.RTF,
]


def target(data: bytes) -> None:
    part = Part("1", data)
    for item in Tnef().scan(part, Context(part, Budget(ScanOptions()))):
        if isinstance(item, Part):
            assert len(item.data) <= lzfu.MAX_SIZE + 200
    text, problem = lzfu.expand(struct.pack("<II4sI", len(data) + 12, 0, b"LZFu", 0) + data)
    assert len(text) <= lzfu.MAX_SIZE + 200
    assert problem in ("", "malformed", "too-large")
