"""Where a Zstandard file ends (RFC 8878 3.1): of one with other octets behind it libarchive gives nothing."""

from __future__ import annotations

from typing import TypeAlias

Content: TypeAlias = bytes | bytearray

MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"
_MAX_BLOCKS = 100_000
"""Blocks that are followed; each holds 128 KiB as a rule."""
_RLE = 1
_RESERVED = 3
_MAX_BLOCK = 1 << 17


def frames_end(data: Content, start: int) -> int:
    """Where the last whole frame of those that begin at ``start`` ends; the end of the data if that cannot be
    told."""
    end, left = start, _MAX_BLOCKS
    while left:
        if data[end + 1 : end + 4] == _SKIPPABLE and 0x50 <= data[end] <= 0x5F:
            after = end + 8 + int.from_bytes(data[end + 4 : end + 8], "little")
        elif data.startswith(MAGIC, end):
            after, left = _frame_end(data, end, left)
        else:
            after = len(data) + 1
        if after > len(data):
            break
        end, left = after, left - 1
    return end if end > start and left > 0 else len(data)


def begins(data: Content, at: int) -> bool:
    """Whether a frame begins there (RFC 8878 3.1.1): four octets are met by chance, so that no bit may be set
    that is reserved, and the first block be neither of a reserved type nor longer than blocks are."""
    descriptor = int.from_bytes(data[at + 4 : at + 5], "little")
    if not data.startswith(MAGIC, at) or descriptor & 8:
        return False
    at += _header_size(descriptor)
    block = int.from_bytes(data[at : at + 3], "little")
    return block >> 1 & 3 != _RESERVED and 0 < block >> 3 <= _MAX_BLOCK


def _frame_end(data: Content, at: int, left: int) -> tuple[int, int]:
    """Where a frame ends, and how many blocks may follow it."""
    descriptor = int.from_bytes(data[at + 4 : at + 5], "little")
    at += _header_size(descriptor)
    last = False
    while not last and left and at < len(data):
        left -= 1
        block = int.from_bytes(data[at : at + 3], "little")
        last, kind = bool(block & 1), block >> 1 & 3
        at += 3 + (1 if kind == _RLE else block >> 3)
    return at + (4 if descriptor & 4 else 0), left


def _header_size(descriptor: int) -> int:
    single = descriptor >> 5 & 1
    size_field = (0, 2, 4, 8)[descriptor >> 6] or single
    return 5 + (not single) + (0, 1, 2, 4)[descriptor & 3] + size_field
