"""The TAR reader, and what tells formats apart, at the beginning and behind something else."""

from __future__ import annotations

from contentfilter.containers.formats import find_formats
from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Context, Part
from contentfilter.scanners.embedded import Embedded
from contentfilter.scanners.tar import Tar
from tests.samples.cabinets import cab, lha
from tests.samples.rar import File, rar5
from tests.samples.written import written

_FILES = {"a": b"text", "folder/" * 20 + "b": b"more"}
_BEHIND = (
    ("pax", ()),
    *(("ustar", (packer,)) for packer in ("gzip", "bzip2", "xz", "zstd")),
    ("cpio_newc", ()),
)
SEEDS = [
    *(written(kind, _FILES)[:4096] for kind in ("pax", "gnutar", "cpio_newc", "cpio_bin")),
    b"MZ" + rar5(File("a", b"text")),
    cab({"a": b"text"}),
    lha({"a": b"text"}),
    *(b"text " + written(kind, _FILES, filters)[:4096] for kind, filters in _BEHIND),
]
OPTIONS = ScanOptions(members=50, member_size=1 << 16)


def target(data: bytes) -> None:
    # A sum over the header is easily met by chance alone; it is made right where there is none.
    for octets in (data, _summed(data)):
        part = Part("1", octets)
        parts = [item for item in Tar().scan(part, Context(part, Budget(OPTIONS))) if isinstance(item, Part)]
        assert len(parts) <= 2 * OPTIONS.members
        # The holes of a sparse file stand in no archive.
        largest = OPTIONS.member_size if _may_have_holes(octets) else len(octets)
        assert all(len(item.data) <= largest for item in parts)
    assert all(0 <= located.start < len(data) for located in find_formats(data))
    part = Part("1", data)
    for item in Embedded().scan(part, Context(part, Budget(OPTIONS))):
        assert not isinstance(item, Part) or 0 < len(item.data) < len(data)


def _may_have_holes(data: bytes) -> bool:
    return b"S" in data[156::512] or b"GNU.sparse." in data


def _summed(data: bytes) -> bytes:
    out = bytearray(data)
    for at in range(0, len(out) - 511, 512):
        total = sum(out[at : at + 148]) + sum(out[at + 156 : at + 512]) + 256
        out[at + 148 : at + 156] = b"%06o\0 " % total
    return bytes(out)
