"""Locks of ZIP members: the traditional one (PKWARE APPNOTE 6.3, chapter 6.1), and AES as WinZip has it.

Interface: :func:`fits` says in microseconds whether a password may be right; :func:`open_member` opens with
it. libarchive decrypts, but refuses the empty password, which is tried here, and would copy a large archive
for each attempt.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from collections.abc import Callable
from dataclasses import replace

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from contentfilter.containers.noise import is_noise
from contentfilter.containers.zipalone import expand_alone, unlock
from contentfilter.containers.zipmember import AES, DEFLATED, STORED, Content, Expanded, Member, inflate
from contentfilter.content.limits import MIB

STRONG = 0x0040 | 0x2000
"""General purpose bits of PKWARE's strong encryption, which is not opened here."""
_DESCRIPTOR = 0x0008
_HEADER = 12
_SALTS = {1: 8, 2: 12, 3: 16}
"""Octets of salt by AES strength; the key has twice as many."""
_ROUNDS = 1000
_CHECK, _SEAL = 2, 10
_MAX_BY_OURSELVES = 4 * MIB


def cost(member: Member) -> int:
    """Microseconds that one attempt takes."""
    return 2_000 if member.aes else 60


def fits(data: Content, member: Member, password: bytes) -> bool:
    """Whether ``password`` passes the test at the beginning of the member's data.

    A wrong one passes once in 256 times (the traditional lock) or 65,536 (AES).
    """
    if member.start < 0 or member.flags & STRONG:
        return False
    if AES in member.methods:
        size = _salt_size(member)
        head = bytes(data[member.start : member.start + size + _CHECK])
        return len(head) == size + _CHECK > _CHECK and _derive(head[:size], password)[2] == head[size:]
    head = _decrypt(bytes(data[member.start : member.start + _HEADER]), password)
    # Programs test against the CRC, or the time where that follows the data; some test always against one.
    return len(head) == _HEADER and head[-1] in (member.crc >> 24, member.time >> 8 & 0xFF)


def open_member(
    data: Content, member: Member, password: bytes, limit: int, late: Callable[[], bool]
) -> Expanded | None:
    """The content of ``member``; None if the password is not the right one.

    Arguments:
        data: the archive.
        limit: octets that may come out.
        late: whether to stop.
    """
    if not fits(data, member, password):
        return None
    opener = unlock if password else _unlock_empty
    result = opener(data, member, password, limit, late)
    return None if result is None or result.problem == "malformed" else result


def _unlock_empty(
    data: Content, member: Member, password: bytes, limit: int, late: Callable[[], bool]
) -> Expanded:
    if member.end - member.start > _MAX_BY_OURSELVES:
        return Expanded(b"", "too-large")
    packed = bytes(data[member.start : member.end])
    if AES in member.methods:
        size = _salt_size(member)
        key, seal, _check = _derive(packed[:size], password)
        sealed = packed[size + _CHECK : -_SEAL]
        if not hmac.compare_digest(hmac.digest(seal, sealed, "sha1")[:_SEAL], packed[-_SEAL:]):
            return Expanded(b"", "malformed")
        plain = _counter_mode(sealed, key)
        method = int.from_bytes(member.aes[5:7], "little")
    else:
        plain = _decrypt(packed, password)[_HEADER:]
        method = member.methods[0]
    if method == STORED:
        result = Expanded(plain[:limit], "too-large" if len(plain) > limit else "")
    elif method == DEFLATED:
        result = inflate(plain, 0, len(plain), limit)
    else:
        alone = replace(member, encrypted=False, start=0, end=len(plain), packed=len(plain), flags=0)
        return expand_alone(plain, alone, method, limit, late)
    if AES in member.methods or result.problem:
        return result
    # A checksum of 32 bits is no proof where somebody may have tried for an hour.
    wrong = zlib.crc32(result.data) != member.crc or (method == STORED and is_noise(result.data))
    return Expanded(b"", "malformed") if wrong else result


# AES.


def _salt_size(member: Member) -> int:
    """APPNOTE's extra field 0x9901: version, vendor, strength, method."""
    return _SALTS.get(member.aes[4] if len(member.aes) > 4 else 0, 0)


def _derive(salt: bytes, password: bytes) -> tuple[bytes, bytes, bytes]:
    """The key, the key of the seal, and two octets to test a password by."""
    size = 2 * len(salt)
    keys = hashlib.pbkdf2_hmac("sha1", password, salt, _ROUNDS, 2 * size + _CHECK)
    return keys[:size], keys[size:-_CHECK], keys[-_CHECK:]


def _counter_mode(data: bytes, key: bytes) -> bytes:
    """AES with a counter that counts from 1 and has its lowest octet first."""
    blocks = -(-len(data) // 16)
    counters = b"".join(number.to_bytes(16, "little") for number in range(1, blocks + 1))
    stream = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(counters)[: len(data)]  # noqa: S305
    return (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(data), "big")


# The traditional lock.


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc_table()


def _decrypt(data: bytes, password: bytes) -> bytes:
    """APPNOTE 6.1.5 to 6.1.7."""
    table = _TABLE
    key0, key1, key2 = 0x12345678, 0x23456789, 0x34567890
    for octet in password:
        key0 = table[(key0 ^ octet) & 0xFF] ^ key0 >> 8
        key1 = ((key1 + (key0 & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        key2 = table[(key2 ^ key1 >> 24) & 0xFF] ^ key2 >> 8
    out = bytearray(data)
    for at, octet in enumerate(data):
        mask = key2 | 2
        octet ^= mask * (mask ^ 1) >> 8 & 0xFF
        out[at] = octet
        key0 = table[(key0 ^ octet) & 0xFF] ^ key0 >> 8
        key1 = ((key1 + (key0 & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        key2 = table[(key2 ^ key1 >> 24) & 0xFF] ^ key2 >> 8
    return bytes(out)
