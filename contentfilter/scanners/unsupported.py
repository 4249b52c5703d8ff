"""Containers that nothing here opens yet, so that they do not pass for scanned."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.part import Context, Found, Part

_UNSUPPORTED = (
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"Rar!\x1a\x07", "RAR"),
    (0, b"MSCF\0\0\0\0", "CAB"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard"),
    (0, b"\x1f\x9d", "compress"),
    (0, b"LZIP", "lzip"),
    (0, b"`\xea", "ARJ"),
    (2, b"-lh", "LZH"),
    (7, b"**ACE**", "ACE"),
    (0, b"xar!", "XAR"),
    (0, b"\x78\x9f\x3e\x22", "TNEF"),
    (0, b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "OneNote"),
    (4, b"Standard Jet DB", "Access"),
    (4, b"Standard ACE DB", "Access"),
    (0x8001, b"CD001", "ISO 9660"),
    (0, b"conectix", "VHD"),
    (0, b"vhdxfile", "VHDX"),
    (0, b"!BDN", "Outlook folder"),
)


class Unsupported:
    """Says ``unscanned: unsupported``."""

    name = "unsupported"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        for at, magic, kind in _UNSUPPORTED:
            if part.data[at : at + len(magic)] == magic:
                yield part.unscanned("unsupported", kind)
                return
