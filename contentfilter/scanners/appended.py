"""Programs behind or inside what is no container: pictures, films, fonts, disk images.

A file that is two things at once is scanned as both: archives are found behind anything by their own
scanners, programs here. In disk images, which nothing here opens, files mostly lie in one piece, so shortcuts
and Office's binary documents are found there as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.containers import shell_link
from contentfilter.containers.cfb import MAGIC as OLE
from contentfilter.containers.disk_image import MOUNTED, disk_image
from contentfilter.content.filename import suffix
from contentfilter.content.limits import MIB
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.scanners.executable import dos_program

_SHOWN = (
    b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"8BPS", b"\0\0\1\0", b"%PDF",
    b"RIFF", b"ID3", b"\xff\xfb", b"fLaC", b"OggS", b"\x1aE\xdf\xa3", b"\0\0\0",
    b"wOFF", b"wOF2", b"\0\1\0\0\0", b"OTTO",
)  # fmt: skip
"""Pictures and documents, sound and films, fonts."""
_SIGNATURE = b"PE\0\0"
_WITHIN = 4096
"""Octets between a program's beginning and its signature, at most."""
_MAX_TRIED = 20_000
_SHORTCUT = bytes.fromhex("4c0000000114020000000000c000000000000046")
_SECTORS = 4096
_MAX_DOCUMENTS = 20
_DOCUMENT = 4 * MIB
_LEAST = 512
_MOUNTED_BY_NAME = frozenset({"vhd", "vhdx", "dmg", "sparseimage"})


class Appended:
    """Finds ``executable`` and ``disk-image``; says ``unscanned: unsupported`` of disk images, and hands out
    documents in them."""

    name = "appended"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if kind := disk_image(data):
            yield part.unscanned("unsupported", f"disk image, {kind}")
            if kind in MOUNTED or suffix(part.name) in _MOUNTED_BY_NAME:
                yield part.found("disk-image", kind)
            yield from _documents(part)
        elif len(data) < _LEAST or not data.startswith(_SHOWN):
            return
        at, tried = program_behind(data)
        if at >= 0:
            yield part.found("executable", f"{dos_program(data[at : at + 2 * _WITHIN])} at octet {at}")
        elif tried >= _MAX_TRIED:
            yield part.unscanned("too-large", "what looks like programs")


def program_behind(data: Content) -> tuple[int, int]:
    """Where a PE program begins behind other data, -1 if nowhere; and how many signatures were tried."""
    tried = 0
    at = data.find(_SIGNATURE, 64)
    while at >= 0 and tried < _MAX_TRIED:
        tried += 1
        start = data.rfind(b"MZ", max(0, at - _WITHIN), at)
        for _ in range(8):
            if start < 0:
                break
            if start and int.from_bytes(data[start + 60 : start + 64], "little") == at - start:
                return start, tried
            start = data.rfind(b"MZ", max(0, at - _WITHIN), start)
        at = data.find(_SIGNATURE, at + 4)
    return -1, tried


def _documents(part: Part) -> Iterator[Found]:
    data = part.data
    at = data.find(_SHORTCUT)
    if at >= 0:
        yield part.found("executable", f"Windows shortcut to {shell_link.describe(data[at : at + _SECTORS])}")
    at, handed = data.find(OLE), 0
    while at >= 0 and handed < _MAX_DOCUMENTS:
        if not at % 512:
            handed += 1
            yield part.piece("disk image", data[at : at + _DOCUMENT])
        at = data.find(OLE, at + 1)
