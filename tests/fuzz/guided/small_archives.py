"""The readers of cabinets and ARJ archives, and what opens LHA and cpio, alone and behind something else."""

from __future__ import annotations

from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Context, Part
from contentfilter.scanners.archives import Archives
from tests.samples.cabinets import arj, cab, lha
from tests.samples.written import written

_FILES = {"a": b"text", "folder/b": b"more" * 20}
_ARCHIVES = (cab(_FILES), cab(_FILES, 1), arj(_FILES), lha(_FILES), written("cpio_newc", _FILES)[:2048])
SEEDS = [*_ARCHIVES, *(b"in front " + archive for archive in _ARCHIVES)]
OPTIONS = ScanOptions(members=50, member_size=1 << 16)


def target(data: bytes) -> None:
    part = Part("1", data)
    parts = [item for item in Archives().scan(part, Context(part, Budget(OPTIONS))) if isinstance(item, Part)]
    assert len(parts) <= 4 * OPTIONS.members
    assert all(len(item.data) <= OPTIONS.member_size for item in parts)
