"""Locks members of ZIP archives, with the empty password too, which no program would take."""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.samples.archives import Entry, Item


def traditional(name: str, content: bytes, data: bytes, password: bytes, method: int) -> Item:
    """``data`` is ``content`` as ``method`` has it."""
    crc = zlib.crc32(content)
    packed = _scrambled(b"11 octets.." + bytes((crc >> 24,)) + data, password)
    entry = Entry(name.encode(), method, 1, len(packed), len(content), crc)
    return Item(entry, entry, packed)


def _scrambled(data: bytes, password: bytes) -> bytes:
    keys = [0x12345678, 0x23456789, 0x34567890]

    def crc(value: int, octet: int) -> int:
        # zlib's own begins and ends with all bits turned over.
        return zlib.crc32(bytes((octet,)), value ^ 0xFFFFFFFF) ^ 0xFFFFFFFF

    def update(octet: int) -> None:
        keys[0] = crc(keys[0], octet)
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = crc(keys[2], keys[1] >> 24)

    for octet in password:
        update(octet)
    out = bytearray()
    for octet in data:
        mask = (keys[2] | 2) & 0xFFFF
        out.append(octet ^ (mask * (mask ^ 1) >> 8 & 0xFF))
        update(octet)
    return bytes(out)


class _Aes(Entry):
    """Writes the extra field 0x9901 behind the name."""

    strength = 3
    inner = 8

    @property
    def extra(self) -> bytes:
        return struct.pack("<HHH2sBH", 0x9901, 7, 2, b"AE", self.strength, self.inner)

    def local(self) -> bytes:
        raw = bytearray(Entry.local(self) + self.extra)
        struct.pack_into("<H", raw, 28, len(self.extra))
        return bytes(raw)

    def central(self, offset: int) -> bytes:
        raw = bytearray(Entry.central(self, offset) + self.extra)
        struct.pack_into("<H", raw, 30, len(self.extra))
        return bytes(raw)


def aes(name: str, data: bytes, size: int, password: bytes, bits: int, method: int) -> Item:
    """AE-2; ``data`` is what ``method`` made of ``size`` octets."""
    salt = bytes(range(bits // 16))
    keys = hashlib.pbkdf2_hmac("sha1", password, salt, 1000, bits // 4 + 2)
    key, seal, check = keys[: bits // 8], keys[bits // 8 : bits // 4], keys[-2:]
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    out = bytearray()
    for at in range(0, len(data), 16):
        mask = encryptor.update((at // 16 + 1).to_bytes(16, "little"))
        out += bytes(a ^ b for a, b in zip(data[at : at + 16], mask, strict=False))
    packed = salt + check + bytes(out) + hmac.digest(seal, bytes(out), "sha1")[:10]
    kind = type("Aes", (_Aes,), {"strength": bits // 64 - 1, "inner": method})
    entry = kind(name.encode(), 99, 1, len(packed), size, 0)
    return Item(entry, entry, packed)
