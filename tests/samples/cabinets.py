"""CAB, LHA and ARJ archives, stored."""

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


def lha(members: Mapping[str, bytes], method: bytes = b"-lh0-", charset: str = "utf-8") -> bytes:
    """An archive with headers of level 0."""
    out = b""
    for name, data in members.items():
        raw = name.encode(charset)
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


def arj(
    members: Mapping[str, bytes],
    method: int = 0,
    flags: int = 0,
    size: int | None = None,
    crc: int | None = None,
) -> bytes:
    """An archive whose members are stored as they are, whatever ``method`` says."""
    out = _arj_header(b"x.arj", kind=2)
    for name, data in members.items():
        whole = len(data) if size is None else size
        checksum = zlib.crc32(data) if crc is None else crc
        out += _arj_header(name.encode(), flags, method, 0, len(data), whole, checksum) + data
    return out + b"\x60\xea\0\0"


def _arj_header(
    name: bytes, flags: int = 0, method: int = 0, kind: int = 0, packed: int = 0, size: int = 0, crc: int = 0
) -> bytes:
    head = bytes((30, 11, 1, 2, flags, method, kind, 0)) + struct.pack("<IIII", 0, packed, size, crc)
    head += bytes(6) + name + b"\0\0"
    return b"\x60\xea" + struct.pack("<H", len(head)) + head + struct.pack("<IH", zlib.crc32(head), 0)
