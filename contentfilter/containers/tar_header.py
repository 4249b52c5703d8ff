"""Whether a member of a TAR archive begins somewhere (POSIX.1-2001, ustar): its header carries a checksum."""

from __future__ import annotations

from typing import TypeAlias

Content: TypeAlias = bytes | bytearray

BLOCK = 512
"""Octets of a header; contents are filled up to as many."""


def is_header(data: Content, at: int) -> bool:
    """Whether the block at ``at`` holds its own checksum."""
    header = data[at : at + BLOCK]
    stored = header[148:156].strip(b" \0")
    if len(header) < BLOCK or not stored or stored.strip(b"01234567"):
        return False
    wanted = int(stored, 8)
    total = sum(header) - sum(header[148:156]) + 8 * 32
    if total == wanted:
        return True
    # Some old programs added the octets as if they had a sign.
    high = sum(octet > 127 for octet in header[:148]) + sum(octet > 127 for octet in header[156:])
    return total - 256 * high == wanted
