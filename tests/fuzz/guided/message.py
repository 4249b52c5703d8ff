"""The MIME reader: any octets, in bounded work."""

from __future__ import annotations

from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Part
from contentfilter.message import BytesWire, MessageReader
from tests.samples.honest_mails import HONEST
from tests.samples.mime_tricks.tricks import tricks

SEEDS = [*HONEST.values(), *tricks(b"PK\3\4 and what makes a document").values()]
OPTIONS = ScanOptions(mime_depth=8, parts=300, work=16 << 20)


def target(data: bytes) -> None:
    budget = Budget(OPTIONS)
    items = decoded = 0
    for item in MessageReader(BytesWire(data), budget).read():
        items += 1
        path = item.path if isinstance(item, Part) else item.part
        assert path.isprintable()
        if isinstance(item, Part):
            decoded += len(item.data)
            # BinHex expands; all else is at most as long as it was.
            assert len(item.data) <= 256 * len(data) + 64
            if not budget.take_part():
                break
    # Each reading costs work, so that there cannot be many of them.
    assert items <= 20 * OPTIONS.parts
    assert decoded <= OPTIONS.parts * (256 * len(data) + 64)
