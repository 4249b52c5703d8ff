"""Locks of RAR members: AES with a key from PBKDF2 in RAR 5, from SHA-1 in RAR 3 and 4.

Interface: :func:`read_lock` reads what a member's header says of its lock; a :class:`Lock` says what an
attempt costs and gives the key for a password; :func:`decrypt` uses it. RAR 5 keeps a value to test a
password by; in RAR 4 the content's checksum is the only test, so it is for the caller to make.
:func:`plain_headers` is the archive of RAR 5 whose headers are locked too, without that lock.

Source: RAR 5.0 archive format, "Encryption"; for RAR 4 there are only descriptions by others.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from contentfilter.containers.rar import MAGIC5, Block5, read_number

Content: TypeAlias = bytes | bytearray

_MAX_POWER = 24
"""What unrar takes; WinRAR writes 15."""
_HAS_CHECK, _TWEAKED = 1, 2
_LAST_BLOCK = 0x40
_MAX_HEADERS = 20_000
_ROUNDS4 = 1 << 18
_STEP4 = _ROUNDS4 // 16


@dataclass(frozen=True, slots=True)
class Lock:
    """How one member is locked.

    Arguments:
        version: 4 or 5.
        salt: 16 octets, in RAR 4 eight or none.
        power: the rounds' logarithm.
        start: CBC's first vector; empty where it comes with the key.
        check: what a password is tested by; empty where there is no test.
        tweaked: the member's checksum is not that of its content.
    """

    version: int
    salt: bytes
    power: int = 18
    start: bytes = b""
    check: bytes = b""
    tweaked: bool = False

    @property
    def cost(self) -> int:
        """Microseconds that one attempt takes."""
        return 100 + (1 << self.power) // 2 if self.version == 5 else 60_000

    def key(self, password: str) -> tuple[bytes, bytes] | None:
        """Key and first vector; None if the password is known to be wrong."""
        if self.version == 4:
            return _key4(password, self.salt)
        raw, rounds = password.encode("utf-8", "surrogatepass"), 1 << self.power
        test = hashlib.pbkdf2_hmac("sha256", raw, self.salt, rounds + 32)
        folded = bytes(
            a ^ b ^ c ^ d for a, b, c, d in zip(test[:8], test[8:16], test[16:24], test[24:], strict=True)
        )
        if not hmac.compare_digest(folded, self.check):
            return None
        return hashlib.pbkdf2_hmac("sha256", raw, self.salt, rounds), self.start


def read_lock(version: int, record: bytes) -> Lock | None:
    """The lock that a member's header describes; None for one that is not known here.

    Arguments:
        record: the encryption record of RAR 5 behind its type, or the salt of RAR 4.
    """
    if version == 4:
        return Lock(4, record) if len(record) in (0, 8) else None
    # Version 0, flags, logarithm of the rounds; numbers below 128 take one octet.
    if len(record) < 3 + 32 + 12 or record[0] != 0 or not record[1] & _HAS_CHECK or record[2] > _MAX_POWER:
        return None
    check, sum_ = record[35:43], record[43:47]
    if hashlib.sha256(check).digest()[:4] != sum_:
        return None
    return Lock(5, record[3:19], record[2], record[19:35], check, bool(record[1] & _TWEAKED))


def read_header_lock(record: bytes) -> Lock | None:
    """The lock of all headers, from the encryption header of RAR 5; None for one that is not known here."""
    return read_lock(5, record[:19] + bytes(16) + record[19:])


def plain_headers(data: Content, at: int, key: bytes) -> bytes:
    """The archive of RAR 5 whose locked headers begin at ``at``, up to where it ends or makes no sense."""
    out = bytearray(MAGIC5)
    for _ in range(_MAX_HEADERS):
        start, first = bytes(data[at : at + 16]), data[at + 16 : at + 32]
        if len(first) < 16:
            break
        try:
            size, body = read_number(decrypt((key, start), first), 4, 16)
            size += body
            whole = decrypt((key, start), data[at + 16 : at + 16 + (size + 15 & ~15)])[:size]
            block = Block5(whole, 0)
        except (IndexError, ValueError):
            break
        at += 16 + (size + 15 & ~15)
        out += whole
        if block.data_size:
            out += data[at : at + block.data_size]
            at += block.data_size
    return bytes(out)


def decrypt(key: tuple[bytes, bytes], data: Content) -> bytes:
    """The octets behind a lock, with what fills the last block."""
    data = bytes(data[: len(data) & ~15])
    return Cipher(algorithms.AES(key[0]), modes.CBC(key[1])).decryptor().update(data)


def unpadded(packed: bytes) -> bytes:
    """Compressed data of RAR 5 without what fills its last block of AES: it says itself where it ends."""
    at = 0
    while at + 3 <= len(packed):
        flags = packed[at]
        count = (flags >> 3 & 3) + 1
        at += 2 + count + int.from_bytes(packed[at + 2 : at + 2 + count], "little")
        if flags & _LAST_BLOCK:
            break
    return packed[:at]


def _key4(password: str, salt: bytes) -> tuple[bytes, bytes]:
    seed = password.encode("utf-16-le", "surrogatepass") + salt
    digest, start = hashlib.sha1(usedforsecurity=False), bytearray()
    for first in range(0, _ROUNDS4, _STEP4):
        numbers = [number.to_bytes(3, "little") for number in range(first, first + _STEP4)]
        digest.update(seed + numbers[0])
        start.append(digest.digest()[-1])
        digest.update(seed + seed.join(numbers[1:]))
    words = struct.unpack(">5I", digest.digest())
    return struct.pack("<4I", *words[:4]), bytes(start)
