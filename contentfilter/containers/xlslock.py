"""Takes the lock off Excel's binary records (MS-XLS 2.2.10): XOR obfuscation, RC4, RC4 of the CryptoAPI.

Interface: :func:`plain_records` and the ciphers for it; :func:`open_default` for what Excel 95 wrote.
The headers of records and some whole records are in the clear; the rest is encrypted by its place in the
stream, so the whole stream is decrypted at once and what was never encrypted is put back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeAlias

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher

from contentfilter.containers.biff import records

Content: TypeAlias = bytes | bytearray
Decrypt: TypeAlias = Callable[[bytes, int, int], bytes]
"""Gets the octets of one record, where in the stream they stand, and the record's size."""
KeyOfBlock: TypeAlias = Callable[[int], bytes]

_FILEPASS, _BOUNDSHEET = 0x002F, 0x0085
_CLEAR = frozenset({0x0009, 0x0209, 0x0409, 0x0809, _FILEPASS, 0x0194, 0x0195, 0x00E1, 0x0196, 0x0138})
"""BOF, FilePass, UsrExcl, FileLock, InterfaceHdr, RRDInfo, RRDHead."""
_BLOCK = 1024
_XOR_DEFAULT = bytes.fromhex("59b30a9a")
"""Key and verifier that ``VelvetSweatshop`` gives (MS-OFFCRYPTO 2.3.7.1), as Excel 5 and 95 store them."""
_XOR_ARRAY = bytes.fromhex("876b9ae21ee305621e699660986e9404")
_ROTATED = bytes((octet >> 5 | octet << 3) & 255 for octet in range(256))


def plain_records(stream: Content, decrypt: Decrypt) -> bytearray:
    """The records in the clear, and none that says they are not."""
    out = bytearray(stream)
    locked = False
    for kind, at, size in records(stream):
        if kind == _FILEPASS:
            out[at - 4 : at - 2] = b"\xff\xff"
            locked = True
        elif locked and kind not in _CLEAR:
            # The position of a sheet is in the clear.
            start = at + 4 if kind == _BOUNDSHEET and size >= 4 else at
            out[start : at + size] = decrypt(bytes(stream[start : at + size]), start, size)
    return out


def by_xor(array: bytes) -> Decrypt:
    """The cipher of XOR obfuscation (MS-OFFCRYPTO 2.3.7.2).

    Arguments:
        array: 16 octets that the password gives.
    """

    def decrypt(data: bytes, start: int, size: int) -> bytes:
        turn = (start + size) % 16
        mask = (array[turn:] + array[:turn]) * (len(data) // 16 + 1)
        mixed = int.from_bytes(data, "big") ^ int.from_bytes(mask[: len(data)], "big")
        return mixed.to_bytes(len(data), "big").translate(_ROTATED)

    return decrypt


def open_default(stream: Content) -> bytes | None:
    """A stream of Excel 5 and 95 without the XOR obfuscation of the default password; None if it is locked
    otherwise or not at all."""
    for kind, at, size in records(stream):
        if kind == _FILEPASS:
            fits = stream[at : at + size] == _XOR_DEFAULT
            return bytes(plain_records(stream, by_xor(_XOR_ARRAY))) if fits else None
    return None


def by_rc4(stream: Content, key_of: KeyOfBlock) -> Decrypt:
    """The cipher of RC4: each kibibyte of the stream has a key of its own."""
    whole = bytearray()
    for block, at in enumerate(range(0, len(stream), _BLOCK)):
        cipher = Cipher(ARC4(key_of(block)), None).decryptor()
        whole += cipher.update(bytes(stream[at : at + _BLOCK]))
    return lambda data, start, _size: bytes(whole[start : start + len(data)])


def rc4_key(password: str, salt: bytes) -> KeyOfBlock:
    """MS-OFFCRYPTO 2.3.6.2, with 40 bits that count."""
    first = _md5(password.encode("utf-16-le", "surrogatepass"))[:5]
    seed = _md5((first + salt) * 16)[:5]
    return lambda block: _md5(seed + block.to_bytes(4, "little"))


def cryptoapi_key(password: str, salt: bytes, bits: int) -> KeyOfBlock:
    """MS-OFFCRYPTO 2.3.5.2."""
    seed = _sha1(salt + password.encode("utf-16-le", "surrogatepass"))

    def key_of(block: int) -> bytes:
        key = _sha1(seed + block.to_bytes(4, "little"))
        return key[:5] + bytes(11) if bits == 40 else key[: bits // 8]

    return key_of


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()
