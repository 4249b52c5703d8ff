"""Containers that nothing here opens yet, so that they do not pass for scanned."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.part import Context, Found, Part

_UNSUPPORTED = (
    (0, b"`\xea", "ARJ"),
    (7, b"**ACE**", "ACE"),
    (0, b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "OneNote"),
    (4, b"Standard Jet DB", "Access"),
    (4, b"Standard ACE DB", "Access"),
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
