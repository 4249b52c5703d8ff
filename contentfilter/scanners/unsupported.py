"""Containers that nothing here opens, so that they do not pass for scanned."""

from __future__ import annotations

import re
from collections.abc import Iterator

from contentfilter.content.part import Content, Context, Found, Part

_UNSUPPORTED = (
    (7, b"**ACE**", "ACE"),
    (0, b"RE~^", "RAR 1.4"),
    (20, b"\xdc\xa7\xc4\xfd", "ZOO"),
    (0, b"SIT!", "StuffIt"),
    (0, b"StuffIt", "StuffIt"),
    (0, b"LRZI", "lrzip"),
    (0, b"RZIP\2", "rzip"),
    (0, b"7kSt\xa01\x83\xd3", "ZPAQ"),
    (0, b"zPQ\1", "ZPAQ"),
    (0, b"zPQ\2", "ZPAQ"),
    (0, b"ALZ\1", "ALZ"),
    (0, b"ArC\1", "FreeArc"),
    (0, b"BZ3v1", "bzip3"),
    (0, b"DMS!", "DMS"),
    (0, b"DOS\0\0\0\0\0", "Amiga disk"),
    (0, b"DOS\1\0\0\0\0", "Amiga disk"),
    (0, b"EGGA", "EGG"),
    (0, b"SZDD\x88\xf0'3", "SZDD"),
    (0, b"KWAJ\x88\xf0'\xd1", "KWAJ"),
    (0, b"\x89LZO\0\r\n\x1a\n", "lzop"),
    (0, b"ISc(", "InstallShield"),
    (0, b"MSWIM\0\0\0", "WIM"),
    (0, b"DAA\0\0\0\0\0", "DAA"),
    (0, b"IsZ!", "ISZ"),
    (0, b"hsqs", "SquashFS"),
    (0, b"sqsh", "SquashFS"),
    (4, b"Standard Jet DB", "Access"),
    (4, b"Standard ACE DB", "Access"),
    (0, b"!BDN", "Outlook folder"),
)
_ANY = {
    at: tuple(magic for place, magic, _kind in _UNSUPPORTED if place == at)
    for at in {at for at, _magic, _kind in _UNSUPPORTED}
}
_ARC = re.compile(rb"\x1a[\1-\x0b][!-~]{1,12}\0", re.DOTALL)
_ARC_HEADER = 29
_UIF = (64, b"bbis")
"""UltraISO's and MagicISO's images begin in any way."""
_NSIS = b"\xef\xbe\xad\xdeNullsoftInst"
"""In front of what an installer made with NSIS installs, behind the program."""

_VOLUME = re.compile(
    r"\.(?:7z|zipx?|rar|tar|t?gz|t?bz2?|t?xz|zst|iso|img|wim|cab|arj|exe|msi)\.\d{3}$|\.z\d\d$", re.IGNORECASE
)
"""Nothing else tells a piece from the midst of an archive that was split."""


class Unsupported:
    """Says ``unscanned: unsupported``."""

    name = "unsupported"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if part.name[-1:].isdigit() and _VOLUME.search(part.name):
            yield part.unscanned("unsupported", "one part of a split archive")
        if kind := _kind(part.data):
            yield part.unscanned("unsupported", kind)


def _kind(data: Content) -> str:
    for start, magics in _ANY.items():
        if data.startswith(magics, start):
            return next(kind for at, magic, kind in _UNSUPPORTED if data.startswith(magic, at))
    if data[:1] == b"\x1a" and _ARC.match(data):
        size = int.from_bytes(data[15:19], "little")
        # Four octets are met by chance; the next member must follow.
        return "ARC" if data[_ARC_HEADER + size : _ARC_HEADER + size + 1] == b"\x1a" else ""
    if data[-_UIF[0] : -_UIF[0] + len(_UIF[1])] == _UIF[1]:
        return "UIF"
    return "NSIS" if data.startswith(b"MZ") and _NSIS in data else ""
