"""CAB and LHA archives, stored."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping


def cab(members: Mapping[str, bytes], folder_method: int = 0) -> bytes:
    """A cabinet with one folder (MS-CAB), stored (0) or compressed by MSZIP (1)."""
    content = b"".join(members.values())
    blocks = [content[at : at + 0x8000] for at in range(0, len(content), 0x8000)]
    files, at = b"", 0
    for name, data in members.items():
        raw = name.replace("/", "\\").encode()
        files += struct.pack("<IIHHHH", len(data), at, 0, 0x21, 0, 0xA0) + raw + b"\0"
        at += len(data)
    files_at = 36 + 8
    data_at = files_at + len(files)
    packed = [_mszip(content, at) for at in range(0, len(content), 0x8000)] if folder_method == 1 else blocks
    body = b"".join(
        struct.pack("<IHH", 0, len(data), len(block)) + data
        for data, block in zip(packed, blocks, strict=True)
    )
    folder = struct.pack("<IHH", data_at, len(blocks), folder_method)
    head = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, data_at + len(body), 0, files_at, 0, 3, 1, 1,
                       len(members), 0, 1, 0)  # fmt: skip
    return head + folder + files + body


def _mszip(content: bytes, at: int) -> bytes:
    """One block, which refers to what is before it."""
    window = content[max(0, at - 0x8000) : at]
    if window:
        stream = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=window)
    else:
        stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"CK" + stream.compress(content[at : at + 0x8000]) + stream.flush()


def lha(members: Mapping[str, bytes], method: bytes = b"-lh0-") -> bytes:
    """An archive with headers of level 0."""
    out = b""
    for name, data in members.items():
        raw = name.encode()
        body = method + struct.pack("<IIIBB", len(data), len(data), 0x210000, 0x20, 0)
        body += bytes([len(raw)]) + raw + struct.pack("<H", _crc16(data))
        out += bytes([len(body), sum(body) & 0xFF]) + body + data
    return out + b"\0"


def _crc16(data: bytes) -> int:
    crc = 0
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
