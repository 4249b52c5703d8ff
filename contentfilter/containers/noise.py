"""Tells content from what a wrong key makes of it, where nothing stronger than a checksum does."""

from __future__ import annotations

import zlib
from typing import TypeAlias

Content: TypeAlias = bytes | bytearray

_SAMPLE = 4096
_KNOWN = (
    *(b"PK\3\4", b"PK\5\6", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"%PDF-", b"{\\rtf", b"\x89PNG\r\n"),
    *(b"\xff\xd8\xff", b"GIF8", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x1f\x8b\x08", b"BZh"),
    *(b"\xfd7zXZ\0", b"RIFF"),
)
"""How formats begin whose content is packed, and looks like noise."""


def is_noise(data: Content) -> bool:
    """Whether ``data`` may be the work of a wrong key: it begins like nothing known and cannot be packed."""
    if data.startswith(_KNOWN):
        return False
    sample = bytes(data[:_SAMPLE])
    if len(sample) < 64:
        return bool(sample.translate(None, bytes(range(32, 127)) + b"\t\r\n"))
    return len(zlib.compress(sample, 1)) >= len(sample)
