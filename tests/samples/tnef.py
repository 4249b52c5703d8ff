"""TNEF streams made for tests (MS-OXTNEF)."""

from __future__ import annotations

import struct

SIGNATURE = b"\x78\x9f\x3e\x22\x01\x00"
MESSAGE_ID = bytes.fromhex("0703020000000000c000000000000046")
STORAGE_ID = bytes.fromhex("0b00000000000000c000000000000046")


def attribute(number: int, value: bytes, level: int = 2) -> bytes:
    checksum = sum(value) & 0xFFFF
    return struct.pack("<BHHI", level, number, 6, len(value)) + value + struct.pack("<H", checksum)


def padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


def binary(number: int, value: bytes, kind: int = 0x102) -> bytes:
    """A property of variable length."""
    return struct.pack("<HHII", kind, number, 1, len(value)) + padded(value)


def long(number: int, value: int) -> bytes:
    return struct.pack("<HHI", 3, number, value)


def named(value: bytes, name: str = "x-name") -> bytes:
    """A named property."""
    raw = padded((name + "\0").encode("utf-16-le"))
    return (
        struct.pack("<HH16sII", 0x102, 0x8001, bytes(16), 1, len(raw))
        + raw
        + struct.pack("<II", 1, len(value))
        + padded(value)
    )


def several(number: int, *values: bytes) -> bytes:
    """A property of several values."""
    body = b"".join(struct.pack("<I", len(value)) + padded(value) for value in values)
    return struct.pack("<HHI", 0x1102, number, len(values)) + body


def properties(*items: bytes) -> bytes:
    return struct.pack("<I", len(items)) + b"".join(items)


def tnef(*attributes: bytes) -> bytes:
    version = attribute(0x9006, struct.pack("<I", 0x00010000), 1)
    return SIGNATURE + version + b"".join(attributes)


def file(data: bytes, title: bytes = b"OLD.DOC", long_name: str = "") -> bytes:
    """An attachment, as Outlook writes it."""
    name = binary(0x3707, long_name.encode("utf-16-le") + b"\0\0", 0x1F) if long_name else long(0x3705, 1)
    return (
        attribute(0x9002, bytes(14))
        + attribute(0x8010, title + b"\0")
        + attribute(0x800F, data)
        + attribute(0x9005, properties(long(0x0E20, len(data)), name))
    )


def embedded(content: bytes, identifier: bytes, name: bytes = b"embedded") -> bytes:
    """An attachment that is an object."""
    items = properties(
        named(b"zzz"),
        several(0x1234, b"a", b"bcdef"),
        binary(0x3001, name + b"\0", 0x1E),
        binary(0x3701, identifier + content, 0x0D),
    )
    return attribute(0x9002, bytes(14)) + attribute(0x9005, items)


RTF = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
)
"""``{\\rtf1\\ansi\\ansicpg1252\\pard hello world}``, compressed: the example of MS-OXRTFCP 3.1.1.1."""
